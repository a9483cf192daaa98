package sallyport_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/storetest"
	"github.com/sallyport-id/sallyport/rp"
)

// listener is an application that is told of logouts.
type listener struct {
	*httptest.Server
	mu     sync.Mutex
	status int          // of its answers, unless next answers
	next   http.Handler // nil: none
	forms  []url.Values // that came
	came   chan string  // a logout token each, if anybody waits
	hold   chan struct{}
}

// listens starts an application, whose certificate goes into the pool.
func listens(t testing.TB, pool *x509.CertPool) *listener {
	l := &listener{status: http.StatusOK, came: make(chan string, 64)}
	l.Server = httptest.NewTLSServer(l)
	t.Cleanup(l.Close)
	pool.AddCert(l.Certificate())
	return l
}

func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	form := url.Values{}
	if err := r.ParseForm(); err == nil {
		form = maps.Clone(r.Form)
	}
	l.mu.Lock()
	l.forms = append(l.forms, form)
	status, next, hold := l.status, l.next, l.hold
	l.mu.Unlock()
	l.came <- form.Get("logout_token")
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	}
	if next != nil {
		next.ServeHTTP(w, r)
		return
	}
	w.WriteHeader(status)
}

func (l *listener) answer(status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status = status
}

// tokens are those that came since the last call.
func (l *listener) tokens() (list []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, form := range l.forms {
		list = append(list, form.Get("logout_token"))
	}
	l.forms = nil
	return list
}

// mustCome wants so many tokens since the last call.
func (l *listener) mustCome(t testing.TB, what string, want int) []string {
	t.Helper()
	got := l.tokens()
	if len(got) != want {
		t.Errorf("%s: got %d logout tokens, want %d", what, len(got), want)
	}
	return got
}

// newLogoutRig is a rig whose clients eddsa and web are told of logouts, when the test
// says so.
func newLogoutRig(t testing.TB, change ...func(*sallyport.Config)) (r *rig, shop, web *listener) {
	t.Helper()
	pool := x509.NewCertPool()
	shop, web = listens(t, pool), listens(t, pool)
	r = newRig(t, append([]func(*sallyport.Config){func(c *sallyport.Config) { sallyport.ReachLoopback(c, pool) }, sallyport.LogoutsByHand}, change...)...)
	r.hears("eddsa", shop.URL+"/backchannel")
	r.hears("web", web.URL+"/logout?from=sallyport")
	return r, shop, web
}

func (r *rig) hears(client, uri string) {
	r.t.Helper()
	r.changeClient(client, func(c *oidc.Client) {
		c.BackchannelLogoutURI = uri
		r.must(c.Validate())
	})
}

// tell sends what is due.
func (r *rig) tell() {
	r.t.Helper()
	r.must(r.SendLogouts(r.t.Context()))
}

// waiting is how many messages wait.
func (r *rig) waiting() int {
	r.t.Helper()
	n, err := r.Store().CountLogouts(r.t.Context(), "")
	r.must(err)
	return n.Pending
}

// signedIn is a browser in which mina has signed in to a client.
func (r *rig) signedIn(client string) *browser {
	r.t.Helper()
	r.clock.advance(30 * time.Second)
	b := r.browser()
	b.signIn(r.mina, b.authorize(client)).mustCode()
	return b
}

// signsOut at the server, at the user's word.
func (b *browser) signsOut() {
	b.t.Helper()
	if v := b.post("/end_session/confirm", b.get("/end_session").fields("end_session/confirm")); v.status != 200 {
		b.t.Fatalf("signing out: got %d", v.status)
	}
}

// TestBackchannelLogoutEndsSessionsOfRP: a session of an application in Go ends with
// that at the server, whoever ends it, and no other does.
func TestBackchannelLogoutEndsSessionsOfRP(t *testing.T) {
	t.Parallel()
	r, listener, _ := newLogoutRig(t)
	keeps := func(c *rp.SessionConfig) { c.Store = &rp.MemoryStore{} }
	s := newShop(t, r, keeps)
	listener.next = s.app
	for _, c := range []struct {
		what string
		end  func()
	}{
		{"the user signs out at the server", func() { s.signsOut() }},
		{"the user signs out everywhere else", func() {
			b := r.browser()
			b.answer(b.account(r.mina), "end_others").mustStep("manage", 200)
		}},
		{"an operator disables the user", func() { r.must(r.Admin().DisableUser(t.Context(), r.mina.id)) }},
	} {
		r.clock.advance(time.Minute)
		s.browser = r.browser()
		if _, page := s.back(s.signIn(r.mina, s.toServer(s.visit("GET", "/")))); page.StatusCode != 200 {
			t.Fatalf("%s: signed in: got %s, %v", c.what, page.Status, s.err)
		}
		r.clock.advance(time.Minute)
		c.end()
		if page := s.visit("GET", "/"); page.StatusCode != 200 {
			t.Errorf("%s: before the application is told: got %s", c.what, page.Status)
		}
		r.tell()
		listener.mustCome(t, c.what, 1)
		if page := s.visit("GET", "/"); page.StatusCode != http.StatusSeeOther {
			t.Errorf("%s: got %s, want the application's session to have ended", c.what, page.Status)
		}
	}
	if n := r.waiting(); n != 0 || r.happened(store.EventLogoutDelivered) != 3 {
		t.Errorf("%d messages wait, %d were delivered, want 0 and 3", n, r.happened(store.EventLogoutDelivered))
	}
}

// TestLogoutTokenIsAsTheSpecSays: OpenID Connect Back-Channel Logout §2.4, §2.5.
func TestLogoutTokenIsAsTheSpecSays(t *testing.T) {
	t.Parallel()
	r, shop, web := newLogoutRig(t)
	b := r.browser()
	ids := map[string]map[string]any{}
	r.changeClient("web", func(c *oidc.Client) { pairwise(c, "shop.example").AuthMethod = oidc.AuthPost })
	for _, client := range []string{"eddsa", "web"} {
		v := b.authorize(client)
		if v.location == nil {
			v = b.signIn(r.mina, v)
		}
		ids[client] = claims(t, r.token("", url.Values{
			"grant_type": {"authorization_code"}, "code": {v.mustCode()}, "redirect_uri": {callback}, "code_verifier": {verifier},
			"client_id": {client}, "client_secret": {r.secret[client]},
		}).ID)
	}
	b.signsOut()
	if v := b.authorize("web", "prompt", "none"); v.location.Query().Get("error") != "login_required" {
		t.Errorf("prompt=none afterwards: sent to %v", v.location)
	}
	r.tell()
	seen := map[any]bool{}
	for client, c := range map[string]struct {
		*listener
		alg string
	}{"eddsa": {shop, "EdDSA"}, "web": {web, "RS256"}} {
		form := c.forms[0]
		want := []string{"logout_token"}
		if client == "web" {
			want = []string{"from", "logout_token"} // of its URI's own query
		}
		if got := slices.Sorted(maps.Keys(form)); !slices.Equal(got, want) {
			t.Errorf("%s: got parameters %q, want %q", client, got, want)
		}
		got := r.verifiedType(form.Get("logout_token"), c.alg, "logout+jwt")
		now := float64(r.clock.Now().Unix())
		if len(got) != 8 || got["iss"] != r.issuer || got["aud"] != client || got["sub"] != ids[client]["sub"] || got["sid"] != ids[client]["sid"] ||
			got["iat"] != now || got["exp"] != now+120 || fmt.Sprint(got["events"]) != "map[http://schemas.openid.net/event/backchannel-logout:map[]]" {
			t.Errorf("%s: got %v", client, got)
		}
		seen[got["sid"]], seen[got["jti"]], seen[got["sub"]] = true, true, true
	}
	if len(seen) != 6 {
		t.Errorf("got %v, want two names each of the session, the tokens and the user", seen)
	}
	w := r.serve(httptest.NewRequest("GET", "/.well-known/openid-configuration", nil))
	for _, want := range []string{`"backchannel_logout_supported":true`, `"backchannel_logout_session_supported":true`} {
		if !strings.Contains(strings.ReplaceAll(w.Body.String(), " ", ""), want) {
			t.Errorf("the metadata do not say %s", want)
		}
	}
}

// TestLogoutTokenIsNothingElse: whoever gets one has nothing with it but word of a
// logout.
func TestLogoutTokenIsNothingElse(t *testing.T) {
	t.Parallel()
	r, _, web := newLogoutRig(t)
	r.addJWTAPI(signer, "EdDSA", "robot")
	api := r.protectedAPI(signer, "signer", "sign")
	b := r.signedIn("web")
	b.signsOut()
	r.tell()
	token := web.mustCome(t, "the logout", 1)[0]
	if status, _ := r.userinfo(token); status != 401 {
		t.Errorf("as an access token at userinfo: got %d", status)
	}
	if status, who, _ := callAPI(api, "/list", token); status != 401 {
		t.Errorf("as an access token at an API: got %d %s", status, who)
	}
	mustBeInactive(t, "introspected", r.introspect("signer", token))
	b = r.signedIn("web")
	if v := b.get("/end_session?id_token_hint=" + token); v.status != 400 {
		t.Errorf("as a hint of whose session to end: got %d", v.status)
	}
	if v := b.authorize("web", "prompt", "none", "id_token_hint", token); v.location == nil || v.location.Query().Get("error") == "" {
		t.Errorf("as a hint of who signs in: got %d %v", v.status, v.location)
	}
	if got := r.token("web", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}); got.status != 400 {
		t.Errorf("as a refresh token: got %+v", got)
	}
}

// TestBackchannelLogoutWaitsForWhoIsDown: for a day, longer and longer between two
// attempts, and then no more.
func TestBackchannelLogoutWaitsForWhoIsDown(t *testing.T) {
	t.Parallel()
	r, shop, web := newLogoutRig(t)
	b := r.signedIn("eddsa")
	b.authorize("web").mustCode()
	shop.answer(http.StatusServiceUnavailable)
	b.signsOut()
	r.tell()
	web.mustCome(t, "who is up", 1)
	shop.mustCome(t, "who is down", 1)
	for _, wait := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 5 * time.Minute, 5 * time.Minute} {
		r.clock.advance(wait - 8*time.Second) // the clock of the rig runs

		r.tell()
		shop.mustCome(t, fmt.Sprint("before ", wait), 0)
		r.clock.advance(8 * time.Second)
		r.tell()
		shop.mustCome(t, fmt.Sprint("after ", wait), 1)
	}
	list, err := r.Store().Logouts(t.Context(), "eddsa", 10)
	if err != nil || len(list) != 1 || list[0].Attempts != 8 || list[0].Error != "it answered with 503" {
		t.Errorf("what waits: got %+v %v", list, err)
	}
	if text := r.scrape(); !strings.Contains(text, "\nsallyport_logouts{state=\"failing\"} 1\n") || !strings.Contains(text, "\nsallyport_logouts_failed_total 8\n") {
		t.Errorf("the metrics do not say that one fails")
	}
	shop.answer(http.StatusNoContent)
	r.clock.advance(5 * time.Minute)
	r.tell()
	again := shop.mustCome(t, "back", 1)
	if c := claims(t, again[0]); c["iat"] != float64(r.clock.Now().Unix()) {
		t.Errorf("the token is of %v, want one made now", c["iat"])
	}
	if n := r.waiting(); n != 0 {
		t.Errorf("%d messages wait", n)
	}

	shop.answer(http.StatusInternalServerError)
	b = r.signedIn("eddsa")
	b.signsOut()
	r.tell()
	r.clock.advance(24 * time.Hour)
	r.tell()
	shop.mustCome(t, "given up", 1)
	if n := r.waiting(); n != 0 || r.happened(store.EventLogoutGivenUp) != 1 {
		t.Errorf("after a day: %d messages wait, %d events", n, r.happened(store.EventLogoutGivenUp))
	}
}

// TestBackchannelLogoutRefused: 400 is an answer, and not asked for again.
func TestBackchannelLogoutRefused(t *testing.T) {
	t.Parallel()
	r, shop, _ := newLogoutRig(t)
	shop.answer(http.StatusBadRequest)
	b := r.signedIn("eddsa")
	b.signsOut()
	r.tell()
	r.clock.advance(time.Hour)
	r.tell()
	shop.mustCome(t, "refused", 1)
	if n := r.happened(store.EventLogoutRefused); n != 1 || r.waiting() != 0 {
		t.Errorf("got %d events, and %d messages wait", n, r.waiting())
	}
}

// TestBackchannelLogoutAtOnce: right after the commit, and who does not answer holds up
// nobody else.
func TestBackchannelLogoutAtOnce(t *testing.T) {
	t.Parallel()
	pool := x509.NewCertPool()
	shop, web := listens(t, pool), listens(t, pool)
	r := newRig(t, func(c *sallyport.Config) { sallyport.ReachLoopback(c, pool) })
	r.hears("eddsa", shop.URL)
	r.hears("web", web.URL)
	shop.hold = make(chan struct{})
	for range 6 { // more than go to one application at once
		b := r.signedIn("eddsa")
		b.signsOut()
	}
	<-shop.came
	b := r.signedIn("web")
	b.signsOut()
	select {
	case <-web.came:
	case <-t.Context().Done():
		t.Error("an application is not told while another does not answer")
	}
	close(shop.hold)
	for range 5 {
		<-shop.came
	}
}

// TestBackchannelLogoutToNobody: a client that is gone, or told no more, or was never
// signed in to; and of a session that nobody used for too long.
func TestBackchannelLogoutToNobody(t *testing.T) {
	t.Parallel()
	r, shop, web := newLogoutRig(t)
	b := r.signedIn("eddsa")
	b.authorize("web").mustCode()
	b.signsOut()
	r.must(r.Admin().RemoveClient(t.Context(), "eddsa"))
	r.changeClient("web", func(c *oidc.Client) { c.BackchannelLogoutURI = "" })
	r.tell()
	b = r.browser()
	r.clock.advance(time.Minute)
	b.signIn(r.mina, b.authorize("spa")).mustCode()
	b.signsOut()
	r.tell()
	r.hears("web", web.URL)
	idle := r.signedIn("web")
	r.clock.advance(2 * time.Hour)
	idle.authorize("web").mustStep("login", 200)
	r.tell()
	shop.mustCome(t, "removed", 0)
	web.mustCome(t, "told no more, and what time alone ended", 0)
	if n := r.waiting(); n != 0 {
		t.Errorf("%d messages wait", n)
	}
}

// TestBackchannelLogoutOfIdleSession: who has been at an application for hours, and signs
// out there, signs out everywhere, with the application's word or with the user's own.
func TestBackchannelLogoutOfIdleSession(t *testing.T) {
	t.Parallel()
	for _, hinted := range []bool{true, false} {
		r, shop, web := newLogoutRig(t)
		b := r.browser()
		id := r.redeem("web", b.signIn(r.mina, b.authorize("web")).mustCode()).ID
		b.authorize("eddsa").mustCode()
		r.clock.advance(2 * time.Hour)
		if hinted {
			b.get("/end_session?" + url.Values{"id_token_hint": {id}}.Encode())
		} else {
			b.signsOut()
		}
		r.tell()
		shop.mustCome(t, "hours later", 1)
		web.mustCome(t, "hours later", 1)
		b.authorize("web").mustStep("login", 200)
	}
}

// TestBackchannelLogoutReachesNoPrivateAddress: an application's URI leads nowhere that
// outbound_allow does not name, and its user signs out all the same.
func TestBackchannelLogoutReachesNoPrivateAddress(t *testing.T) {
	t.Parallel()
	inside, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	touched := make(chan struct{}, 1)
	go func() {
		if c, err := inside.Accept(); err == nil {
			touched <- struct{}{}
			c.Close()
		}
	}()
	r := newRig(t, sallyport.LogoutsByHand)
	_, port, _ := net.SplitHostPort(inside.Addr().String())
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"} {
		r.hears("eddsa", "https://"+host+":"+port+"/logout")
		b := r.signedIn("eddsa")
		b.signsOut()
		b.authorize("web").mustStep("login", 200)
		r.tell()
		list, err := r.Store().Logouts(t.Context(), "eddsa", 10)
		if err != nil || len(list) != 1 || !strings.Contains(list[0].Error, "outbound_allow") {
			t.Errorf("%s: got %+v %v, want the setting to be named", host, list, err)
		}
		for _, m := range list {
			r.must(r.Store().EndLogout(t.Context(), m.ID))
		}
	}
	inside.Close()
	select {
	case <-touched:
		t.Error("a private address was reached")
	default:
	}
	for uri, why := range map[string]string{
		"http://app.example.com/logout": "https", "https://u:p@app.example.com/": "user", "https://app.example.com/#x": "fragment",
		"logout": "absolute", "https://app.example.com/" + strings.Repeat("x", 3000): "longer",
	} {
		c := admin.Web("bad", "Bad", callback)
		c.BackchannelLogoutURI = uri
		if _, err := r.Admin().AddClient(t.Context(), c); err == nil {
			t.Errorf("%.60s: registered, though it is not %s", uri, why)
		}
	}
}

// TestBackchannelLogoutOfTwoServers: each message is sent by one of them, also one that
// a command has written.
func TestBackchannelLogoutOfTwoServers(t *testing.T) {
	t.Parallel()
	database := storetest.FindPostgres(t, 1).Schema(t)
	r, shop, _ := newLogoutRig(t, func(c *sallyport.Config) { c.Database = database })
	pool := x509.NewCertPool()
	pool.AddCert(shop.Certificate())
	config := sallyport.Config{Issuer: r.issuer, Database: database, MasterKey: make([]byte, 32), Now: r.clock.Now, InsecureNoLimits: true}
	sallyport.ReachLoopback(&config, pool)
	sallyport.LogoutsByHand(&config)
	other, err := sallyport.New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	const sessions = 12
	for range sessions {
		r.signedIn("eddsa")
	}
	r.must(r.Admin().DisableUser(t.Context(), r.mina.id))
	var done sync.WaitGroup
	for _, s := range []*sallyport.Server{r.Server, other, r.Server, other} {
		done.Go(func() {
			if err := s.SendLogouts(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	r.tell()
	sids := map[any]bool{}
	for _, token := range shop.mustCome(t, "of both", sessions) {
		sids[claims(t, token)["sid"]] = true
	}
	if len(sids) != sessions || r.waiting() != 0 {
		t.Errorf("got %d sessions, want %d; %d messages wait", len(sids), sessions, r.waiting())
	}
}

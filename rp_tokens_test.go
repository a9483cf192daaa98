package sallyport_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/rp"
)

// relying is an application made with package rp.
type relying struct {
	*rig
	*rp.Client
}

func (r *rig) relying(client string, change ...func(*rp.Config)) *relying {
	r.t.Helper()
	key := make([]byte, 32)
	rand.Read(key)
	config := rp.Config{
		Issuer: r.issuer, ClientID: client, ClientSecret: r.secret[client], RedirectURL: callback, CookieKey: key,
		Scopes: []string{"openid", "profile"}, Require: rp.MFA, Now: r.clock.Now,
	}
	if config.ClientSecret == "" {
		config.AuthMethod = rp.AuthNone
	}
	for _, c := range change {
		c(&config)
	}
	made, err := rp.New(r.t.Context(), config)
	r.must(err)
	return &relying{r, made}
}

// signsIn goes through Login, the server's pages and Callback; asked is the
// authorization request as the browser saw it.
func (a *relying) signsIn(b *browser, options ...rp.LoginOption) (id *rp.Identity, asked string) {
	a.t.Helper()
	w := httptest.NewRecorder()
	a.Login(w, httptest.NewRequest(http.MethodGet, "/login", nil), options...)
	if w.Code != http.StatusSeeOther {
		a.t.Fatalf("got %d %s, want to be sent to the server", w.Code, w.Body)
	}
	asked = strings.TrimPrefix(w.Header().Get("Location"), a.issuer)
	answer := b.get(asked)
	if answer.location == nil {
		answer = b.signIn(a.mina, answer)
	}
	if answer.location == nil {
		a.t.Fatalf("got a page at %s (%d), want the answer", answer.path, answer.status)
	}
	back := httptest.NewRequest(http.MethodGet, answer.location.String(), nil)
	back.AddCookie(w.Result().Cookies()[0])
	id, err := a.Callback(httptest.NewRecorder(), back)
	a.must(err)
	return id, asked
}

// sessionRow keeps tokens where two processes see them.
type sessionRow struct {
	mu   sync.Mutex
	text []byte
}

func (s *sessionRow) Load(context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text, nil
}

func (s *sessionRow) CompareAndSwap(_ context.Context, old, next []byte) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	same := bytes.Equal(s.text, old)
	if same {
		s.text = next
	}
	return same, nil
}

// The tokens of a sign-in for an API are for that API, also refreshed, and the ID
// token has the names that userinfo would have told.
func TestRPSignsInForAnAPI(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.changeClient("portal", func(c *oidc.Client) { c.SkipConsent = true })
	a := r.relying("portal", func(c *rp.Config) {
		c.Scopes, c.Resource, c.UserInfo = []string{"openid", "profile", "orders:read"}, orders, true
	})
	id, asked := a.signsIn(r.browser())
	if id.PreferredUsername != "mina" || id.Name == "" || !strings.Contains(asked, "resource=") {
		t.Errorf("got %q, %q of %s", id.PreferredUsername, id.Name, asked)
	}
	source := a.TokenSource(t.Context(), id, nil)
	for range 2 {
		token, err := source.Token()
		r.must(err)
		if got := r.introspect("orders", token.AccessToken); got["active"] != true || got["aud"] != orders || got["acr"] != rp.ACR2FA {
			t.Errorf("got %v, want a token for %s", got, orders)
		}
		r.clock.advance(time.Hour)
	}
}

// A public client's refresh tokens rotate; two processes with 32 callers each use
// every one once, and hear it when the user takes the access away.
func TestRPRefreshesInTwoProcesses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	one, two := r.relying("spa"), r.relying("spa")
	id, _ := one.signsIn(r.browser())
	store := new(sessionRow)
	sources := []oauth2.TokenSource{one.TokenSource(t.Context(), id, store), two.TokenSource(t.Context(), id, store)}
	last := *id.Token
	for range 3 {
		r.clock.advance(time.Hour)
		var all sync.WaitGroup
		got, errs := make([]*oauth2.Token, 64), make([]error, 64)
		for i := range got {
			all.Go(func() { got[i], errs[i] = sources[i%2].Token() })
		}
		all.Wait()
		for i := range got {
			r.must(errs[i])
			if got[i].AccessToken != got[0].AccessToken {
				t.Fatalf("caller %d has another token", i)
			}
		}
		if got[0].RefreshToken == last.RefreshToken || got[0].AccessToken == last.AccessToken {
			t.Error("the tokens did not rotate")
		}
		last = *got[0]
	}
	res, err := one.HTTPClient(sources[0]).Get(r.issuer + "/userinfo")
	r.must(err)
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("userinfo with the last token: got %s", res.Status)
	}
	r.changeClient("spa", func(c *oidc.Client) { c.MinLevel = oidc.LevelPHR })
	r.clock.advance(time.Hour)
	if _, err := sources[1].Token(); !errors.Is(err, rp.ErrEnded) {
		t.Errorf("after the policy rose: got %v, want that the tokens ended", err)
	}
}

// A session that ends takes its tokens with it.
func TestRPRevokes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	for _, client := range []string{"spa", "web"} {
		app := r.relying(client)
		id, _ := app.signsIn(b)
		r.must(app.Revoke(t.Context(), id.Token))
		r.must(app.Revoke(t.Context(), id.Token))
		if _, err := app.UserInfo(t.Context(), id); err == nil {
			t.Errorf("%s: the access token is still good", client)
		}
		later := *id
		token := *id.Token
		later.Token, token.Expiry = &token, r.clock.Now()
		if _, err := app.TokenSource(t.Context(), &later, nil).Token(); !errors.Is(err, rp.ErrEnded) {
			t.Errorf("%s: got %v, want that the tokens ended", client, err)
		}
	}
}

// A client that signs gets in with its key wherever it speaks to the server.
func TestRPSignsWhoItIs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	app := r.relying("web", r.signs("web").config)
	id, _ := app.signsIn(r.browser())
	source := app.TokenSource(t.Context(), id, nil)
	r.clock.advance(time.Hour)
	next, err := source.Token()
	r.must(err)
	r.must(app.Revoke(t.Context(), next))
	r.clock.advance(time.Hour)
	if _, err := source.Token(); !errors.Is(err, rp.ErrEnded) {
		t.Errorf("after revocation: got %v, want that the tokens ended", err)
	}
}

// config gives an application made with rp the key.
func (s *signing) config(c *rp.Config) {
	c.AuthMethod, c.ClientSecret, c.PrivateKey, c.KeyID = "", "", s.key.Key.(crypto.Signer), s.key.KeyID
}

// A client that is held to everything: it signs who it is, sends its request ahead
// and binds its tokens to a key, with the server's nonces.
func TestRPWithEverything(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key := r.holder().key
	app := r.relying("web", r.signs("web").config, func(c *rp.Config) { c.DPoPKey, c.PushRequests, c.UserInfo = key, true, true })
	r.changeClient("web", func(c *oidc.Client) { c.DPoPBound, c.RequirePushed, c.RequireDPoPNonce = true, true, true })
	id, asked := app.signsIn(r.browser(), rp.UILocales("en"))
	if u, err := url.Parse(asked); err != nil || len(u.Query()) != 2 || !u.Query().Has("request_uri") || !u.Query().Has("client_id") {
		t.Errorf("the browser carried %s, want a reference alone", asked)
	}
	if id.Token.TokenType != "DPoP" || id.PreferredUsername != r.mina.login {
		t.Errorf("got %s, %q", id.Token.TokenType, id.PreferredUsername)
	}
	source := app.TokenSource(t.Context(), id, nil)
	for range 2 {
		r.clock.advance(time.Hour) // the nonce is old by then
		token, err := source.Token()
		r.must(err)
		id.Token = token
		_, err = app.UserInfo(t.Context(), id)
		r.must(err)
	}
	bare := &http.Client{Transport: &oauth2.Transport{Source: oauth2.StaticTokenSource(id.Token)}}
	res, err := bare.Get(r.issuer + "/userinfo")
	r.must(err)
	res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the token without its key: got %s, want 401", res.Status)
	}
	r.must(app.Revoke(t.Context(), id.Token))
}

// noBrowser is a client that signs nobody in by a browser.
func noBrowser(c *rp.Config) { c.RedirectURL, c.CookieKey = "", nil }

// A device gets tokens after its user said yes elsewhere, and keeps them fresh.
func TestRPOnADevice(t *testing.T) {
	t.Parallel()
	r := withDevices(t)
	tv := r.relying("tv", noBrowser, func(c *rp.Config) { c.DPoPKey = r.holder().key })
	d, err := tv.DeviceAuthorization(t.Context())
	r.must(err)
	if d.VerificationURI != r.issuer+"/device" || d.Interval != 5 || d.Expiry.Sub(r.clock.Now()).Round(time.Minute) != 10*time.Minute {
		t.Errorf("got %+v", d)
	}
	r.browser().allowsDevice(&waiting{rig: r, DeviceAuthorization: oidc.DeviceAuthorization{UserCode: d.UserCode}})
	d.Interval = 1
	id, err := tv.Poll(t.Context(), d)
	r.must(err)
	if id.ACR != rp.ACR2FA || id.Token.RefreshToken == "" || id.Token.TokenType != "DPoP" {
		t.Errorf("got %v", id)
	}
	r.clock.advance(time.Hour)
	token, err := tv.TokenSource(t.Context(), id, nil).Token()
	r.must(err)
	id.Token = token
	_, err = tv.UserInfo(t.Context(), id)
	r.must(err)
}

// A machine has tokens of its own, bound to its key.
func TestRPForAMachine(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	worker := r.relying("worker", noBrowser, r.signs("worker").config, func(c *rp.Config) { c.DPoPKey = r.holder().key })
	source := worker.ClientCredentials(t.Context(), orders, "orders:read")
	first, err := source.Token()
	r.must(err)
	if answer := r.introspect("orders", first.AccessToken); answer["active"] != true || answer["token_type"] != "DPoP" || answer["client_id"] != "worker" {
		t.Errorf("got %v", answer)
	}
	r.clock.advance(time.Hour)
	next, err := source.Token()
	r.must(err)
	if next.AccessToken == first.AccessToken {
		t.Error("the token did not change")
	}
	_, err = worker.ClientCredentials(t.Context(), orders, "orders:write").Token()
	var response *rp.ResponseError
	if !errors.As(err, &response) || response.Code != oidc.InvalidScope {
		t.Errorf("a scope that is not its: got %v", err)
	}
}

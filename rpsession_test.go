package sallyport_test

import (
	"errors"
	"html"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rp"
)

// shop is an application with rp's sessions, and the cookies that a browser has for
// it.
type shop struct {
	*browser
	app http.Handler
	jar *cookiejar.Jar
	err error // of the last callback
}

const shopOrigin = "http://localhost:5999"

func newShop(t *testing.T, r *rig, change ...func(*rp.SessionConfig)) *shop {
	t.Helper()
	client, err := rp.New(t.Context(), rp.Config{
		Issuer: r.issuer, ClientID: "eddsa", ClientSecret: r.secret["eddsa"], AuthMethod: rp.AuthPost,
		RedirectURL: callback, CookieKey: []byte(strings.Repeat("k", 32)), Now: r.clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	config := rp.SessionConfig{AfterLogout: shopOrigin + "/bye"}
	for _, c := range change {
		c(&config)
	}
	sessions, err := client.Sessions(config)
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{browser: r.browser()}
	s.jar, _ = cookiejar.New(nil) // never fails
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Subject", rp.FromContext(r.Context()).Subject)
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		var id *rp.Identity
		if id, s.err = client.Callback(w, r); s.err == nil {
			s.err = sessions.Begin(w, r, id)
		}
		if s.err != nil {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		http.Redirect(w, r, id.ReturnTo, http.StatusSeeOther)
	})
	mux.Handle("GET /", sessions.RequireSession(page))
	mux.Handle("GET /mfa", sessions.StepUp(page, rp.MFA))
	mux.Handle("GET /phr", sessions.StepUp(page, rp.Requirement{ACR: []string{rp.ACRPHR, rp.ACRPHRH}}))
	mux.Handle("GET /fresh", sessions.RequireFresh(page, 5*time.Minute))
	mux.HandleFunc("POST /logout", sessions.Logout)
	if config.Store != nil {
		told, err := sessions.BackchannelLogout()
		if err != nil {
			t.Fatal(err)
		}
		mux.Handle("POST /backchannel", told)
	}
	s.app = mux
	return s
}

// visit sends a request to the shop and returns its answer.
func (s *shop) visit(method, target string) *http.Response {
	s.t.Helper()
	r := httptest.NewRequest(method, target, nil)
	r.Header.Set("Accept", "text/html")
	origin, _ := url.Parse(shopOrigin)
	for _, c := range s.jar.Cookies(origin) {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	s.app.ServeHTTP(w, r)
	s.jar.SetCookies(origin, w.Result().Cookies())
	return w.Result()
}

// toServer follows the shop's redirect to the server.
func (s *shop) toServer(res *http.Response) *view {
	s.t.Helper()
	path, there := strings.CutPrefix(res.Header.Get("Location"), s.issuer)
	if res.StatusCode != http.StatusSeeOther || !there {
		s.t.Fatalf("got %s and %q, want a redirect to the server", res.Status, res.Header.Get("Location"))
	}
	return s.get(path)
}

// back takes the server's answer to the shop, and follows it to the page.
func (s *shop) back(v *view) (path string, page *http.Response) {
	s.t.Helper()
	if v.location == nil {
		s.t.Fatalf("the server shows %s (%d), want it to send the browser back", v.path, v.status)
	}
	res := s.visit("GET", v.location.RequestURI())
	if s.err != nil {
		return "", res
	}
	path = res.Header.Get("Location")
	return path, s.visit("GET", path)
}

// The sessions of rp with this server: a page asks for a level and an age, the
// server asks the user, and the user is back at the page; then signs out of both.
func TestRPSessionsWithThisServer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := newShop(t, r)
	path, page := s.back(s.signIn(r.mina, s.toServer(s.visit("GET", "/cart?item=1"))))
	if path != "/cart?item=1" || page.StatusCode != 200 || page.Header.Get("Subject") == "" {
		t.Fatalf("signed in: got %s at %q, %v", page.Status, path, s.err)
	}
	if page := s.visit("GET", "/mfa"); page.StatusCode != 200 {
		t.Errorf("two factors: got %s, want no new login", page.Status)
	}

	r.clock.advance(6 * time.Minute)
	asked := s.visit("GET", "/fresh")
	if q := asked.Header.Get("Location"); !strings.Contains(q, "id_token_hint=") || !strings.Contains(q, "max_age=300") {
		t.Errorf("the request is %s", q)
	}
	path, page = s.back(s.signIn(r.mina, s.toServer(asked)))
	if path != "/fresh" || page.StatusCode != 200 {
		t.Errorf("signed in again: got %s at %q, %v", page.Status, path, s.err)
	}

	v := s.toServer(s.visit("POST", shopOrigin+"/logout"))
	if v.location == nil || v.location.String() != shopOrigin+"/bye" {
		t.Errorf("signed out: the server shows %s (%d), and sends to %v", v.path, v.status, v.location)
	}
	s.toServer(s.visit("GET", "/")).mustStep("login", 200)
	if v := s.toServer(s.visit("POST", shopOrigin+"/logout")); v.status != 200 {
		t.Errorf("signed out a second time: the server shows %s (%d)", v.path, v.status)
	}
}

// Who cannot prove what a page needs is told so once, and stays signed in.
func TestRPStepUpThatThisServerRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := newShop(t, r)
	s.back(s.signIn(r.mina, s.toServer(s.visit("GET", "/"))))
	v := s.toServer(s.visit("GET", "/phr"))
	if v.location == nil {
		t.Fatalf("the server shows %s (%d)", v.path, v.status)
	}
	s.back(v)
	var refused *rp.ResponseError
	if !errors.As(s.err, &refused) || rp.ReasonCode(s.err) != rp.CodeWeak {
		t.Errorf("got %v", s.err)
	}
	if page := s.visit("GET", "/"); page.StatusCode != 200 {
		t.Errorf("got %s, want the session as it was", page.Status)
	}
}

// TestRPFormPost: rp asks the server for its answer as a form, and takes it.
func TestRPFormPost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	client, err := rp.New(t.Context(), rp.Config{
		Issuer: r.issuer, ClientID: "web", ClientSecret: r.secret["web"], RedirectURL: callback, CookieKey: []byte(strings.Repeat("k", 32)),
		Now: r.clock.Now, Require: rp.MFA, FormPost: true,
	})
	r.must(err)
	began := httptest.NewRecorder()
	client.Login(began, httptest.NewRequest("GET", shopOrigin+"/login", nil))
	b := r.browser()
	v := b.signIn(r.mina, b.get(strings.TrimPrefix(began.Header().Get("Location"), r.issuer)))
	form := url.Values{}
	for _, field := range regexp.MustCompile(`name="(code|state|iss)" value="([^"]*)"`).FindAllStringSubmatch(v.body, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	req := httptest.NewRequest("POST", callback, strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.AddCookie(began.Result().Cookies()[0])
	if id, err := client.Callback(httptest.NewRecorder(), req); err != nil || id.Subject != r.mina.id || id.ACR != rp.ACR2FA {
		t.Errorf("got %v, %v of the form %v", id, err, form)
	}
}

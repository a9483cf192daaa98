package trial

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rp"
)

// Shop tries a shop: every page of it, and what must not be possible.
func Shop(t *testing.T, newShop func(context.Context, rp.Config) (http.Handler, error)) {
	listener, shop := Listen(t)
	s := Start(t, "--shop", shop)
	config, err := rp.ConfigFromEnv("SHOP_")
	if err != nil {
		t.Fatal(err)
	}
	var late atomic.Int64 // how much the shop's clock is ahead
	config.Now = func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
	var api strict
	config.HTTPClient = &http.Client{Transport: &api}
	handler, err := newShop(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan struct{}, 8) // when the shop has answered the server about sessions that ended
	Serve(t, listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r)
		if r.URL.Path == "/backchannel-logout" {
			told <- struct{}{}
		}
	}))

	p := NewPerson(t)
	p.Open(shop + "/")
	p.MustSee(200, "A small shop")
	p.Follow("orders")
	asked := p.Went[0]
	if q := query(t, asked); !strings.Contains(q.Get("claims"), rp.ACR2FA) || q.Get("resource") != shop+"/api/" || q.Get("code_challenge_method") != "S256" {
		t.Errorf("the shop asks for too little: %s", asked)
	}
	p.Password(s)
	p.Code(s)
	p.MustSee(200, "Lantern", "김미나", rp.ACR2FA, "pwd otp mfa")
	if p.URL.String() != shop+"/orders" {
		t.Errorf("after the sign-in the address is %s", p.URL)
	}

	p.Follow("refund-1001")
	p.MustSee(200, "Refund order 1001")
	p.Press("refund")
	p.MustSee(200, "Refunded", "1001 Lantern")

	// An API that takes a passkey alone makes the shop ask for one.
	api.now.Store(true)
	p.Open(shop + "/orders")
	api.now.Store(false)
	if len(p.Went) == 0 || !strings.Contains(query(t, p.Went[0]).Get("claims"), `"values":["phr"]`) {
		t.Errorf("for an API that takes phr the shop asks for %q", p.Went)
	}

	// Twenty minutes later the same session is good for the list, and not for money.
	late.Store(int64(20 * time.Minute))
	p.Do(http.MethodPost, shop+"/orders/1001/refund", "same-origin", url.Values{})
	p.MustSee(401)
	if got := p.Header.Get("WWW-Authenticate"); got != `Session error="old"` {
		t.Errorf("an old session: got the challenge %q", got)
	}
	p.Open(shop + "/orders/1001/refund")
	if len(p.Went) == 0 || query(t, p.Went[0]).Get("max_age") != "300" {
		t.Errorf("an old session was sent to %q, want to the server for another sign-in", p.Went)
	}
	if strings.Contains(p.Body, "Refund order") {
		t.Error("the page for money was shown to an old session")
	}
	late.Store(0)

	p.Do(http.MethodPost, shop+"/orders/1001/refund", "cross-site", url.Values{})
	p.MustSee(403)
	p.Do(http.MethodPost, shop+"/orders/..%2Fme%3F/refund", "same-origin", url.Values{})
	p.MustSee(404)
	p.Do(http.MethodPost, shop+"/orders/1003/refund", "same-origin", url.Values{}) // of which the API knows nothing
	p.MustSee(403, "Something went wrong")
	p.Language = "ko-KR"
	p.Open(shop + "/orders")
	p.MustSee(200, "주문 목록")
	p.Do(http.MethodGet, shop+"/logout", "same-origin", nil)
	p.MustSee(405)
	p.Open(shop + "/orders")
	p.Press("logout")
	p.MustSee(200, "작은 가게")
	if len(p.Went) == 0 || !strings.HasPrefix(p.Went[0], s.Issuer+"/end_session?") {
		t.Errorf("signing out led to %q, want to the server and back", p.Went)
	}
	p.Open(shop + "/orders")
	p.MustBeAt(s.Issuer) // both sessions are over
	p.Language = "en"
	p.Press("cancel")
	p.MustSee(403, "That did not work")
	p.MustBeAt(shop + "/callback")

	if r, err := http.Get(shop + "/api/orders"); err != nil || r.StatusCode != 401 {
		t.Errorf("the API without a token: got %v %v", r, err)
	}
	hear(t, told) // of the sign-out above, which had ended here already
	if r, err := http.Post(shop+"/backchannel-logout", "application/x-www-form-urlencoded", strings.NewReader("logout_token=x")); err != nil || r.StatusCode != 400 {
		t.Errorf("a logout token that is none: got %v %v", r, err)
	}
	hear(t, told)

	// Who signs out at the server, and says nothing to the shop, is signed out of it.
	p.Open(shop + "/orders")
	p.SignIn(s)
	p.MustSee(200, "Your orders")
	p.Open(s.Issuer + "/end_session")
	p.Press("logout")
	hear(t, told)
	p.Open(shop + "/orders")
	p.MustBeAt(s.Issuer)
}

// strict stands between the shop and its API, and answers for it that it takes a
// passkey, when it is told to.
type strict struct{ now atomic.Bool }

func (s *strict) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && strings.HasSuffix(r.URL.Path, "/api/orders") && s.now.Load() {
		res.StatusCode = http.StatusUnauthorized
		res.Header.Set("WWW-Authenticate", `Bearer error="insufficient_user_authentication", acr_values="phr"`)
	}
	return res, err
}

// hear waits until the server has told the shop.
func hear(t *testing.T, told <-chan struct{}) {
	t.Helper()
	select {
	case <-told:
	case <-time.After(30 * time.Second):
		t.Fatal("the shop is not told of a session that ended")
	}
}

func query(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

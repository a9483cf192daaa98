package sallyport_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// TestStaleFormMeetsARefusal: a form of before the sign-in, whose request the
// person who signed in elsewhere cannot fulfil, is answered with the refusal.
func TestStaleFormMeetsARefusal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	essential := `{"id_token":{"acr":{"essential":true,"values":["phr"]}}}`
	parked := b.authorize("web", "claims", essential).mustStep("login", 200)
	b.signIn(r.mina, b.authorize("web")).mustCode()
	b.answer(parked, "password", "username", "mina", "password", r.mina.password).mustRefuse(oidc.UnmetAuthentication)
}

// TestSwitchEndsTheSession: "Not you?" signs out and asks again for the same
// request, and another may answer it.
func TestSwitchEndsTheSession(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.answer(b.authorize("web"), "password", "username", "mina", "password", r.mina.password).mustStep("second_factor", 200)
	v = b.answer(v, "switch").mustStep("login", 200)
	b.authorize("web", "prompt", "none").mustRefuse(oidc.LoginRequired)
	code := b.signIn(r.joonWithTOTP(), v).mustCode()
	if c := claims(t, r.redeem("web", code).ID); c["sub"] != r.joon.id {
		t.Errorf("got sub %v, want the one who signed in last", c["sub"])
	}
	if v.status != http.StatusOK {
		t.Errorf("got %d", v.status)
	}
}

// TestEnrollmentPageLoadedTwiceAtOnce shows the same challenge, or the same key, to
// all who load it first, however often that is tried.
func TestEnrollmentPageLoadedTwiceAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	noFollow := *b.http
	noFollow.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for i := range 10 {
		method, shown := "", optionsOnPage
		if i%2 == 1 {
			method, shown = "?method=totp", keyOnPage
		}
		sent := (&browser{rig: r, http: &noFollow}).answer(b.authorize("web", "prompt", "login"), "password", "username", "joon", "password", r.joon.password)
		if sent.location == nil {
			t.Fatalf("got %d, want a redirect to the page", sent.status)
		}
		pages := make([]*view, 24)
		start := make(chan struct{})
		var all sync.WaitGroup
		for i := range pages {
			all.Go(func() {
				<-start
				pages[i] = b.get(sent.location.Path + method)
			})
		}
		close(start)
		all.Wait()
		keys := map[string]bool{}
		for _, v := range pages {
			if v.status != http.StatusOK {
				t.Fatalf("got %d", v.status)
			}
			keys[shown.FindString(v.body)] = true
		}
		if len(keys) != 1 || keys[""] {
			t.Fatalf("got %v, want one", keys)
		}
	}
}

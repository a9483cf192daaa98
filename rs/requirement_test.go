package rs_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rs"
)

// TestLevels: each of the names satisfies those before it, any other itself alone,
// unless the API says more. Nothing is no level.
func TestLevels(t *testing.T) {
	t.Parallel()
	a := newAPI(t, func(c *rs.Config) {
		c.Satisfies = map[string][]string{"gold": {"silver", rs.ACR2FA}, "": {rs.ACR2FA}}
	})
	ladder := []string{rs.ACR1FA, rs.ACR2FA, rs.ACRPHR, rs.ACRPHRH}
	type pair struct{ got, want string }
	good := map[pair]bool{{"gold", "gold"}: true, {"gold", "silver"}: true, {"gold", rs.ACR2FA}: true, {"gold", rs.ACR1FA}: true, {"silver", "silver"}: true}
	for i, got := range ladder {
		for _, want := range ladder[:i+1] {
			good[pair{got, want}] = true
		}
	}
	names := append([]string{"", "gold", "silver", "0", "PHR", "urn:sallyport:acr:2fa ", "urn:sallyport:acr:3fa"}, ladder...)
	for _, got := range names {
		for _, want := range append([]string{"gold", "silver"}, ladder...) {
			claims := a.Claims(orders, "")
			if claims["acr"] = got; got == "" {
				delete(claims, "acr")
			}
			w := a.bearer(a.JWT(claims), rs.ACR(want, rs.AnyAge))
			if good[pair{got, want}] {
				a.wantAccepted(got+" for "+want, w)
			} else {
				a.wantRefused(got+" for "+want, w, 401, "insufficient_user_authentication")
			}
		}
	}
}

// TestAMRDecidesNothing: whatever the methods say, the level is missing.
func TestAMRDecidesNothing(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	claims := a.Claims(orders, "")
	claims["amr"] = []string{"mfa", "hwk", "otp", "pwd"}
	delete(claims, "acr")
	a.wantRefused("amr alone", a.bearer(a.JWT(claims), rs.ACR(rs.ACR1FA, rs.AnyAge)), 401, "insufficient_user_authentication")
}

func TestAges(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	for age, ok := range map[time.Duration]bool{0: true, 5 * time.Minute: true, 5*time.Minute + 20*time.Second: true, 5*time.Minute + 32*time.Second: false, 240 * time.Hour: false} {
		claims := a.Claims(orders, "")
		claims["auth_time"] = a.Now().Add(-age).Unix()
		for _, token := range []string{a.JWT(claims), a.Opaque(claims)} {
			a.wantAccepted("at any age", a.bearer(token, rs.ACR(rs.ACR2FA, rs.AnyAge)))
			for _, q := range []rs.Requirement{rs.ACR(rs.ACR2FA, 5*time.Minute), rs.MaxAge(5*time.Minute + 999*time.Millisecond)} {
				w := a.bearer(token, q)
				if ok {
					a.wantAccepted(age.String(), w)
				} else {
					a.wantRefused(age.String(), w, 401, "insufficient_user_authentication")
				}
			}
		}
	}
	claims := a.Claims(orders, "")
	delete(claims, "auth_time")
	a.wantRefused("no auth_time", a.bearer(a.JWT(claims), rs.MaxAge(1000*time.Hour)), 401, "insufficient_user_authentication")
}

// TestRequirementsAddUp: all must be met; what signing in again would not give
// comes first.
func TestRequirementsAddUp(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	token := a.JWT(a.Claims(orders, "a b"))
	a.wantAccepted("all", a.bearer(token, rs.Requirement{}, rs.Scope("a"), rs.Scope("b"), rs.ACR(rs.ACR1FA, rs.AnyAge), rs.ACR(rs.ACR2FA, time.Minute)))
	a.wantRefused("one scope of three", a.bearer(token, rs.ACR(rs.ACRPHR, rs.AnyAge), rs.Scope("a", "b"), rs.Scope("c")), 403, "insufficient_scope")
	a.wantRefused("a part of a scope", a.bearer(a.JWT(a.Claims(orders, "orders:read")), rs.Scope("orders")), 403, "insufficient_scope")
	a.wantRefused("the second level", a.bearer(token, rs.ACR(rs.ACR1FA, rs.AnyAge), rs.ACR(rs.ACRPHR, rs.AnyAge)), 401, "insufficient_user_authentication")
}

// TestRequireInAHandler: what depends on the request is asked for there, and
// answered as Protect does.
func TestRequireInAHandler(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	pay := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("amount") > "1000" && !a.Require(w, r, rs.ACR(rs.ACRPHR, time.Minute)) {
			return
		}
		w.Write([]byte(rs.FromContext(r.Context()).Subject))
	})
	send := func(h http.Handler, target string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", target, nil)
		r.Header.Set("Authorization", "Bearer "+a.JWT(a.Claims(orders, "")))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	a.wantAccepted("little", send(a.Protect(pay), "/?amount=1000"))
	a.wantRefused("much", send(a.Protect(pay), "/?amount=5000"), 401, "insufficient_user_authentication")
	a.wantRefused("unprotected", send(pay, "/?amount=5000"), 401, "")
}

// TestMalformedRequirementsPanic: at start-up, not in a request.
func TestMalformedRequirementsPanic(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	for name, q := range map[string]rs.Requirement{
		"no age said":        rs.ACR(rs.ACR2FA, 0),
		"a negative age":     rs.MaxAge(-time.Hour),
		"a millisecond":      rs.MaxAge(time.Millisecond),
		"any age of nothing": rs.MaxAge(rs.AnyAge),
		"two acr in one":     rs.ACR("a b", rs.AnyAge),
		"an acr with quotes": rs.ACR(`a"`, rs.AnyAge),
		"an empty scope":     rs.Scope("a", ""),
		"two scopes in one":  rs.Scope("a b"),
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: accepted", name)
				}
			}()
			a.Protect(http.NotFoundHandler(), q)
		}()
	}
}

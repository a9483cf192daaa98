package rs_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rs"
)

const aboutOrders = `resource_metadata="https://orders.example.com/.well-known/oauth-protected-resource"`

// TestChallenges: what each refusal says, to the letter.
func TestChallenges(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	weak := a.Claims(orders, "orders:read")
	weak["acr"] = rs.ACR1FA
	old := a.Claims(orders, "orders:read")
	old["auth_time"] = a.Now().Add(-time.Hour).Unix()
	step := []rs.Requirement{rs.Scope("orders:read"), rs.ACR(rs.ACR2FA, 5*time.Minute)}
	for name, c := range map[string]struct {
		authorization []string
		requirements  []rs.Requirement
		status        int
		want          string
	}{
		"no token":              {nil, nil, 401, `Bearer ` + aboutOrders},
		"no token, for a scope": {nil, step, 401, `Bearer scope="orders:read", ` + aboutOrders},
		"another scheme":        {[]string{"Basic YTpi"}, nil, 401, `Bearer ` + aboutOrders},
		"no token after Bearer": {[]string{"Bearer "}, nil, 400,
			`Bearer error="invalid_request", error_description="the Authorization header has no access token", ` + aboutOrders},
		"two headers": {[]string{"Bearer a", "Bearer b"}, nil, 400,
			`Bearer error="invalid_request", error_description="the request has several Authorization headers", ` + aboutOrders},
		"made up": {[]string{"Bearer abc"}, step, 401,
			`Bearer error="invalid_token", error_description="the access token is not active", ` + aboutOrders},
		"without the scope": {[]string{"Bearer " + a.JWT(a.Claims(orders, "orders:list"))}, []rs.Requirement{rs.Scope("orders:read", "orders:write")}, 403,
			`Bearer error="insufficient_scope", error_description="the access token does not have the scope that this takes", scope="orders:read orders:write", ` + aboutOrders},
		"too weak": {[]string{"Bearer " + a.JWT(weak)}, step, 401,
			`Bearer error="insufficient_user_authentication", error_description="this takes a stronger sign-in", acr_values="urn:sallyport:acr:2fa", max_age="300", ` + aboutOrders},
		"too weak, at any age": {[]string{"Bearer " + a.JWT(weak)}, []rs.Requirement{rs.ACR(rs.ACRPHR, rs.AnyAge)}, 401,
			`Bearer error="insufficient_user_authentication", error_description="this takes a stronger sign-in", acr_values="phr", ` + aboutOrders},
		"too old": {[]string{"Bearer " + a.JWT(old)}, []rs.Requirement{rs.MaxAge(90 * time.Second)}, 401,
			`Bearer error="insufficient_user_authentication", error_description="this takes a more recent sign-in", max_age="90", ` + aboutOrders},
	} {
		w := a.get(http.Header{"Authorization": c.authorization}, c.requirements...)
		if got := w.Header()["Www-Authenticate"]; w.Code != c.status || !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s: got %d %q, want %d %q", name, w.Code, got, c.status, c.want)
		}
		if w.Header().Get("Content-Type") != "application/json" || !strings.HasPrefix(w.Body.String(), "{") || w.Body.Len() > 256 {
			t.Errorf("%s: got %v %s", name, w.Header(), w.Body)
		}
	}
}

// TestWhereTheTokenIs: in one Authorization header and nowhere else.
func TestWhereTheTokenIs(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	token := a.JWT(a.Claims(orders, ""))
	request := func(method, target, body string, authorization ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		r.Header["Authorization"] = authorization
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return a.serve(r)
	}
	a.wantAccepted("lower case", request("GET", "/", "", "bearer "+token))
	a.wantAccepted("spaces", request("GET", "/", "", "BEARER   "+token+" "))
	a.wantRefused("in the query", request("GET", "/?access_token="+token, ""), 400, "invalid_request")
	a.wantRefused("in the query, in disguise", request("GET", "/?a=1;%61ccess_token="+token, ""), 400, "invalid_request")
	a.wantRefused("in the query too", request("GET", "/?access_token="+token, "", "Bearer "+token), 400, "invalid_request")
	a.wantRefused("in the query, empty", request("GET", "/?access_token", "", "Bearer "+token), 400, "invalid_request")
	a.wantRefused("in the body", request("POST", "/", "access_token="+token), 401, "")
	a.wantRefused("twice, the same", request("GET", "/", "", "Bearer "+token, "Bearer "+token), 400, "invalid_request")
	a.wantInvalid("two in one", request("GET", "/", "", "Bearer "+token+" "+token))
	a.wantInvalid("two in one, by a comma", request("GET", "/", "", "Bearer "+token+", Bearer "+token))
	a.wantInvalid("a tab", request("GET", "/", "", "Bearer \t"+token))
	a.wantInvalid("not ASCII", request("GET", "/", "", "Bearer "+token+"é"))
	a.wantRefused("no space", request("GET", "/", "", "Bearer"+token), 401, "")
	a.wantRefused("no scheme", request("GET", "/", "", token), 401, "")
	a.wantRefused("empty", request("GET", "/", "", ""), 401, "")
}

// TestNothingLeaks: neither the token nor what was in it comes back, and no log has
// it.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	a := newAPI(t, func(c *rs.Config) { c.Logger = debugLogger(&log) })
	claims := a.Claims("https://secret.example.com/", "secret")
	claims["sub"] = "secret"
	for _, token := range []string{"secret.secret", a.JWT(claims), a.Opaque(claims)} {
		w := a.bearer(token)
		answer := w.Body.String() + strings.Join(w.Header()["Www-Authenticate"], "")
		if strings.Contains(answer, "secret") || strings.Contains(answer, token) {
			t.Errorf("got %s", answer)
		}
		if strings.Contains(log.String(), token) || strings.Contains(log.String(), "secret.example") {
			t.Errorf("logged %s", log.String())
		}
	}
	if !strings.Contains(log.String(), "for another API") {
		t.Errorf("the reason is not logged: %s", log.String())
	}
}

// TestOutageIsOneWarningAMinute: an outage under load does not drown the log.
func TestOutageIsOneWarningAMinute(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	a := newAPI(t, func(c *rs.Config) { c.Logger = debugLogger(&log) })
	a.SetDown(true)
	for range 100 {
		a.bearer(a.JWT(a.Claims(orders, "")))
	}
	if got := strings.Count(log.String(), "level=WARN"); got != 1 {
		t.Errorf("got %d warnings, want 1", got)
	}
	if !strings.Contains(log.String(), "status 503") {
		t.Errorf("got no cause: %s", log.String())
	}
}

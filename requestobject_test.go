package sallyport_test

import (
	"maps"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// object is a good request object, with these claims in the place of its own.
func (s *signing) object(change ...any) string {
	now := s.clock.Now()
	claims := map[string]any{"iss": s.id, "aud": s.issuer, "exp": now.Add(time.Minute).Unix(), "nbf": now.Unix()}
	for name := range wanted(s.id) {
		claims[name] = wanted(s.id).Get(name)
	}
	for i := 0; i < len(change); i += 2 {
		claims[change[i].(string)] = change[i+1]
	}
	return s.sign(oidc.RequestObjectType, claims)
}

// A signed request counts as it was signed, from a browser and pushed; and a client can
// be held to it.
func TestRequestObject(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	web := r.signs("web")
	r.changeClient("web", func(c *oidc.Client) { c.RequireSigned = true })
	b := r.browser()
	b.authorize("web").mustRefuse(oidc.InvalidRequest)
	query := url.Values{"client_id": {"web"}, "request": {web.object()}, "state": {"front"}, "redirect_uri": {"https://evil.example/"}, "prompt": {"none"}}
	answer := b.signIn(r.mina, b.get("/authorize?"+query.Encode()))
	answer.mustCode()
	if got := answer.location.Query().Get("state"); got != "pushed" {
		t.Errorf("got state %q, want the signed one", got)
	}
	status, pushed := web.post("/par", web.assertion(), url.Values{"request": {web.object()}})
	if status != http.StatusCreated {
		t.Fatalf("pushed: got %d %v, want 201", status, pushed)
	}
	b.get("/authorize?" + refers("web", pushed["request_uri"].(string)).Encode()).mustCode()
	if _, answer := web.post("/par", web.assertion(), wanted("web")); answer["error"] != oidc.InvalidRequest {
		t.Errorf("pushed without a signature: got %v, want invalid_request", answer)
	}
}

// What is wrong with a request object is shown, never redirected: nothing in it is
// proven. Pushed, it is JSON.
func TestRequestObjectRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	web, other := r.signs("web"), r.signs("eddsa")
	stolen := *other
	stolen.id = "web"
	for what, c := range map[string]struct{ object, want string }{
		"of another client's key": {stolen.object(), oidc.InvalidRequestObject},
		"another client_id":       {web.object("client_id", "eddsa"), oidc.InvalidRequestObject},
		"an assertion":            {web.assertion(), oidc.InvalidRequestObject},
		"another redirect_uri":    {web.object("redirect_uri", "https://evil.example/"), oidc.InvalidRequest},
		"request_uri in it":       {web.object("request_uri", "urn:x"), oidc.InvalidRequestObject},
	} {
		query := maps.Clone(wanted("web"))
		query.Set("request", c.object)
		if page := r.browser().get("/authorize?" + query.Encode()); page.status != http.StatusBadRequest {
			t.Errorf("%s: got %d, want a page with 400", what, page.status)
		}
		if status, answer := web.post("/par", web.assertion(), query); status != http.StatusBadRequest || answer["error"] != c.want {
			t.Errorf("%s, pushed: got %d %v, want %s", what, status, answer, c.want)
		}
	}
	if status, answer := web.post("/token", web.object("sub", "web", "grant_type", "x"), url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"rt_a.b"}}); answer["error"] != oidc.InvalidClient {
		t.Errorf("as an assertion: got %d %v, want invalid_client", status, answer)
	}
	r.browser().authorize("asks", "request", "e30.e30.x").mustRefuse(oidc.RequestNotSupported) // it has no keys
	r.browser().authorize("web", "request_uri", "https://shop.example/r").mustRefuse(oidc.RequestURINotSupported)
}

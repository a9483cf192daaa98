package sallyport_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// answerTo sends a request to an endpoint of programs.
func (r *rig) answerTo(req *http.Request) (status int, answer map[string]any) {
	r.t.Helper()
	resp, err := http.DefaultClient.Do(req)
	r.must(err)
	defer resp.Body.Close()
	_ = json.NewDecoder(resp.Body).Decode(&answer)
	return resp.StatusCode, answer
}

// wanted is a good authorization request of a client, changed by pairs; "" takes one away.
func wanted(client string, change ...string) url.Values {
	form := url.Values{"client_id": {client}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid"}, "state": {"pushed"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"}}
	for i := 0; i < len(change); i += 2 {
		if form.Set(change[i], change[i+1]); change[i+1] == "" {
			form.Del(change[i])
		}
	}
	return form
}

// push sends a request ahead and returns its request_uri.
func (r *rig) push(client string, change ...string) string {
	r.t.Helper()
	status, answer := r.postForm("/par", client, wanted(client, change...))
	uri, _ := answer["request_uri"].(string)
	if status != http.StatusCreated || answer["expires_in"] != 60.0 || !strings.HasPrefix(uri, oidc.RequestURIPrefix) {
		r.t.Fatalf("got %d %v, want 201 with a request_uri for 60 seconds", status, answer)
	}
	return uri
}

func refers(client, uri string, more ...string) url.Values {
	v := url.Values{"client_id": {client}, "request_uri": {uri}}
	for i := 0; i < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v
}

// A request that was sent ahead counts as it was sent, whatever the browser says; until
// it is answered it may be opened again, and then no more.
func TestPushedRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	uri := r.push("web")
	b := r.browser()
	b.get("/authorize?" + refers("web", uri).Encode())
	page := b.get("/authorize?" + refers("web", uri, "state", "front", "redirect_uri", "https://evil.example/", "scope", "openid email").Encode())
	answer := b.signIn(r.mina, page)
	if got := answer.location.Query().Get("state"); got != "pushed" {
		t.Errorf("got state %q, want the pushed one", got)
	}
	if got := r.redeem("web", answer.mustCode()); got.status != http.StatusOK || got.Scope != "openid" {
		t.Errorf("got %+v, want tokens for openid", got)
	}
	if again := b.get("/authorize?" + refers("web", uri).Encode()); again.status != http.StatusBadRequest {
		t.Errorf("after the answer: got %d, want a page with 400", again.status)
	}
}

// Two tabs began with one request: one of them ends in a code.
func TestPushedRequestIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	uri := r.push("web")
	one, two := r.browser(), r.browser()
	first, second := one.get("/authorize?"+refers("web", uri).Encode()), two.get("/authorize?"+refers("web", uri).Encode())
	r.clock.advance(2 * time.Minute) // who has begun may take that long
	one.signIn(r.mina, first).mustCode()
	r.clock.advance(time.Minute)
	if page := two.signIn(r.mina, second); page.status != http.StatusGone {
		t.Errorf("the second: got %d, want a page with 410", page.status)
	}
	again := r.push("web")
	one.get("/authorize?" + refers("web", again).Encode()).mustCode() // signed in already
	if page := one.get("/authorize?" + refers("web", again).Encode()); page.status != http.StatusBadRequest {
		t.Errorf("without a page, again: got %d, want a page with 400", page.status)
	}
}

// Whoever refers to a request that is not good gets a page, and nobody is sent anywhere.
func TestPushedRequestIsItsClients(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	uri := r.push("web")
	for what, query := range map[string]url.Values{
		"another client": refers("asks", uri), "no client": {"request_uri": {uri}}, "a wrong secret": refers("web", uri+"x"),
		"an unknown one": refers("web", oidc.RequestURIPrefix+"a.b"), "nothing of it": refers("web", oidc.RequestURIPrefix),
		"two": {"client_id": {"web"}, "request_uri": {uri, uri}}, "a request object, too": refers("web", uri, "request", "e30.e30."),
	} {
		query.Set("redirect_uri", callback)
		if page := r.browser().get("/authorize?" + query.Encode()); page.status != http.StatusBadRequest {
			t.Errorf("%s: got %d, want a page with 400", what, page.status)
		}
	}
	r.clock.advance(time.Minute)
	if page := r.browser().get("/authorize?" + refers("web", uri).Encode()); page.status != http.StatusBadRequest {
		t.Errorf("expired: got %d, want a page with 400", page.status)
	}
	gone := r.push("web")
	r.changeClient("web", func(c *oidc.Client) { c.RedirectURIs = []string{"https://new.example/"} })
	if page := r.browser().get("/authorize?" + refers("web", gone).Encode()); page.status != http.StatusBadRequest {
		t.Errorf("redirect URI taken away since: got %d, want a page with 400", page.status)
	}
}

// What the authorization endpoint would refuse is refused, as JSON, and who sends it
// must be the client.
func TestPushedRequestRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for what, c := range map[string]struct {
		change []string
		want   string
	}{
		"no redirect_uri":         {[]string{"redirect_uri", ""}, oidc.InvalidRequest},
		"another redirect_uri":    {[]string{"redirect_uri", "https://evil.example/"}, oidc.InvalidRequest},
		"another response_type":   {[]string{"response_type", "code id_token"}, oidc.UnsupportedResponseType},
		"no PKCE":                 {[]string{"code_challenge", "", "code_challenge_method", ""}, oidc.InvalidRequest},
		"plain PKCE":              {[]string{"code_challenge_method", "plain"}, oidc.InvalidRequest},
		"a scope that is not its": {[]string{"scope", "openid admin"}, oidc.InvalidScope},
		"an API that is not its":  {[]string{"resource", orders}, oidc.InvalidTarget},
		"request_uri":             {[]string{"request_uri", "urn:x"}, oidc.InvalidRequest},
		"id_token_hint":           {[]string{"id_token_hint", "e30.e30.x"}, oidc.InvalidRequest},
		"another client_id":       {[]string{"client_id", "asks"}, oidc.InvalidClient},
		"too much":                {[]string{"state", strings.Repeat("x", 5000)}, oidc.InvalidRequest},
	} {
		if status, answer := r.postForm("/par", "web", wanted("web", c.change...)); status < 400 || status >= 500 || answer["error"] != c.want || answer["request_uri"] != nil {
			t.Errorf("%s: got %d %v, want %s", what, status, answer, c.want)
		}
	}
	for what, form := range map[string]url.Values{"no secret": wanted("web"), "a wrong one": wanted("web", "client_secret", "x"), "nobody": wanted("nobody")} {
		if _, answer := r.postForm("/par", "", form); answer["error"] != oidc.InvalidClient {
			t.Errorf("%s: got %v, want invalid_client", what, answer)
		}
	}
	if status, answer := r.postForm("/par", "", wanted("spa")); status != http.StatusCreated {
		t.Errorf("a public client: got %d %v, want 201", status, answer)
	}
	if status, _ := r.postForm("/par", "web", wanted("web", "x", strings.Repeat("x", 70<<10))); status != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: got %d, want 413", status)
	}
	resp, err := http.Get(r.issuer + "/par")
	r.must(err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: got %d, want 405", resp.StatusCode)
	}
}

// A client can be held to push: then nothing else begins a sign-in.
func TestPushedRequestRequired(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.changeClient("web", func(c *oidc.Client) { c.RequirePushed = true })
	b := r.browser()
	b.authorize("web").mustRefuse(oidc.InvalidRequest)
	b.authorize("web", "pushed_id", "x", "PushedID", "x").mustRefuse(oidc.InvalidRequest)
	b.signIn(r.mina, b.get("/authorize?"+refers("web", r.push("web")).Encode())).mustCode()
}

// A pushed request with a DPoP proof binds its code to the key (RFC 9449 §10.1).
func TestPushedRequestWithDPoP(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	h, other := r.holder(), r.holder()
	push := func(proof string, form url.Values) (int, map[string]any) {
		req, err := http.NewRequest("POST", r.issuer+"/par", strings.NewReader(form.Encode()))
		r.must(err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("DPoP", proof)
		return r.answerTo(req)
	}
	form := wanted("spa")
	status, answer := push(h.proof("POST", "/par"), form)
	if status != http.StatusCreated {
		t.Fatalf("got %d %v, want 201", status, answer)
	}
	b := r.browser()
	code := b.signIn(r.mina, b.get("/authorize?"+refers("spa", answer["request_uri"].(string)).Encode())).mustCode()
	if got, _ := other.sends("spa", redeeming(code), other.proof("POST", "/token")); got.status == http.StatusOK {
		t.Errorf("another key: got %+v, want a refusal", got)
	}
	mixed := maps.Clone(form)
	mixed.Set("dpop_jkt", h.thumbprint())
	if _, answer := push(other.proof("POST", "/par"), mixed); answer["error"] != oidc.InvalidDPoPProof {
		t.Errorf("another dpop_jkt: got %v, want invalid_dpop_proof", answer)
	}
	if _, answer := push(h.proof("POST", "/token"), form); answer["error"] != oidc.InvalidDPoPProof {
		t.Errorf("a proof for another endpoint: got %v, want invalid_dpop_proof", answer)
	}
}

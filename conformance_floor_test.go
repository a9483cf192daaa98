package sallyport_test

import (
	"encoding/json"
	"html"
	"io"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// What every module checks of every answer, whatever it is about.

// reply is an answer to a program.
type reply struct {
	status int
	header http.Header
	json   map[string]any
}

// send is a request of a program; a form makes it a POST. header are pairs.
func (s *suite) send(path string, form url.Values, header ...string) reply {
	s.t.Helper()
	method, body := "GET", io.Reader(nil)
	if form != nil {
		method, body = "POST", strings.NewReader(form.Encode())
	}
	req, err := http.NewRequest(method, s.issuer+path, body)
	s.must(err)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	s.must(err)
	defer resp.Body.Close()
	got := reply{status: resp.StatusCode, header: resp.Header}
	_ = json.NewDecoder(resp.Body).Decode(&got.json)
	return got
}

// discovery reads the metadata and the key set.
func (s *suite) discovery() map[string]any {
	s.t.Helper()
	got := s.send("/.well-known/openid-configuration", nil)
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json" || got.json["issuer"] != s.issuer {
		s.t.Fatalf("metadata: got %d %v %v", got.status, got.header, got.json)
	}
	s.keySet()
	return got.json
}

// keySet are the keys of the server: public, strong, and told apart by kid.
func (s *suite) keySet() jose.JSONWebKeySet {
	s.t.Helper()
	got := s.send("/jwks.json", nil)
	seen := map[any]bool{}
	for _, of := range got.json["keys"].([]any) {
		key := of.(map[string]any)
		if key["kid"] == "" || seen[key["kid"]] {
			s.t.Errorf("keys: kid %v is empty or there twice", key["kid"])
		}
		seen[key["kid"]] = true
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
			if key[private] != nil {
				s.t.Errorf("key %v has %s", key["kid"], private)
			}
		}
		if modulus, _ := key["n"].(string); key["kty"] == "RSA" && len(modulus) < 2048/6 {
			s.t.Errorf("key %v is too short", key["kid"])
		}
	}
	var set jose.JSONWebKeySet
	text, err := json.Marshal(got.json)
	s.must(err)
	s.must(json.Unmarshal(text, &set))
	return set
}

var (
	anyField  = regexp.MustCompile(`<input type="hidden" name="([a-z_]+)" value="([^"]*)"`)
	errorText = regexp.MustCompile(`^[\x20\x21\x23-\x5b\x5d-\x7e]*$`) // RFC 6749 App. A.7, A.8
)

// answered reads what the browser brings to the client of a request.
func (s *suite) answered(v *view, request url.Values) url.Values {
	s.t.Helper()
	got := s.brought(v, request)
	for name, values := range got {
		if len(values) != 1 {
			s.t.Errorf("%s is there %d times", name, len(values))
		}
		if !slices.Contains([]string{"code", "state", "iss", "error", "error_description", "error_uri"}, name) {
			s.t.Errorf("the answer has %s", name)
		}
	}
	if !slices.Equal(got["state"], request["state"]) {
		s.t.Errorf("got state %q, want %q", got["state"], request["state"])
	}
	if got.Get("iss") != s.issuer {
		s.t.Errorf("got iss %q, want %q", got.Get("iss"), s.issuer)
	}
	if got.Has("code") == got.Has("error") {
		s.t.Errorf("got %v, want a code or an error", got)
	}
	for _, name := range []string{"error", "error_description"} {
		if !errorText.MatchString(got.Get(name)) {
			s.t.Errorf("%s has characters that it must not have: %q", name, got.Get(name))
		}
	}
	if got.Has("code") {
		s.unguessable("code", got.Get("code"))
	}
	return got
}

// brought are the parameters, wherever the response mode has them, and nowhere else.
func (s *suite) brought(v *view, request url.Values) url.Values {
	s.t.Helper()
	redirect := request.Get("redirect_uri")
	got := url.Values{}
	if request.Get("response_mode") == oidc.ResponseModeFormPost {
		if v.status != http.StatusOK || v.location != nil || !strings.Contains(v.body, `<form method="post" action="`+html.EscapeString(redirect)+`"`) ||
			v.header.Get("Cache-Control") != "no-store" {
			s.t.Fatalf("got %d %v, want a page with a form for %s\n%s", v.status, v.location, redirect, v.body)
		}
		v.mustHave(`<button id="continue"`)
		for _, field := range anyField.FindAllStringSubmatch(v.body, -1) {
			got.Add(field[1], html.UnescapeString(field[2]))
		}
		return got
	}
	if v.location == nil || v.status != http.StatusSeeOther || !strings.HasPrefix(v.location.String(), redirect) || strings.Contains(v.location.String(), "#") {
		s.t.Fatalf("got %d %v, want a redirect to %s, without a fragment\n%s", v.status, v.location, redirect, v.body)
	}
	got = v.location.Query()
	own, err := url.Parse(redirect)
	s.must(err)
	for name, values := range own.Query() {
		if !slices.Equal(got[name], values) {
			s.t.Errorf("of the redirect URI's own query %s is %q, want %q", name, got[name], values)
		}
		delete(got, name)
	}
	return got
}

// code is the code of an answer that must have one.
func (s *suite) gotCode(v *view, request url.Values) string {
	s.t.Helper()
	got := s.answered(v, request)
	if got.Get("code") == "" {
		s.t.Fatalf("got %v, want a code", got)
	}
	return got.Get("code")
}

// refusedWith wants an answer with one of these errors.
func (s *suite) refusedWith(v *view, request url.Values, codes ...string) {
	s.t.Helper()
	if got := s.answered(v, request); !slices.Contains(codes, got.Get("error")) {
		s.t.Errorf("got %v, want error %v", got, codes)
	}
}

// shown wants an error page, there and then, and that nobody is sent anywhere.
func (s *suite) shown(v *view) {
	s.t.Helper()
	if v.status < 400 || v.status >= 500 || v.path != "/authorize" || v.location != nil || v.step() != "" || anyField.MatchString(v.body) {
		s.t.Errorf("got %d %v, want an error page\n%s", v.status, v.location, v.body)
	}
}

// unguessable: at least 128 bits long, and 96 of measured entropy.
func (s *suite) unguessable(what, value string) {
	s.t.Helper()
	times := map[rune]float64{}
	for _, c := range value {
		times[c]++
	}
	bits, length := 0.0, float64(len(value))
	for _, n := range times {
		bits -= n * math.Log2(n/length)
	}
	if len(value)*8 < 128 || bits < 96 {
		s.t.Errorf("%s has %d characters and %.0f bits: %q", what, len(value), bits, value)
	}
}

// issued is what the token endpoint gave.
type issued struct {
	access, refresh, id string
	claims              map[string]any // of the ID token
	header              jose.Header    // of the ID token
}

// tokens reads a good answer of the token endpoint to a client that got its code with
// this request.
func (s *suite) tokens(got reply, request url.Values) issued {
	s.t.Helper()
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json" || got.header.Get("Cache-Control") != "no-store" ||
		got.header.Get("Pragma") != "no-cache" {
		s.t.Fatalf("token: got %d %v %v", got.status, got.header, got.json)
	}
	for name := range got.json {
		if !slices.Contains([]string{"access_token", "token_type", "expires_in", "refresh_token", "id_token", "scope"}, name) {
			s.t.Errorf("token: the answer has %s", name)
		}
	}
	text := func(name string) string { value, _ := got.json[name].(string); return value }
	i := issued{access: text("access_token"), refresh: text("refresh_token"), id: text("id_token")}
	if lasts, ok := got.json["expires_in"].(float64); !ok || lasts <= 0 {
		s.t.Errorf("token: got expires_in %v", got.json["expires_in"])
	}
	s.unguessable("access_token", i.access)
	if i.refresh != "" {
		s.unguessable("refresh_token", i.refresh)
	}
	i.claims, i.header = s.idToken(i.id)
	if i.claims["aud"] != request.Get("client_id") {
		s.t.Errorf("ID token: got aud %v, want %s", i.claims["aud"], request.Get("client_id"))
	}
	if nonce, sent := i.claims["nonce"]; sent != request.Has("nonce") || sent && nonce != request.Get("nonce") {
		s.t.Errorf("ID token: got nonce %v, want %q", nonce, request["nonce"])
	}
	return i
}

// idTokenClaims are all that may be in an ID token that nobody asked for more.
var idTokenClaims = []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid"}

// idToken verifies one.
func (s *suite) idToken(text string) (map[string]any, jose.Header) {
	s.t.Helper()
	jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA})
	if err != nil {
		s.t.Fatalf("ID token: %v: %q", err, text)
	}
	header := jws.Signatures[0].Protected
	keys := s.keySet()
	found := keys.Key(header.KeyID)
	if header.KeyID == "" || len(found) != 1 || found[0].Algorithm != header.Algorithm {
		s.t.Fatalf("ID token: kid %q is of %d keys", header.KeyID, len(found))
	}
	payload, err := jws.Verify(found[0])
	s.must(err)
	var claims map[string]any
	s.must(json.Unmarshal(payload, &claims))
	now := float64(s.clock.Now().Unix())
	number := func(name string) float64 { n, _ := claims[name].(float64); return n }
	if claims["iss"] != s.issuer || claims["sub"] != s.user.id || number("exp") <= now || number("iat") > now || number("iat") < now-60 {
		s.t.Errorf("ID token: got %v", claims)
	}
	for name, value := range claims {
		_, isText := value.(string)
		switch {
		case !slices.Contains(idTokenClaims, name):
			s.t.Errorf("ID token: has %s", name)
		case name == "auth_time" && (number(name) <= 0 || number(name) > now), name == "acr" && !isText, name == "sid" && !isText:
			s.t.Errorf("ID token: got %s %v", name, value)
		}
	}
	return claims, header
}

// refused wants a token endpoint's error.
func (s *suite) refused(got reply, codes ...string) {
	s.t.Helper()
	s.refusedJSON(got, codes...)
	if got.status != http.StatusBadRequest && (got.status != http.StatusUnauthorized || got.json["error"] != oidc.InvalidClient) {
		s.t.Errorf("got %d %v, want 400", got.status, got.json)
	}
}

// refusedJSON wants an error in JSON, as the standards write it.
func (s *suite) refusedJSON(got reply, codes ...string) {
	s.t.Helper()
	code, _ := got.json["error"].(string)
	description, _ := got.json["error_description"].(string)
	if got.status < 400 || got.status >= 500 || !slices.Contains(codes, code) || got.header.Get("Content-Type") != "application/json" ||
		got.header.Get("Cache-Control") != "no-store" || !errorText.MatchString(description) {
		s.t.Errorf("got %d %v %v, want error %v", got.status, got.header, got.json, codes)
	}
	for name := range got.json {
		if name != "error" && name != "error_description" {
			s.t.Errorf("the error has %s", name)
		}
	}
}

// everyClaim is what the user has of the standard claims (OpenID Connect Core §5.1)
// beside name and e-mail; claimForms is what they must look like, by scope.
var everyClaim = map[string]string{
	"given_name": "Oi", "family_name": "Df", "middle_name": "M", "nickname": "oi", "profile": "https://oidf.example/", "picture": "https://oidf.example/me.png",
	"website": "https://oidf.example/", "gender": "other", "birthdate": "1990-01-31", "zoneinfo": "Asia/Seoul",
	"address":      `{"formatted":"1 Road\nSeoul","street_address":"1 Road","locality":"Seoul","region":"Seoul","postal_code":"04524","country":"KR"}`,
	"phone_number": "+82 2 1234 5678", "phone_number_verified": "true",
}

var claimForms = map[string]map[string]*regexp.Regexp{
	"profile": {
		"name": form(`"OIDF"`), "given_name": form(`"Oi"`), "family_name": form(`"Df"`), "middle_name": form(`"M"`), "nickname": form(`"oi"`),
		"preferred_username": form(`"oidf"`), "profile": form(`"https://.*"`), "picture": form(`"https://.*"`), "website": form(`"https://.*"`),
		"gender": form(`".*"`), "birthdate": form(`"\d{4}-\d\d-\d\d"`), "zoneinfo": form(`"[A-Z][A-Za-z]+/[A-Z][A-Za-z]+"`), "locale": form(`"[a-z]{2}-[A-Z]{2}"`),
		"updated_at": form(`\d+`),
	},
	"email":   {"email": form(`"[^"]+@[^"]+"`), "email_verified": form(`false`)},
	"address": {"address": form(`\{.*"formatted":".*\}`)},
	"phone":   {"phone_number": form(`"\+.*"`), "phone_number_verified": form(`true`)},
}

func form(text string) *regexp.Regexp { return regexp.MustCompile(`^` + text + `$`) }

// claims wants userinfo to have these scopes' claims, each in its form, and no others.
func (s *suite) claims(info map[string]any, scopes ...string) {
	s.t.Helper()
	want := map[string]*regexp.Regexp{"sub": form(`"` + s.user.id + `"`)}
	for _, scope := range scopes {
		for name, form := range claimForms[scope] {
			want[name] = form
		}
	}
	for name, form := range want {
		value, err := json.Marshal(info[name])
		s.must(err)
		if !form.Match(value) {
			s.t.Errorf("userinfo: got %s %s, want %v", name, value, form)
		}
	}
	for name := range info {
		if want[name] == nil {
			s.t.Errorf("userinfo: has %s, which was not asked for", name)
		}
	}
}

// userinfoOf reads a good answer of the userinfo endpoint.
func (s *suite) userinfoOf(got reply) map[string]any {
	s.t.Helper()
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json" || got.json["sub"] != s.user.id {
		s.t.Fatalf("userinfo: got %d %v %v", got.status, got.header, got.json)
	}
	return got.json
}

// supports reports whether the metadata have a value in a list.
func (s *suite) supports(list, value string) bool {
	s.t.Helper()
	values, _ := s.discovery()[list].([]any)
	return slices.Contains(values, any(value))
}

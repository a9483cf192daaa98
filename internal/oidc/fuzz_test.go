package oidc_test

import (
	"encoding/json"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// hostile are queries and bodies that once broke somebody's server.
var hostile = []string{
	"", "&", "=", "a", "client_id", "client_id=&client_id=shop",
	"client_id=shop&redirect_uri=https://shop.example/cb&response_type=code&scope=openid&state=%00",
	"client_id=shop&redirect_uri=https://shop.example/cb%23&response_type=code",
	"client_id=shop&redirect_uri=https://shop.example/cb&redirect_uri=https://evil.example/",
	"client_id=shop&redirect_uri=https://shop.example@evil.example/cb",
	"client_id=shop&redirect_uri=http://127.0.0.1:1%0d%0aX:y/cb",
	"client_id=shop&redirect_uri=https://shop.example/cb&state=%ff%fe&nonce=%e2%80%ae",
	"client_id=shop&redirect_uri=https://shop.example/cb&max_age=99999999999999999999&prompt=none+none+login",
	`client_id=shop&redirect_uri=https://shop.example/cb&claims={"id_token":{"acr":{"essential":true,"values":["phr",{}]}}}`,
	"client_id=shop&redirect_uri=https://shop.example/cb&scope=%22%5c%e3%80%80&acr_values=++++",
	"grant_type=authorization_code&code=%00&client_id=a&client_secret=b&client_assertion=c",
	"grant_type=refresh_token&refresh_token=" + strings.Repeat("a", 600) + "&client_id=%ff",
	"grant_type=authorization_code&code=a&code_verifier=%0a",
	"post_logout_redirect_uri=javascript:alert(1)&state=%0d%0a&id_token_hint=..",
	"access_token=%20&access_token=",
	"client_id=shop&redirect_uri=https://shop.example/cb&response_type=code&scope=read&resource=https://api.example/&resource=%00",
	"grant_type=client_credentials&client_id=a&resource=https://api.example/%23&resource=https:&resource=//a",
	"grant_type=client_credentials&client_id=a&resource=urn:a&resource=http://[::1]&resource=https://%00",
	"token=ct_a.b&token_type_hint=%00&client_id=orders&client_secret=a",
}

var hostileHeaders = []string{
	"", " ", "Basic", "Basic ", "Basic Og==", "Basic YTo=", "basic YSUwMDpi", "Basic c2hvcDpzM2NyZXQ=", "Basic /w==", "Basic YTpi, Basic YTpi",
	"Bearer", "Bearer ", "Bearer \x00", "Bearer a\r\nX: y", "bearer a b", "Bearer ====", "Digest a=b", "\xff\xff \xff",
}

// clean fails the test unless every string in v is UTF-8 without control
// characters: the promise of every Parse function.
func clean(t *testing.T, v any) {
	t.Helper()
	walk(reflect.ValueOf(v), func(s string) {
		if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
			t.Errorf("got %q in %+v", s, v)
		}
	})
}

func walk(v reflect.Value, visit func(string)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			walk(v.Elem(), visit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			walk(v.Field(i), visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), visit)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			walk(key, visit)
			walk(v.MapIndex(key), visit)
		}
	case reflect.String:
		visit(v.String())
	}
}

// The endpoint's way with any query ends at a registered redirect URI, or here.
func FuzzParseAuthorizationRequest(f *testing.F) {
	for _, query := range hostile {
		f.Add(query)
	}
	f.Add(asks("prompt", "login", "max_age", "5", "response_mode", "form_post").Encode())
	native := shop()
	native.NativeApp, native.RedirectURIs = true, []string{"http://127.0.0.1/cb", "com.example.app:/cb"}
	f.Fuzz(func(t *testing.T, query string) {
		v, _ := url.ParseQuery(query) // what could be read of a bad one, too
		for _, c := range []*oidc.Client{shop(), native} {
			r, unproven, refusal := oidc.ParseAuthorizationRequest(v)
			clean(t, r)
			if unproven == nil {
				unproven = r.CheckRedirectURI(c)
			}
			if unproven != nil {
				continue
			}
			if !ours(c, r.RedirectURI) {
				t.Fatalf("proven, but not the client's: %q", r.RedirectURI)
			}
			if refusal == nil {
				refusal = r.Check(c, api())
			}
			if refusal == nil && len(r.Resources) > 0 {
				t.Fatalf("passed for %q, which the client may not use", r.Resources)
			}
			checkDelivery(t, r, refusal)
			if refusal == nil {
				checkGood(t, c, r)
			}
		}
	})
}

// ours: registered, or a native app's loopback URI with a port.
func ours(c *oidc.Client, uri string) bool {
	if slices.Contains(c.RedirectURIs, uri) {
		return true
	}
	u, err := url.Parse(uri)
	return err == nil && c.NativeApp && u.Scheme == "http" && u.Hostname() == "127.0.0.1" && u.Path == "/cb" &&
		u.User == nil && u.RawQuery == "" && !strings.Contains(uri, "#")
}

// checkDelivery: the answer arrives there, with the state, and without a
// parameter of the client's making.
func checkDelivery(t *testing.T, r *oidc.AuthorizationRequest, refusal *oidc.Error) {
	t.Helper()
	response := oidc.AuthorizationResponse{Code: "c", Error: refusal, State: r.State, Issuer: "https://id.example"}
	to := response.RedirectURL(r.RedirectURI)
	if !strings.HasPrefix(to, r.RedirectURI+"?") || strings.ContainsFunc(to, func(c rune) bool { return c <= ' ' || c > '~' || c == '#' }) {
		t.Fatalf("got a redirect to %q", to)
	}
	q, err := url.ParseQuery(strings.TrimPrefix(to, r.RedirectURI+"?"))
	if err != nil || q.Get("state") != r.State || q.Get("iss") != "https://id.example" || (refusal == nil) != (q.Get("code") == "c") {
		t.Fatalf("got %q (%v) of state %q", to, err, r.State)
	}
	for name, values := range q {
		if len(values) != 1 || !slices.Contains([]string{"code", "error", "error_description", "state", "iss"}, name) {
			t.Fatalf("got %s=%q in %q", name, values, to)
		}
	}
}

// checkGood: a request that passed is one that the client may make, and what an
// interaction keeps of it is the same.
func checkGood(t *testing.T, c *oidc.Client, r *oidc.AuthorizationRequest) {
	t.Helper()
	for _, scope := range r.Scope {
		if !slices.Contains(c.Scopes, scope) {
			t.Fatalf("passed with scope %q", scope)
		}
	}
	if len(r.Scope) == 0 || len(r.CodeChallenge) != 43 || r.CodeChallengeMethod != "S256" || r.ResponseType != "code" ||
		!slices.Contains(c.ResponseModes, r.ResponseMode) || r.Prompt.None && (r.Prompt.Login || r.Prompt.Consent || r.Prompt.SelectAccount) ||
		r.MaxAge != nil && *r.MaxAge < 0 {
		t.Fatalf("passed: %+v", r)
	}
	body, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	again := new(oidc.AuthorizationRequest)
	if err := json.Unmarshal(body, again); err != nil {
		t.Fatal(err)
	}
	second, err := json.Marshal(again)
	if err != nil || string(second) != string(body) {
		t.Fatalf("kept as %s, read as %s (%v)", body, second, err)
	}
}

func FuzzParseClaims(f *testing.F) {
	for _, text := range []string{
		``, `{}`, `null`, `[]`, `{"userinfo":null,"id_token":{"acr":{"essential":true,"values":["phr"]},"sub":{"value":"a"}}}`,
		`{"id_token":{"acr":null,"acr":{}}}`, `{"id_token":{"a\u0000":null}}`, `{"userinfo":{"name":{"value":{"a":[[[[]]]]}}}}`,
		`{"\ud800":1}`, "{\"\xff\":1}", `{"userinfo":{"":{}}}`, `{"userinfo":{"a":{"values":[null,1,"b",true]}}} `, strings.Repeat("[", 100),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := oidc.ParseClaims(text)
		clean(t, c)
		if err != nil {
			if c.UserInfo != nil || c.IDToken != nil {
				t.Errorf("got %+v beside %v", c, err)
			}
			return
		}
		if !json.Valid([]byte(text)) {
			t.Errorf("took %q, which is no JSON", text)
		}
		if sub := c.IDToken["sub"]; len(sub.Values) > 1 {
			t.Errorf("took two users: %+v", sub)
		}
	})
}

func FuzzParseTokenRequest(f *testing.F) {
	for _, body := range hostile {
		f.Add("", body)
	}
	for _, header := range hostileHeaders {
		f.Add(header, "grant_type=authorization_code&code=a")
	}
	f.Fuzz(func(t *testing.T, authorization, body string) {
		v, _ := url.ParseQuery(body)
		r, refusal := oidc.ParseTokenRequest(header(authorization), v)
		if (r == nil) == (refusal == nil) {
			t.Fatalf("got %v and %v", r, refusal)
		}
		if r == nil {
			return
		}
		clean(t, r)
		a := r.Auth
		if a.ID == "" || len(a.ID) > 256 || (a.Method == oidc.AuthBasic) != (authorization != "") || a.Method == oidc.AuthNone && a.Secret != "" {
			t.Errorf("got %#v of %q", a, authorization)
		}
		if oidc.CheckSecret(shop(), a) == nil && a.Secret != "s3cret" {
			t.Errorf("let in with %q", string(a.Secret))
		}
	})
}

// FuzzParseTokenQuery: who asks is read as in a token request.
func FuzzParseTokenQuery(f *testing.F) {
	for _, body := range hostile {
		f.Add("", body)
	}
	for _, header := range hostileHeaders {
		f.Add(header, "token=a")
	}
	f.Fuzz(func(t *testing.T, authorization, body string) {
		v, _ := url.ParseQuery(body)
		q, refusal := oidc.ParseTokenQuery(header(authorization), v)
		if (q == nil) == (refusal == nil) {
			t.Fatalf("got %v and %v", q, refusal)
		}
		if q == nil {
			return
		}
		clean(t, q)
		if q.Token == "" || len(q.Token) > 4096 || q.Auth.ID == "" || (q.Auth.Method == oidc.AuthBasic) != (authorization != "") {
			t.Errorf("got %#v of %q, %q", q, authorization, body)
		}
	})
}

// FuzzValidateResourceURI: what may name an API is a URI to everybody, and the same
// one however often it is read.
func FuzzValidateResourceURI(f *testing.F) {
	for _, uri := range []string{"https://api.example/", "urn:a:b", "https:", "//a", "https://a#", "a:%00", "https://u@a", "http://[::1]:80/?q", "x:/", "mailto:a@b"} {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if oidc.ValidateResourceURI(uri) != nil {
			return
		}
		u, err := url.Parse(uri)
		if err != nil || u.Scheme == "" || u.Fragment != "" || u.User != nil || strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' }) {
			t.Fatalf("took %q", uri)
		}
		if again, err := url.Parse(u.String()); err != nil || again.Host != u.Host || again.Path != u.Path || again.Opaque != u.Opaque {
			t.Errorf("%q is read as %v and %v (%v)", uri, u, again, err)
		}
	})
}

func FuzzParseBasic(f *testing.F) {
	for _, header := range hostileHeaders {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		a, ok := oidc.ParseBasic(header)
		clean(t, a)
		if ok == (a == oidc.ClientAuth{}) || ok && (a.ID == "" || a.Method != oidc.AuthBasic) {
			t.Errorf("got %#v, %v of %q", a, ok, header)
		}
	})
}

func FuzzParseBearer(f *testing.F) {
	for _, h := range hostileHeaders {
		f.Add(h, "")
	}
	for _, body := range hostile {
		f.Add("", body)
		f.Add("Bearer abc", body)
	}
	f.Fuzz(func(t *testing.T, authorization, body string) {
		v, _ := url.ParseQuery(body)
		sent, refusal := oidc.ParseBearer(header(authorization), v)
		token := sent.Token
		if (token == "") == (refusal == nil) {
			t.Fatalf("got %q and %v", token, refusal)
		}
		if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == ',' }) {
			t.Errorf("got %q", token)
		}
		if refusal != nil && strings.ContainsAny(oidc.Challenge(refusal, sent.DPoP), "\r\n") {
			t.Errorf("got %q", oidc.Challenge(refusal, sent.DPoP))
		}
	})
}

// Only the registered URI is ever gone back to, whatever the request says.
func FuzzParseEndSessionRequest(f *testing.F) {
	for _, query := range hostile {
		f.Add(query)
	}
	f.Add("post_logout_redirect_uri=https://shop.example/bye&state=a+b")
	f.Fuzz(func(t *testing.T, query string) {
		v, _ := url.ParseQuery(query)
		r, refusal := oidc.ParseEndSessionRequest(v)
		clean(t, r)
		if refusal != nil || r.Check(shop()) != nil || r.PostLogoutRedirectURI == "" {
			return
		}
		to, found := strings.CutPrefix(r.ReturnURL(), "https://shop.example/bye")
		q, err := url.ParseQuery(strings.TrimPrefix(to, "?"))
		if !found || err != nil || q.Get("state") != r.State || (to == "") != (r.State == "") {
			t.Errorf("got %q of state %q", r.ReturnURL(), r.State)
		}
	})
}

// A redirect URI that may be registered has an answer that arrives where it says,
// and one origin, however it is read.
func FuzzValidateRedirectURI(f *testing.F) {
	for _, uri := range []string{"https://shop.example/cb", "http://[::1]:1/cb?a", "com.example.app:/cb", "https://a\\b", "https://a;b/", "//a", "https://a?code", "https://a??"} {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if oidc.ValidateRedirectURI(uri, true) != nil {
			return
		}
		u, err := url.Parse(oidc.AuthorizationResponse{Code: "c", State: "s", Issuer: "i"}.RedirectURL(uri))
		if err != nil || u.Fragment != "" || u.User != nil || strings.ContainsAny(u.Host, " ;,'\"*") {
			t.Fatalf("%q: got %v, %v", uri, u, err)
		}
		q, err := url.ParseQuery(u.RawQuery)
		if err != nil || len(q["code"]) != 1 || len(q["state"]) != 1 || len(q["iss"]) != 1 {
			t.Errorf("%q: got %v, %v", uri, q, err)
		}
	})
}

// FuzzParseUserCode: what is taken is a code, and shown it is taken again.
func FuzzParseUserCode(f *testing.F) {
	for _, typed := range []string{"", "BCDF-GHJK", "bcdf ghjk", "BCDFGHJ", "AEIOUAEI", "ſbcdfghjk", "BCDF\u2010GHJK", "bcdfghj\u212a", "\xff\xfe", strings.Repeat("B", 70)} {
		f.Add(typed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		code, ok := oidc.ParseUserCode(typed)
		if !ok {
			if code != "" {
				t.Errorf("got %q of %q, and no", code, typed)
			}
			return
		}
		if len(code) != oidc.UserCodeLength || strings.Trim(code, oidc.UserCodeLetters) != "" {
			t.Errorf("got %q of %q", code, typed)
		}
		if again, ok := oidc.ParseUserCode(oidc.FormatUserCode(code)); !ok || again != code {
			t.Errorf("got %q, %v of %q", again, ok, code)
		}
	})
}

// FuzzParseDeviceAuthorizationRequest: the client is read as in a token request.
func FuzzParseDeviceAuthorizationRequest(f *testing.F) {
	for _, body := range hostile {
		f.Add("", body)
	}
	for _, header := range hostileHeaders {
		f.Add(header, "scope=openid&resource=https://api.example/")
	}
	f.Fuzz(func(t *testing.T, authorization, body string) {
		v, _ := url.ParseQuery(body)
		r, refusal := oidc.ParseDeviceAuthorizationRequest(header(authorization), v)
		if (r == nil) == (refusal == nil) {
			t.Fatalf("got %v and %v", r, refusal)
		}
		if r == nil {
			return
		}
		clean(t, r)
		if r.Auth.ID == "" || r.AuthorizationRequest().ClientID != r.Auth.ID || !r.AuthorizationRequest().Prompt.Consent {
			t.Errorf("got %#v of %q, %q", r, authorization, body)
		}
	})
}

func FuzzParsePushedRequest(f *testing.F) {
	f.Add("client_id=shop&redirect_uri=https%3A%2F%2Fshop.example%2Fcb&response_type=code&request_uri=")
	f.Add("client_id=shop&request_uri=urn:ietf:params:oauth:request_uri:a.b&request=x")
	f.Fuzz(func(t *testing.T, text string) {
		form, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		r, refusal := oidc.ParsePushedRequest(nil, form)
		if (r == nil) == (refusal == nil) {
			t.Fatalf("got %v and %v, want one of them", r, refusal)
		}
		if r != nil && (r.Wanted.PushedID != "" || r.Wanted.ClientID != r.Auth.ID || form.Get("request_uri") != "") {
			t.Errorf("got %+v of %q", r.Wanted, text)
		}
		id, uri, refusal := oidc.ParsePushedReference(form)
		if refusal == nil && uri != "" && (id == "" || !strings.HasPrefix(uri, oidc.RequestURIPrefix)) {
			t.Errorf("got client %q and URI %q", id, uri)
		}
	})
}

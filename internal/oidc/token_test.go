package oidc_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

func hashOf(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

func basic(credentials string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
}

func TestTokenRequestOfTheRFC(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		section, header, body string
		want                  oidc.TokenRequest
	}{
		{"RFC 6749 §4.1.3", "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW",
			"grant_type=authorization_code&code=SplxlOBeZQQYbYS6WxSbIA&redirect_uri=https%3A%2F%2Fclient%2Eexample%2Ecom%2Fcb",
			oidc.TokenRequest{Auth: oidc.ClientAuth{Method: "client_secret_basic", ID: "s6BhdRkqt3", Secret: "gX1fBat3bV"},
				GrantType: "authorization_code", Code: "SplxlOBeZQQYbYS6WxSbIA", RedirectURI: "https://client.example.com/cb"}},
		{"RFC 6749 §6", "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW",
			"grant_type=refresh_token&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA",
			oidc.TokenRequest{Auth: oidc.ClientAuth{Method: "client_secret_basic", ID: "s6BhdRkqt3", Secret: "gX1fBat3bV"},
				GrantType: "refresh_token", RefreshToken: "tGzv3JOkF0XG5Qx2TlKWIA"}},
		{"RFC 6749 §2.3.1", "",
			"grant_type=refresh_token&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA&client_id=s6BhdRkqt3&client_secret=7Fjfp0ZBr1KtDRbnfVdmIw",
			oidc.TokenRequest{Auth: oidc.ClientAuth{Method: "client_secret_post", ID: "s6BhdRkqt3", Secret: "7Fjfp0ZBr1KtDRbnfVdmIw"},
				GrantType: "refresh_token", RefreshToken: "tGzv3JOkF0XG5Qx2TlKWIA"}},
	} {
		got, err := oidc.ParseTokenRequest(header(tt.header), parseQuery(t, tt.body))
		if err != nil {
			t.Errorf("%s: %v", tt.section, err)
			continue
		}
		if !reflect.DeepEqual(*got, tt.want) {
			t.Errorf("%s:\n got %#v\nwant %#v", tt.section, *got, tt.want)
		}
	}
}

// header is what http.Header.Values returns.
func header(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

func TestTokenRequestErrors(t *testing.T) {
	t.Parallel()
	good := "grant_type=authorization_code&code=c"
	assertion := "&client_assertion_type=" + oidc.AssertionType + "&client_assertion="
	for _, tt := range []struct {
		name   string
		header []string
		body   string
		want   string
	}{
		{"good", header(basic("shop:s3cret")), good, ""},
		{"public", nil, good + "&client_id=spa", ""},
		{"empty is omitted", header(basic("shop:s3cret")), good + "&client_secret=&client_id=&scope=&client_assertion=", ""},
		{"unknown grant_type, for the next one to say", header(basic("shop:s3cret")), "grant_type=password&username=a&password=b", ""},
		{"same client_id twice over", header(basic("shop:s3cret")), good + "&client_id=shop", ""},

		{"no grant_type", header(basic("shop:s3cret")), "code=c", "invalid_request"},
		{"no code", header(basic("shop:s3cret")), "grant_type=authorization_code", "invalid_request"},
		{"no refresh_token", header(basic("shop:s3cret")), "grant_type=refresh_token", "invalid_request"},
		{"code twice", header(basic("shop:s3cret")), good + "&code=c", "invalid_request"},
		{"grant_type twice", header(basic("shop:s3cret")), good + "&grant_type=authorization_code", "invalid_request"},
		{"code with NUL", header(basic("shop:s3cret")), good + "%00", "invalid_request"},
		{"code not UTF-8", header(basic("shop:s3cret")), good + "%ff", "invalid_request"},
		{"short verifier", header(basic("shop:s3cret")), good + "&code_verifier=" + verifier[1:], "invalid_grant"},
		{"odd verifier", header(basic("shop:s3cret")), good + "&code_verifier=" + verifier[1:] + "%2B", "invalid_grant"},
		{"scope with a quote", header(basic("shop:s3cret")), good + "&scope=%22", "invalid_scope"},

		{"no client", nil, good, "invalid_client"},
		{"secret without an id", nil, good + "&client_secret=s3cret", "invalid_client"},
		{"header and body", header(basic("shop:s3cret")), good + "&client_id=shop&client_secret=s3cret", "invalid_request"},
		{"two headers", []string{basic("shop:s3cret"), basic("shop:s3cret")}, good, "invalid_request"},
		{"header and assertion", header(basic("shop:s3cret")), good + "&client_assertion=e30.e30.x&client_assertion_type=y", "invalid_request"},
		{"secret and assertion", nil, good + "&client_id=shop&client_secret=s3cret&client_assertion=e30.e30.x", "invalid_request"},
		{"assertion without a type", nil, good + "&client_id=spa&client_assertion=e30.eyJzdWIiOiJzcGEifQ.x", "invalid_request"},
		{"assertion of another type", nil, good + "&client_assertion_type=saml&client_assertion=e30.eyJzdWIiOiJzcGEifQ.x", "invalid_request"},
		{"assertion without sub", nil, good + assertion + "e30.e30.x", "invalid_client"},
		{"assertion of another client_id", nil, good + "&client_id=shop" + assertion + "e30.eyJzdWIiOiJzcGEifQ.x", "invalid_client"},
		{"assertion, to be checked", nil, good + "&client_id=spa" + assertion + "e30.eyJzdWIiOiJzcGEifQ.x", ""},
		{"client_id twice", nil, good + "&client_id=spa&client_id=spa", "invalid_request"},
		{"another client_id in the body", header(basic("shop:s3cret")), good + "&client_id=spa", "invalid_client"},
		{"other scheme", header("Bearer abc"), good, "invalid_client"},
		{"no base64", header("Basic ???"), good, "invalid_client"},
	} {
		v := parseQuery(t, tt.body)
		if _, err := oidc.ParseTokenRequest(tt.header, v); codeOf(err) != tt.want {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

// Ids and secrets are read raw, as Authlib sends them, and form-encoded, as
// RFC 6749 §2.3.1 has it. What comes out is as clean as any parameter.
func TestParseBasic(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		header, id, secret string
		good               bool
	}{
		{basic("shop:a-b_C9"), "shop", "a-b_C9", true},
		{"bAsIc " + basic("shop:x")[6:], "shop", "x", true},
		{basic("shop:"), "shop", "", true},
		{basic("shop:a:b"), "shop", "a:b", true},
		{basic("shop%2D1:a%3Ab+c"), "shop-1", "a:b c", true},
		{basic("shop:50%"), "shop", "50%", true},

		{"", "", "", false},
		{"Basic", "", "", false},
		{"Basic ", "", "", false},
		{basic(""), "", "", false},
		{basic("shop"), "", "", false},
		{basic(":secret"), "", "", false},
		{basic("shop\x00:x"), "", "", false},
		{basic("shop%00:x"), "", "", false},
		{basic("shop:%0d%0a"), "", "", false},
		{basic("sh%ffop:x"), "", "", false},
		{basic("sh\xffop:x"), "", "", false},
		{basic(strings.Repeat("a", 257) + ":x"), "", "", false},
		{basic("shop:" + strings.Repeat("a", 513)), "", "", false},
		{"Basic " + strings.Repeat("A", 5000), "", "", false},
	} {
		got, ok := oidc.ParseBasic(tt.header)
		if ok != tt.good || got.ID != tt.id || string(got.Secret) != tt.secret {
			t.Errorf("%q: got %q, %q, %v, want %q, %q, %v", tt.header, got.ID, string(got.Secret), ok, tt.id, tt.secret, tt.good)
		}
	}
}

// RFC 6749 §2.3: the registered method, no other; all secrets of a rotation.
func TestCheckSecret(t *testing.T) {
	t.Parallel()
	rotating := shop()
	rotating.SecretHashes = append(rotating.SecretHashes, hashOf("next"))
	post := shop()
	post.AuthMethod = oidc.AuthPost
	public := shop()
	public.AuthMethod, public.SecretHashes = oidc.AuthNone, nil
	none := shop()
	none.SecretHashes = nil
	for _, tt := range []struct {
		name   string
		client *oidc.Client
		auth   oidc.ClientAuth
		good   bool
	}{
		{"right", shop(), oidc.ClientAuth{Method: oidc.AuthBasic, Secret: "s3cret"}, true},
		{"wrong", shop(), oidc.ClientAuth{Method: oidc.AuthBasic, Secret: "s3cret "}, false},
		{"empty", shop(), oidc.ClientAuth{Method: oidc.AuthBasic}, false},
		{"id alone", shop(), oidc.ClientAuth{Method: oidc.AuthNone}, false},
		{"in the body", shop(), oidc.ClientAuth{Method: oidc.AuthPost, Secret: "s3cret"}, false},
		{"the hash itself", shop(), oidc.ClientAuth{Method: oidc.AuthBasic, Secret: oidc.Secret(hashOf("s3cret"))}, false},
		{"old of two", rotating, oidc.ClientAuth{Method: oidc.AuthBasic, Secret: "s3cret"}, true},
		{"new of two", rotating, oidc.ClientAuth{Method: oidc.AuthBasic, Secret: "next"}, true},
		{"post", post, oidc.ClientAuth{Method: oidc.AuthPost, Secret: "s3cret"}, true},
		{"basic of a post client", post, oidc.ClientAuth{Method: oidc.AuthBasic, Secret: "s3cret"}, false},
		{"public", public, oidc.ClientAuth{Method: oidc.AuthNone}, true},
		{"public with a secret", public, oidc.ClientAuth{Method: oidc.AuthBasic, Secret: "x"}, false},
		{"no secret left", none, oidc.ClientAuth{Method: oidc.AuthBasic, Secret: ""}, false},
		{"nothing", shop(), oidc.ClientAuth{}, false},
	} {
		err := oidc.CheckSecret(tt.client, tt.auth)
		if (err == nil) != tt.good || err != nil && err.Code != oidc.InvalidClient {
			t.Errorf("%s: got %v, want good %v", tt.name, err, tt.good)
		}
	}
}

// However a request is printed, its secrets are not.
func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	v := url.Values{"grant_type": {"authorization_code"}, "code": {"CODE-hush"}, "code_verifier": {"VERIFIER-hush" + verifier}, "refresh_token": {"REFRESH-hush"}}
	r, refusal := oidc.ParseTokenRequest(header(basic("shop:SECRET-hush")), v)
	if refusal != nil {
		t.Fatal(refusal)
	}
	var out bytes.Buffer
	for _, log := range []*slog.Logger{slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))} {
		log.Info("token", "request", r, "value", *r, "auth", r.Auth, "secret", r.Auth.Secret)
	}
	auth, err := json.Marshal(r.Auth)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(auth)
	for _, format := range []string{"%v", "%+v", "%s", "%q"} {
		fmt.Fprintf(&out, format+format+format+format, r, *r, r.Auth, r.Auth.Secret)
	}
	fmt.Fprintf(&out, "%#v", r.Auth)
	if strings.Contains(out.String(), "hush") {
		t.Errorf("got a secret in %s", out.String())
	}
	if !strings.Contains(out.String(), "shop") {
		t.Errorf("got no client in %s", out.String())
	}
}

package sallyport_test

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

func claims(t testing.TB, jws string) map[string]any {
	t.Helper()
	parts := strings.Split(jws, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWS: %q", jws)
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	c := map[string]any{}
	if err := json.Unmarshal(body, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSignInWithPasswordAndTOTP is the main job over HTTP.
func TestSignInWithPasswordAndTOTP(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.signIn(r.mina, b.authorize("web"))
	if v.location.Query().Get("state") != "st" || v.location.Query().Get("iss") != r.issuer {
		t.Errorf("got %v, want state and iss", v.location)
	}
	got := r.redeem("web", v.mustCode())
	if got.status != 200 || got.Type != "Bearer" || got.Refresh == "" {
		t.Fatalf("got %+v", got)
	}
	c := claims(t, got.ID)
	if c["sub"] != r.mina.id || c["aud"] != "web" || c["nonce"] != "n-1" || c["iss"] != r.issuer {
		t.Errorf("id token: %v", c)
	}
	if c["acr"] != "urn:sallyport:acr:2fa" || fmt.Sprint(c["amr"]) != "[pwd otp mfa]" || c["auth_time"] == nil {
		t.Errorf("id token: acr %v amr %v auth_time %v", c["acr"], c["amr"], c["auth_time"])
	}
	if c["email"] != nil || c["name"] != nil {
		t.Errorf("id token has claims that belong to userinfo: %v", c)
	}
	status, info := r.userinfo(got.Access)
	if status != 200 || info["sub"] != r.mina.id || info["email"] != "mina@example.com" || info["name"] != "MINA" {
		t.Errorf("userinfo: %d %v", status, info)
	}
}

// TestSecondSignInAsksNothing: while the session lasts the answer is a code.
func TestSecondSignInAsksNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	first := claims(t, r.redeem("web", b.signIn(r.mina, b.authorize("web")).mustCode()).ID)
	second := claims(t, r.redeem("web", b.authorize("web").mustCode()).ID)
	if first["auth_time"] != second["auth_time"] || second["acr"] != first["acr"] {
		t.Errorf("got %v, want the same auth_time and acr as %v", second, first)
	}
}

// TestEnrollThenSignIn: a user without a second factor sets one up, saves the
// codes, and signs in with it.
func TestEnrollThenSignIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	v := b.answer(b.authorize("web").mustStep("login", 200), "password", "username", "joon", "password", r.joon.password)
	v = b.app(v)
	secret := shownKey(t, v)
	b.answer(v, "enroll", "code", "000000").mustStep("enroll", 422)
	v = b.answer(v, "enroll", "code", r.code(secret, 0)).mustStep("save_codes", 200)
	v = b.answer(v, "saved").mustStep("save_codes", 422)
	v = b.answer(v, "saved", "saved", "1")
	got := r.redeem("web", v.mustCode())
	if c := claims(t, got.ID); c["acr"] != "urn:sallyport:acr:2fa" {
		t.Errorf("acr: got %v", c["acr"])
	}
	r.clock.advance(30 * time.Second) // the step of the enrolment is used
	r.joon.totp = secret
	again := r.browser()
	again.signIn(r.joon, again.authorize("web")).mustCode()
}

var keyOnPage = regexp.MustCompile(`(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}`)

// shownKey is the key that the enrolment page shows.
func shownKey(t testing.TB, v *view) []byte {
	t.Helper()
	key := keyOnPage.FindString(v.body)
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(key, " ", ""))
	if err != nil || len(secret) != 20 {
		t.Fatalf("no key on the page: %q\n%s", key, v.body)
	}
	return secret
}

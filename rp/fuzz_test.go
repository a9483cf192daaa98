package rp

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

func fuzzClient(t testing.TB) *Client {
	c, err := New(t.Context(), Config{
		Issuer: "https://id.example.com", ClientID: "shop", ClientSecret: "secret",
		RedirectURL: "https://shop.example.com/callback", CookieKey: []byte(strings.Repeat("k", 32)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A cookie that fuzzClient sealed. Fuzzing runs in several processes, so it must be
// the same in all of them.
const (
	sealedName  = "__Host-sallyport-rp-s5k3akjj-_3CSm4LqvDp1"
	sealedValue = "DbHvj3v2s_xwHuE8FM7N_GmmIMZak5T7oQAGRsrpv5ixAlIE-bk4zDPA_4CgX3jbYgSiL5RbcBKyD6ge4N3MQWCYCgfiIn24Ytocwg"
)

// Only what this client sealed opens, and only under its own name.
func FuzzOpenPending(f *testing.F) {
	c := fuzzClient(f)
	f.Add(sealedName, sealedValue)
	f.Add(sealedName+"x", sealedValue)
	f.Add(sealedName, sealedValue[1:])
	f.Add(sealedName, "")
	f.Fuzz(func(t *testing.T, name, value string) {
		p, err := c.openPending(name, value)
		if (err == nil) != (name == sealedName && value == sealedValue) {
			t.Errorf("opened %q=%q: %v, %v", name, value, p, err)
		}
	})
}

// What is read from a cookie leads nowhere else, and is written as it was read.
func FuzzParsePending(f *testing.F) {
	f.Add(newPending(time.Unix(1e9, 0), "/cart").text())
	f.Add("s\nn\nv\n1\n2\n//evil.example")
	f.Add("s\nn\nv\n1\n2\n/\n")
	f.Add("s\nn\nv\n1\n2\n/pay\nuser\n" + `{"ACR":["phr"],"MaxAge":300000000000}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePending(text)
		if err != nil {
			return
		}
		if p.returnTo != localPath(p.returnTo) || p.state == "" || p.nonce == "" || p.verifier == "" {
			t.Errorf("got %+v", p)
		}
		if again, err := parsePending(p.text()); err != nil || again.text() != p.text() {
			t.Errorf("got %+v, want %+v", again, p)
		}
	})
}

// No path leaves the origin, as a browser would resolve it.
func FuzzLocalPath(f *testing.F) {
	for _, path := range []string{"/", "/cart?x#y", "//evil.example", `/\evil`, "/\t/evil", "https://evil.example"} {
		f.Add(path)
	}
	browser := strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/") // WHATWG URL §4.4
	f.Fuzz(func(t *testing.T, path string) {
		got := browser.Replace(strings.TrimSpace(localPath(path)))
		if !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || len(got) > longestReturnTo {
			t.Errorf("%q became %q", path, got)
		}
	})
}

func FuzzParseMetadata(f *testing.F) {
	const id = "https://id.example.com"
	f.Add([]byte(`{"issuer":"https://id.example.com","authorization_endpoint":"https://id.example.com/a","token_endpoint":"https://id.example.com/t","jwks_uri":"https://id.example.com/k"}`))
	f.Add([]byte(`{"issuer":"https://id.example.com","issuer":"https://evil.example"}`))
	f.Add([]byte(`{"Issuer":"https://id.example.com"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseMetadata(data, id, false, true)
		if err != nil {
			return
		}
		for _, url := range []string{m.authorizationEndpoint, m.tokenEndpoint, m.jwksURI} {
			if m.issuer != id || !strings.HasPrefix(strings.ToLower(url), "https://") {
				t.Errorf("got %+v", m)
			}
		}
	})
}

func FuzzParseHeader(f *testing.F) {
	f.Add("eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.e30.AAAA")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		h, err := parseHeader(token, "JWT")
		if err == nil && !slices.Contains(issuer.SigningAlgorithms, h.Algorithm) {
			t.Errorf("accepted alg %q", h.Algorithm)
		}
	})
}

// Whatever the claims say, who is accepted is of this issuer, client and login.
func FuzzCheckClaims(f *testing.F) {
	const good = `{"iss":"https://id.example.com","sub":"1","aud":"shop","exp":1000000300,"iat":1000000000,"nonce":"n","acr":"phr","amr":["mfa"],"auth_time":1000000000}`
	f.Add([]byte(good))
	f.Add([]byte(strings.Replace(good, `"aud":"shop"`, `"aud":["shop","other"]`, 1)))
	f.Add([]byte(strings.Replace(good, `"sub"`, `"nonce":"x","sub"`, 1)))
	f.Add([]byte(strings.Replace(good, `1000000300`, `1e99`, 1)))
	want := expected{
		issuerID: "https://id.example.com", clientID: "shop", nonce: "n", alg: jose.ES256,
		accessToken: "token", now: time.Unix(1e9, 0), leeway: time.Minute,
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		object, err := issuer.ParseObject(data)
		if err != nil {
			return
		}
		id, err := want.check(Claims(object))
		if err != nil {
			return
		}
		if id.Issuer != want.issuerID || id.Subject == "" || string(object["nonce"]) == "" || string(object["exp"]) == "" {
			t.Errorf("accepted %s", data)
		}
		if MFA.checkMet(id, want.now, want.leeway) == nil && (id.ACR == "" || len(id.AMR) == 0) {
			t.Errorf("%s passed for two factors", data)
		}
	})
}

// FuzzParseTokens: no panic, and never a token response without an access token.
func FuzzParseTokens(f *testing.F) {
	f.Add([]byte(`{"access_token":"a","token_type":"Bearer","id_token":"x.y.z","expires_in":300}`))
	f.Add([]byte(`{"access_token":"a","access_token":"b","token_type":"bearer","id_token":"x"}`))
	f.Add([]byte(`{"id_token":"x.y.z","token_type":"Bearer"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := parseTokens(data, "Bearer", time.Unix(1e9, 0))
		if err == nil && got.oauth2.AccessToken == "" {
			t.Errorf("accepted %s", data)
		}
	})
}

// Whatever the claims say, a logout token is of this server, for this client, and
// no ID token, and it ends somebody's sessions.
func FuzzCheckLogout(f *testing.F) {
	const good = `{"iss":"https://id.example.com","sub":"1","sid":"2","aud":"shop","exp":1000000120,"iat":1000000000,"jti":"3","events":{"http://schemas.openid.net/event/backchannel-logout":{}}}`
	f.Add([]byte(good))
	f.Add([]byte(strings.Replace(good, `"jti"`, `"nonce":null,"jti"`, 1)))
	f.Add([]byte(strings.Replace(good, `{}`, `[]`, 1)))
	f.Add([]byte(strings.Replace(good, `"aud":"shop"`, `"aud":[]`, 1)))
	want := expected{issuerID: "https://id.example.com", clientID: "shop", now: time.Unix(1e9, 0), leeway: time.Minute}
	f.Fuzz(func(t *testing.T, data []byte) {
		object, err := issuer.ParseObject(data)
		if err != nil {
			return
		}
		token, err := want.checkLogout(Claims(object))
		if err != nil {
			return
		}
		_, nonce := object["nonce"]
		if nonce || token.Issuer != want.issuerID || token.SID+token.Subject == "" || !token.Expires.After(want.now) || !strings.Contains(string(object["aud"]), "shop") {
			t.Errorf("accepted %s", data)
		}
	})
}

// A session is written as it was read: what a store or a cookie has does not drift.
func FuzzSessionAsJSON(f *testing.F) {
	f.Add([]byte(`{"id":"1","iss":"https://id.example.com","sub":"2","acr":"phr","amr":["mfa"],"auth_time":1000000000,"began":1000000000,"exp":1000003600}`))
	f.Add([]byte(`{"sub":"\ud800","email_verified":true,"exp":-1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var first, second Session
		if json.Unmarshal(data, &first) != nil {
			return
		}
		text, err := json.Marshal(first)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &second); err != nil {
			t.Fatal(err)
		}
		if again, err := json.Marshal(second); err != nil || string(again) != string(text) {
			t.Errorf("got %s, %v, want %s", again, err, text)
		}
	})
}

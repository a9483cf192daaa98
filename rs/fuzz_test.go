package rs

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

func fuzzServer(t testing.TB) *Server {
	s, err := New(t.Context(), Config{
		Issuer: "https://id.example.com", Resource: "https://orders.example.com/", DPoP: DPoPAllowed,
		Now: func() time.Time { return time.Unix(1e9, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// FuzzCredentials: what is taken for a token is one, of a header alone, and what
// is answered to anything else is a good challenge.
func FuzzCredentials(f *testing.F) {
	s := fuzzServer(f)
	f.Add("Bearer abc", "")
	f.Add("dpop a.b.c=", "a=b")
	f.Add("Basic YTpi", "access_token=abc")
	f.Add("Bearer a b, Bearer c", "a;%61ccess_token")
	f.Fuzz(func(t *testing.T, authorization, query string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", authorization)
		r.URL.RawQuery = query
		c, refused := s.credentials(r)
		if refused == nil {
			if !isToken68(c.token) || c.scheme != bearer && c.scheme != dpop || !strings.HasSuffix(strings.TrimRight(authorization, " "), c.token) {
				t.Errorf("got %+v", c)
			}
			return
		}
		w := httptest.NewRecorder()
		s.refuse(w, r, c.scheme, needs{scope: []string{"orders:read"}}, refused)
		checkChallenges(t, w)
	})
}

// checkChallenges wants header values that are printable, with quotes in pairs.
func checkChallenges(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	for _, challenge := range w.Header()["Www-Authenticate"] {
		if strings.ContainsFunc(challenge, func(c rune) bool { return c < ' ' || c > '~' || c == '\\' }) || strings.Count(challenge, `"`)%2 != 0 {
			t.Errorf("got %q", challenge)
		}
	}
	if w.Code != http.StatusBadRequest && w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == "" {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
}

// FuzzChallenge: whatever requirement is accepted, its challenge is one that clients
// can read.
func FuzzChallenge(f *testing.F) {
	s := fuzzServer(f)
	f.Add("orders:read", "phr", int64(60))
	f.Add(`a"`, `b\`, int64(-1))
	f.Fuzz(func(t *testing.T, scope, acr string, seconds int64) {
		if checkWords([]string{scope, acr}) != nil || seconds < 1 || seconds > 1e9 {
			return
		}
		need := merge([]Requirement{Scope(scope), ACR(acr, time.Duration(seconds)*time.Second)})
		for _, token := range []*Token{{}, {Scope: []string{scope}}} {
			w := httptest.NewRecorder()
			refused := s.checkMet(need, token)
			if refused == nil {
				t.Fatalf("an empty token met %+v", need)
			}
			s.refuse(w, httptest.NewRequest("GET", "/", nil), bearer, need, refused)
			if w.Code == http.StatusForbidden {
				w.Code = http.StatusUnauthorized
			}
			checkChallenges(t, w)
		}
	})
}

const goodClaims = `{"active":true,"iss":"https://id.example.com","sub":"1","aud":"https://orders.example.com/","client_id":"shop","exp":1000000300,"iat":1000000000,"jti":"a","scope":"a b","acr":"phr","amr":["mfa"],"auth_time":1000000000}`

// FuzzAnswer: whatever introspection answers, what is accepted is active, of this
// server, for this API and not expired.
func FuzzAnswer(f *testing.F) {
	want := fuzzServer(f).expected()
	f.Add([]byte(goodClaims))
	for _, change := range [][2]string{
		{`true`, `false`}, {`true`, `"true"`}, {`"aud"`, `"AUD"`}, {`"sub"`, `"sub":"2","sub"`}, {`1000000300`, `1e99`},
		{`"acr":"phr"`, `"cnf":{"jkt":"x"}`}, {`"acr":"phr"`, `"cnf":{"x5t#S256":"x"}`}, {`"acr":"phr"`, `"cnf":[]`}, {`{`, `[{`},
	} {
		f.Add([]byte(strings.Replace(goodClaims, change[0], change[1], 1)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := want.parseAnswer(data)
		if err != nil || v.refused != nil {
			return
		}
		object, err := issuer.ParseObject(data)
		if err != nil || string(object["active"]) != "true" {
			t.Errorf("accepted %s", data)
		}
		checkAccepted(t, want, v.token, object)
	})
}

func checkAccepted(t *testing.T, want expected, got *Token, claims issuer.Object) {
	t.Helper()
	_, bound := claims["cnf"]
	if got.Issuer != want.issuerID || !slices.Contains(got.Audience, want.resource) || got.Subject == "" || got.ClientID == "" ||
		!got.Expiry.After(want.now.Add(-want.leeway)) || bound && got.Confirmation == "" && got.Certificate == "" && string(claims["cnf"]) != "null" {
		t.Errorf("accepted %+v", got)
	}
}

// FuzzVerify: a token that nobody signed is refused without asking anybody, and no
// claims pass that a handler must not see.
func FuzzVerify(f *testing.F) {
	s := fuzzServer(f)
	s.keys = issuer.NewKeys(s.config.Now, s.server, nil)
	f.Add("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.e30.", []byte(goodClaims))
	f.Add("a.b.c", []byte(`{}`))
	f.Fuzz(func(t *testing.T, token string, payload []byte) {
		if h, err := issuer.ParseHeader(token); err != nil || s.checkHeader(h, "at+jwt") != "" {
			if got, refused := s.verify(t.Context(), token); got != nil || refused.code != invalidToken {
				t.Errorf("got %v, %+v", got, refused)
			}
		}
		claims, err := issuer.ParseObject(payload)
		if err != nil {
			return
		}
		if got, refused := s.expected().check(claims); refused == nil {
			checkAccepted(t, s.expected(), got, claims)
		}
	})
}

// specProof is the proof of RFC 9449 §4.1.
const specProof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19" +
	".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ" +
	".2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"

// FuzzProof: what is accepted is signed by a public key that is in it.
func FuzzProof(f *testing.F) {
	s := fuzzServer(f)
	f.Add("eyJhbGciOiJFUzI1NiIsInR5cCI6ImRwb3Arand0IiwiandrIjp7Imt0eSI6Im9jdCIsImsiOiJBQUFBIn19.e30.AAAA")
	f.Add(specProof)
	f.Fuzz(func(t *testing.T, text string) {
		p, wrong := s.parseProof(text)
		if wrong == "" && (len(p.thumbprint) != 43 || p.jti == "" || p.issued.IsZero()) {
			t.Errorf("accepted %+v", p)
		}
	})
}

// FuzzNormalURL: a normal form stays as it is, and is of the same host.
func FuzzNormalURL(f *testing.F) {
	for _, text := range []string{"https://a.example/%7e%2F", "HTTPS://A.example:443", "http://[::1]:80/a?b#c", "https://u@a.example/", "https://a.example/%", "https:a"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		normal := normalURL(text)
		if normal == "" {
			return
		}
		if again := normalURL(normal); again != normal {
			t.Errorf("%q became %q, then %q", text, normal, again)
		}
		if strings.ContainsAny(normal, "?#") {
			t.Errorf("%q became %q", text, normal)
		}
	})
}

// TestProofOfTheSpecification: it is genuine, and its key has the thumbprint of
// RFC 9449 §6.1.
func TestProofOfTheSpecification(t *testing.T) {
	t.Parallel()
	p, wrong := fuzzServer(t).parseProof(specProof)
	got, _ := json.Marshal([]any{p.thumbprint, p.jti, p.method, p.target, p.issued.Unix(), wrong})
	const want = `["0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I","-BwC3ESc6acc2lTc","POST","https://server.example.com/token",1562262616,""]`
	if string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

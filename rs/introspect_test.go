package rs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rs"
	"github.com/sallyport-id/sallyport/rs/rstest"
)

func TestOpaqueAccepted(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	token := a.Opaque(a.Claims(orders, "orders:read"))
	for range 10 {
		a.wantAccepted("opaque", a.bearer(token, rs.Scope("orders:read")))
	}
	if got := a.Hits("/introspect"); got != 1 {
		t.Errorf("the server was asked %d times, want once", got)
	}
}

// TestIntrospectedClaims: that the server calls a token active does not make it one
// for this API.
func TestIntrospectedClaims(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	const missing = "(missing)"
	for name, c := range map[string]struct {
		claim string
		value any
		ok    bool
	}{
		"no jti":                       {"jti", missing, true},
		"no iat":                       {"iat", missing, true},
		"the type Bearer":              {"token_type", "Bearer", true},
		"no aud":                       {"aud", missing, false},
		"another API's":                {"aud", "https://other.example.com/", false},
		"no iss":                       {"iss", missing, false},
		"an issuer with a slash":       {"iss", a.URL + "/", false},
		"no exp":                       {"exp", missing, false},
		"no sub":                       {"sub", missing, false},
		"no client_id":                 {"client_id", missing, false},
		"active false, and all claims": {"active", false, false},
		"not valid yet":                {"nbf", a.Now().Add(time.Hour).Unix(), false},
		"bound to a key":               {"cnf", map[string]string{"jkt": "A"}, false},
		"the type DPoP, not to what":   {"token_type", "DPoP", false},
	} {
		claims := a.Claims(orders, "orders:read")
		claims[c.claim] = c.value
		if c.value == missing {
			delete(claims, c.claim)
		}
		w := a.bearer(a.Opaque(claims))
		if c.ok {
			a.wantAccepted(name, w)
		} else {
			a.wantInvalid(name, w)
		}
	}
	a.wantInvalid("unknown", a.bearer("nobody.knows"))
}

// TestIntrospectionAnswersThatAreNone: a server that does not answer as one that
// works refuses nothing.
func TestIntrospectionAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	for name, value := range map[string]any{"a string": "true", "a number": 1} {
		claims := a.Claims(orders, "")
		claims["active"] = value
		a.wantUnavailable("active is "+name, a.bearer(a.Opaque(claims)))
	}
	wrong := newAPI(t, func(c *rs.Config) { c.ClientSecret = "wrong" })
	wrong.wantUnavailable("our own secret is wrong", wrong.bearer(wrong.Opaque(wrong.Claims(orders, ""))))
}

// TestRevokedStopsWithinTheCache: 30 s are the most that a token lives on after the
// server ended it, and never beyond its own end.
func TestRevokedStopsWithinTheCache(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	token := a.Opaque(a.Claims(orders, ""))
	a.wantAccepted("before", a.bearer(token))
	a.Revoke(token)
	a.Advance(29 * time.Second)
	a.wantAccepted("29 s later", a.bearer(token))
	a.Advance(time.Second)
	a.wantInvalid("30 s later", a.bearer(token))

	short := a.Claims(orders, "")
	short["exp"] = a.Now().Add(10 * time.Second).Unix()
	token = a.Opaque(short)
	a.wantAccepted("ten seconds before its end", a.bearer(token))
	a.Advance(10 * time.Second)
	a.wantInvalid("at its end", a.bearer(token))
}

// TestCacheOutlastsNoOutage: what was known is used until it is old, and then
// nobody is let in, or thrown out, by a guess.
func TestCacheOutlastsNoOutage(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	token := a.Opaque(a.Claims(orders, ""))
	a.wantAccepted("before", a.bearer(token))
	a.SetDown(true)
	a.Advance(29 * time.Second)
	a.wantAccepted("at first", a.bearer(token))
	a.Advance(time.Second)
	a.wantUnavailable("later", a.bearer(token))
	a.SetDown(false)
	a.wantAccepted("up again", a.bearer(token))
}

func TestWorthlessIsRememberedShortly(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	for range 10 {
		a.wantInvalid("unknown", a.bearer("nobody.knows"))
	}
	if got := a.Hits("/introspect"); got != 1 {
		t.Errorf("the server was asked %d times, want once", got)
	}
	a.Advance(5 * time.Second)
	a.wantInvalid("unknown, later", a.bearer("nobody.knows"))
	if got := a.Hits("/introspect"); got != 2 {
		t.Errorf("the server was asked %d times, want twice", got)
	}
}

func TestNoCache(t *testing.T) {
	t.Parallel()
	a := newAPI(t, func(c *rs.Config) { c.CacheTTL = -1 })
	token := a.Opaque(a.Claims(orders, ""))
	a.wantAccepted("before", a.bearer(token))
	a.Revoke(token)
	a.wantInvalid("revoked", a.bearer(token))
}

// TestIntrospectAll: then a JWT is asked about too, and nothing in it is believed.
func TestIntrospectAll(t *testing.T) {
	t.Parallel()
	a := newAPI(t, func(c *rs.Config) { c.IntrospectAll = true })
	a.wantInvalid("a good JWT that the server does not know", a.bearer(a.JWT(a.Claims(orders, ""))))
	if got := a.Hits("/introspect"); got != 1 {
		t.Errorf("the server was asked %d times, want once", got)
	}
}

// TestOpaqueWithoutCredentials: an API that cannot ask takes JWTs alone.
func TestOpaqueWithoutCredentials(t *testing.T) {
	t.Parallel()
	a := newAPI(t, func(c *rs.Config) { c.ClientID, c.ClientSecret = "", "" })
	a.wantInvalid("opaque", a.bearer(a.Opaque(a.Claims(orders, ""))))
	a.wantAccepted("JWT", a.bearer(a.JWT(a.Claims(orders, ""))))
}

// TestAsksOnceForAll: requests with one token wait for one answer, and one that
// goes away takes it from nobody.
func TestAsksOnceForAll(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var asked atomic.Int32
	a := newAPI(t, func(c *rs.Config) {
		c.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/introspect" {
				asked.Add(1)
				<-release
			}
			return http.DefaultTransport.RoundTrip(r)
		})}
	})
	token := a.Opaque(a.Claims(orders, ""))
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() { a.wantAccepted("one of many", a.bearer(token)) })
	}
	close(release)
	wait.Wait()
	if got := asked.Load(); got != 1 {
		t.Errorf("asked %d times, want once", got)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestTokensAreNotShared: what a handler does to its token, the next does not see.
func TestTokensAreNotShared(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	token := a.Opaque(a.Claims(orders, "orders:read"))
	h := a.Protect(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got := rs.FromContext(r.Context())
		if got.Subject != rstest.Subject || !got.HasScope("orders:read") {
			t.Errorf("got %v", got)
		}
		got.Subject, got.Scope[0] = "admin", "admin"
	}))
	for range 2 {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}

// TestIntrospectByKey: the API signs who it is, anew each time, and sends no secret.
func TestIntrospectByKey(t *testing.T) {
	t.Parallel()
	server := rstest.NewIssuer(t)
	secret := server.Config(orders)
	for _, alg := range []string{"ES256", "EdDSA", "PS256", "RS256"} {
		server.UsePrivateKeyJWT(alg)
		config := server.Config(orders)
		for what, c := range map[string]struct {
			change func(*rs.Config)
			ok     bool
		}{
			"its key":           {func(*rs.Config) {}, true},
			"another key":       {func(c *rs.Config) { c.PrivateKey = p256() }, false},
			"another kid":       {func(c *rs.Config) { c.KeyID = "1" }, false},
			"a secret in place": {func(c *rs.Config) { *c = secret }, false},
		} {
			if what == "another key" && alg != "ES256" {
				continue
			}
			config := config
			c.change(&config)
			config.Logger, config.CacheTTL = slog.New(slog.DiscardHandler), -1
			s, err := rs.New(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			a := api{server, s, t}
			for range 2 {
				if w := a.bearer(a.Opaque(a.Claims(orders, ""))); c.ok {
					a.wantAccepted(alg+": "+what, w)
				} else {
					a.wantUnavailable(alg+": "+what, w)
				}
			}
		}
	}
}

func p256() *ecdsa.PrivateKey {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // never fails
	return key
}

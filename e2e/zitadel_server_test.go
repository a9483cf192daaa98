package e2e

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rs"
)

// zitadelStore is the storage of zitadel/oidc's example server, which tells at
// introspection whose token it is and for whom, as the product does.
type zitadelStore struct {
	*storage.Storage
	issuer, origin string
}

func (z zitadelStore) SetIntrospectionFromToken(ctx context.Context, r *oidc.IntrospectionResponse, tokenID, subject, clientID string) error {
	r.Issuer, r.Audience = z.issuer, oidc.Audience{clientID} // the example gives tokens for nobody else
	return z.Storage.SetIntrospectionFromToken(ctx, r, tokenID, subject, clientID)
}

func (z zitadelStore) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	c, err := z.Storage.GetClientByClientID(ctx, id)
	return zitadelClient{c, z.origin}, err
}

// CompleteDeviceAuthorization gives a device to the user of the example, whose login it
// has here where it later looks for an identifier.
func (z zitadelStore) CompleteDeviceAuthorization(ctx context.Context, userCode, _ string) error {
	return z.Storage.CompleteDeviceAuthorization(ctx, userCode, "id1")
}

// zitadelClient is a client whose access tokens are JWTs if its name ends so.
type zitadelClient struct {
	op.Client
	origin string
}

func (c zitadelClient) PostLogoutRedirectURIs() []string { return []string{c.origin + "/bye"} }

func (c zitadelClient) AccessTokenType() op.AccessTokenType {
	if strings.HasSuffix(c.GetID(), ":jwt") {
		return op.AccessTokenTypeJWT
	}
	return c.Client.AccessTokenType()
}

// zitadelServer starts zitadel/oidc's example server with one client, of an application
// at an origin, and returns its issuer identifier.
func zitadelServer(t *testing.T, id, origin string, client *storage.Client) (issuer string) {
	t.Helper()
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	kept := storage.NewStorageWithClients(storage.NewUserStore(server.URL), map[string]*storage.Client{id: client})
	handler = exampleop.SetupServer(server.URL, zitadelStore{kept, server.URL, origin}, slog.New(slog.DiscardHandler), false)
	return server.URL
}

// atZitadel makes a change of a party's configuration that gives it a server with it as
// the client.
func atZitadel(t *testing.T, id string, change func(*rp.Config)) func(*rp.Config) {
	return func(c *rp.Config) {
		c.ClientID, c.ClientSecret = id, "a secret: 50% of it"
		client := storage.WebClient(id, c.ClientSecret, c.RedirectURL)
		if change != nil {
			change(c)
		}
		if c.AuthMethod == rp.AuthNone {
			c.ClientSecret = ""
			client = storage.NativeClient(id, c.RedirectURL)
		}
		c.Issuer = zitadelServer(t, id, strings.TrimSuffix(c.RedirectURL, "/callback"), client)
	}
}

const zitadelUser, zitadelPassword = "test-user@127.0.0.1", "verysecure"

// TestRPWithZitadel: rp signs somebody in at zitadel/oidc's example server, uses and
// refreshes the tokens, exchanges and revokes them, and signs out.
func TestRPWithZitadel(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*rp.Config){
		"secret":      nil,
		"in the body": func(c *rp.Config) { c.AuthMethod = rp.AuthPost },
		"public":      func(c *rp.Config) { c.AuthMethod = rp.AuthNone },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newParty(t, atZitadel(t, "shop", func(c *rp.Config) {
				c.UserInfo, c.Scopes = true, []string{"openid", "profile", "email", "offline_access"}
				if change != nil {
					change(c)
				}
			}))
			v := newVisitor(t)
			home := v.open(p.url).submit("username", zitadelUser, "password", zitadelPassword)
			home.wants("hello id1")
			id := p.identity
			if id.Subject != "id1" || id.Email != "test-user@zitadel.ch" || id.Token.RefreshToken == "" || id.AMR[0] != "pwd" {
				t.Errorf("got %+v", id)
			}
			first := id.Token.RefreshToken
			id.Token.Expiry = time.Now() // as if it were
			fresh, err := p.TokenSource(t.Context(), id, nil).Token()
			if err != nil || fresh.RefreshToken == first {
				t.Fatalf("refreshing: got %+v, %v", fresh, err)
			}
			id.Token = fresh
			if _, err := p.UserInfo(t.Context(), id); err != nil {
				t.Errorf("userinfo after the refresh: %v", err)
			}
			if name == "secret" { // the others may neither ask about tokens nor exchange them
				about, err := p.Introspect(t.Context(), fresh.AccessToken)
				if err != nil || !about.Active || about.Subject != "id1" || about.ClientID != "shop" {
					t.Errorf("introspection: got %+v, %v", about, err)
				}
				got, err := p.Exchange(t.Context(), rp.ExchangeRequest{SubjectToken: fresh.AccessToken, RequestedType: rp.TypeAccessToken, Audience: []string{"shop"}, Scope: []string{"openid"}})
				if err != nil || got.AccessToken == fresh.AccessToken || got.IssuedTokenType != rp.TypeAccessToken {
					t.Fatalf("exchange: got %+v, %v", got, err)
				}
				if about, err := p.Introspect(t.Context(), got.AccessToken); err != nil || !about.Active || about.HasScope("email") || !about.HasScope("openid") {
					t.Errorf("what was exchanged: got %+v, %v", about, err)
				}
			}
			if err := p.Revoke(t.Context(), fresh); err != nil {
				t.Errorf("revoking: %v", err)
			}
			id.Token.Expiry = time.Now()
			if _, err := p.TokenSource(t.Context(), id, nil).Token(); err == nil {
				t.Error("refreshed what is revoked")
			}
			home.submit().wants("bye")
		})
	}
}

// TestRPWithZitadelWeak: the example knows passwords alone, and no acr.
func TestRPWithZitadelWeak(t *testing.T) {
	t.Parallel()
	p := newParty(t, atZitadel(t, "shop", func(c *rp.Config) { c.Require = rp.MFA }))
	got := newVisitor(t).open(p.url).submit("username", zitadelUser, "password", zitadelPassword)
	var unmet *rp.UnmetError
	if got.status != http.StatusForbidden || !errors.As(p.err, &unmet) || unmet.AMR[0] != "pwd" {
		t.Errorf("got %d, %v", got.status, p.err)
	}
}

// TestRPWithZitadelDevice: a device, and a machine.
func TestRPWithZitadelDevice(t *testing.T) {
	t.Parallel()
	issuer := zitadelServer(t, "tv", "", storage.DeviceClient("tv", "secret"))
	tv, err := rp.New(t.Context(), rp.Config{Issuer: issuer, ClientID: "tv", ClientSecret: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	device, err := tv.DeviceAuthorization(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v := newVisitor(t)
	v.open(device.VerificationURI).submit("user_code", device.UserCode).submit("username", zitadelUser, "password", zitadelPassword)
	v.open(issuer + "/device/confirm?action=allowed").wants("Device authorization allowed")
	if id, err := tv.Poll(t.Context(), device); err != nil || id.Subject != "id1" {
		t.Errorf("a device: got %v, %v", id, err)
	}
	machine, err := rp.New(t.Context(), rp.Config{Issuer: issuer, ClientID: "sid1", ClientSecret: "verysecret"})
	if err != nil {
		t.Fatal(err)
	}
	if token, err := machine.ClientCredentials(t.Context(), "", "openid").Token(); err != nil || token.AccessToken == "" {
		t.Errorf("a machine: got %v, %v", token, err)
	}
}

// TestRSWithZitadel: an API asks about the tokens of zitadel/oidc. Its JWTs have no type of
// their own (RFC 9068 §2.1), so that an ID token could pass for one: they are refused,
// unless the API asks about all tokens.
func TestRSWithZitadel(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind string
		all  bool
		want int
		says string
	}{
		{"opaque", false, http.StatusOK, "id1"},
		{"jwt", false, http.StatusUnauthorized, "a token of another type"},
		{"jwt", true, http.StatusOK, "id1"},
	} {
		resource := "urn:orders:" + test.kind
		var asks rp.Config
		p := newParty(t, atZitadel(t, resource, func(c *rp.Config) { asks = *c }))
		newVisitor(t).open(p.url).submit("username", zitadelUser, "password", zitadelPassword).wants("hello id1")
		s, err := rs.New(t.Context(), rs.Config{
			Issuer: p.identity.Issuer, Resource: resource, ClientID: asks.ClientID, ClientSecret: asks.ClientSecret, IntrospectAll: test.all,
		})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(s.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, rs.FromContext(r.Context()).Subject)
		}), rs.Scope("profile")))
		t.Cleanup(server.Close)
		res, err := p.HTTPClient(p.TokenSource(t.Context(), p.identity, nil)).Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != test.want || !strings.Contains(string(body), test.says) {
			t.Errorf("%+v: got %s %s", test, res.Status, body)
		}
	}
}

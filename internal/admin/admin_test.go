package admin_test

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

func newAdmin(t *testing.T) (*admin.Admin, *sqlstore.Store) {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: filepath.Join(t.TempDir(), "test.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &admin.Admin{Store: db, Hasher: authn.NewHasher(authn.HasherConfig{}), Now: time.Now}, db
}

// secrets says which of some secrets are good for a client.
func secrets(t *testing.T, db *sqlstore.Store, id string, of ...string) (good []bool) {
	t.Helper()
	c, err := db.Client(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range of {
		good = append(good, slices.ContainsFunc(c.SecretHashes, func(h []byte) bool { return string(h) == string(store.HashSecret(secret)) }))
	}
	return good
}

// TestRotateSecret: at once, or with a time in which both are good.
func TestRotateSecret(t *testing.T) {
	t.Parallel()
	a, db := newAdmin(t)
	first, err := a.AddClient(t.Context(), admin.Web("shop", "Shop", "https://shop.example.com/cb"))
	if err != nil {
		t.Fatal(err)
	}
	rotate := func(keepOld bool) string {
		t.Helper()
		secret, err := a.RotateSecret(t.Context(), "shop", keepOld)
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	want := func(when string, of []string, want ...bool) {
		t.Helper()
		if got := secrets(t, db, "shop", of...); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", when, got, want)
		}
	}
	second := rotate(false)
	want("at once", []string{first, second}, false, true)
	third := rotate(true)
	want("with the old one", []string{first, second, third}, false, true, true)
	fourth := rotate(true)
	want("again", []string{second, third, fourth}, false, true, true)
	if err := a.EndOldSecrets(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	want("ended", []string{third, fourth}, false, true)
	if err := a.EndOldSecrets(t.Context(), "shop"); err == nil {
		t.Error("there was an old secret to end")
	}
	if _, err := a.AddClient(t.Context(), admin.SPA("spa", "SPA", "https://spa.example.com/cb")); err != nil {
		t.Fatal(err)
	}
	if _, err := a.RotateSecret(t.Context(), "spa", false); err == nil {
		t.Error("a public client got a secret")
	}
	for _, err := range []error{a.EndOldSecrets(t.Context(), "none"), a.RemoveClient(t.Context(), "none")} {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("got %v, want %v", err, store.ErrNotFound)
		}
	}
}

// TestPresets: each passes validation, and what is public has no secret, PKCE
// and, where others can pass for it, consent.
func TestPresets(t *testing.T) {
	t.Parallel()
	a, _ := newAdmin(t)
	for _, c := range []struct {
		client          *oidc.Client
		public, consent bool
		level           oidc.Level
	}{
		{admin.Web("web", "Web", "https://a.example/cb"), false, false, oidc.Level1FA},
		{admin.SPA("spa", "SPA", "https://a.example/cb"), true, false, oidc.Level1FA},
		{admin.Native("native", "Native", "http://127.0.0.1/cb", "com.example.app:/cb"), true, true, oidc.Level1FA},
		{admin.Machine("machine", "Machine"), false, true, oidc.LevelNone},
		{admin.Tutorial("tutorial", "Tutorial", "http://localhost:8000/cb"), false, false, oidc.Level2FA},
	} {
		secret, err := a.AddClient(t.Context(), c.client)
		if err != nil {
			t.Errorf("%s: %v", c.client.ID, err)
		}
		got := c.client
		if (secret == "") != c.public || got.Public() != c.public || got.SkipConsent == c.consent || got.MinLevel != c.level || got.Preset != got.ID {
			t.Errorf("got secret %t and %+v", secret != "", got)
		}
		if got.InsecureOptionalPKCE != (got.ID == "tutorial") {
			t.Errorf("%s: PKCE optional: %v", got.ID, got.InsecureOptionalPKCE)
		}
	}
}

// TestAllow: what a client may do at APIs is said before it is registered, in terms
// of what is there.
func TestAllow(t *testing.T) {
	t.Parallel()
	a, db := newAdmin(t)
	const uri = "https://api.example/"
	c := admin.Machine("worker", "Worker")
	for what, err := range map[string]error{
		"an API that is not there":       a.Allow(t.Context(), c, uri),
		"introspection of none":          a.AllowIntrospection(t.Context(), c, uri),
		"an API that is none to remove":  a.RemoveResource(t.Context(), uri),
		"an API without scopes to begin": a.AddResource(t.Context(), &oidc.Resource{URI: uri, Name: "API"}),
	} {
		if err == nil {
			t.Errorf("%s: got no error", what)
		}
	}
	if err := a.AddResource(t.Context(), &oidc.Resource{URI: uri, Name: "API", Scopes: []string{"read", "write"}}); err != nil {
		t.Fatal(err)
	}
	if err := a.Allow(t.Context(), c, uri, "admin"); err == nil {
		t.Error("a scope that the API has not was allowed")
	}
	for _, allow := range []error{a.Allow(t.Context(), c, uri, "read"), a.AllowIntrospection(t.Context(), c, uri), a.Allow(t.Context(), c, uri)} {
		if allow != nil {
			t.Fatal(allow)
		}
	}
	if _, err := a.AddClient(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	r, err := db.Resource(t.Context(), uri)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = db.Client(t.Context(), "worker"); err != nil || len(c.Resources) != 1 || !c.Introspects(r) || !slices.Equal(c.ScopesAt(r), r.Scopes) {
		t.Errorf("got %+v, %v", c, err)
	}
	may := func(scopes int, introspects bool) {
		t.Helper()
		c, err := db.Client(t.Context(), "worker")
		if err != nil || len(c.ScopesAt(r)) != scopes || c.Introspects(r) != introspects {
			t.Errorf("got %+v, %v; want %d scopes, %v", c, err, scopes, introspects)
		}
	}
	for _, err := range []error{a.DenyClient(t.Context(), "worker", uri), a.AllowClient(t.Context(), "worker", uri, []string{"read"}, false)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	may(1, false)
	if err := a.AllowClient(t.Context(), "worker", uri, nil, true); err != nil {
		t.Fatal(err)
	}
	may(1, true)
	if _, err := a.AddClient(t.Context(), admin.SPA("spa", "SPA", "https://spa.example.com/cb")); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"a scope that is none":    a.AllowClient(t.Context(), "worker", uri, []string{"admin"}, false),
		"a client that is none":   a.AllowClient(t.Context(), "nobody", uri, nil, false),
		"an API that is none":     a.AllowClient(t.Context(), "worker", "https://none.example/", nil, false),
		"a public client asks":    a.AllowClient(t.Context(), "spa", uri, nil, true),
		"nothing to take":         a.DenyClient(t.Context(), "spa", uri),
		"nothing to take of none": a.DenyClient(t.Context(), "nobody", uri),
	} {
		if err == nil {
			t.Errorf("%s: got no error", what)
		}
	}
	may(1, true)
	if err := a.RemoveResource(t.Context(), uri); err != nil {
		t.Fatal(err)
	}
	if events, err := db.Events(t.Context(), store.EventQuery{Limit: 1}); err != nil || events[0].Type != "resource.removed" || events[0].Detail != uri {
		t.Errorf("got %+v, %v", events, err)
	}
}

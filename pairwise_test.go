package sallyport_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store/storetest"
)

// pairwise is a client of a sector.
func pairwise(c *oidc.Client, sector string) *oidc.Client {
	c.SubjectType, c.Sector = oidc.SubjectPairwise, sector
	return c
}

// withSectors has two applications of one sector, one of another, and a device of it.
func withSectors(t testing.TB, change ...func(*sallyport.Config)) *rig {
	r := newRig(t, change...)
	for id, sector := range map[string]string{"shop": "shop.example", "till": "shop.example", "bank": "bank.example"} {
		c := pairwise(admin.Web(id, id, callback), sector)
		r.must(r.Admin().Allow(t.Context(), c, orders))
		r.addClient(t.Context(), c)
	}
	r.addClient(t.Context(), pairwise(admin.Device("tv", "Television"), "bank.example"))
	return r
}

// claimsOf are what a JWT says.
func claimsOf(t testing.TB, jws string) map[string]any {
	t.Helper()
	_, payload, _ := strings.Cut(jws, ".")
	payload, _, _ = strings.Cut(payload, ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{}
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// subOf is what a client calls the browser's user, in all that it gets.
func (b *browser) subOf(client string, v *view) string {
	b.t.Helper()
	got := b.redeem(client, v.mustCode())
	sub, _ := claimsOf(b.t, got.ID)["sub"].(string)
	again := b.token(client, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}})
	if now := claimsOf(b.t, again.ID)["sub"]; now != sub {
		b.t.Errorf("%s, refreshed: got %v, want %q", client, now, sub)
	}
	if _, told := b.userinfo(again.Access); told["sub"] != sub {
		b.t.Errorf("%s, userinfo: got %v, want %q", client, told["sub"], sub)
	}
	if sub == "" {
		b.t.Fatalf("%s: got no sub", client)
	}
	return sub
}

// TestPairwise: clients of one sector know a user by one sub, in ID tokens, at userinfo,
// after a refresh and on devices; those of another by another (OpenID Connect Core §8.1).
func TestPairwise(t *testing.T) {
	t.Parallel()
	r := withSectors(t)
	b := r.browser()
	shop := b.subOf("shop", b.signIn(r.mina, b.authorize("shop")))
	till, bank, web := b.subOf("till", b.authorize("till")), b.subOf("bank", b.authorize("bank")), b.subOf("web", b.authorize("web"))
	switch {
	case till != shop:
		t.Errorf("one sector: got %q and %q", shop, till)
	case bank == shop || bank == r.mina.id || shop == r.mina.id:
		t.Errorf("another sector: got %q and %q, for %q", shop, bank, r.mina.id)
	case web != r.mina.id:
		t.Errorf("public: got %q, want %q", web, r.mina.id)
	}
	other := r.browser()
	if got := other.subOf("shop", other.signIn(r.joonWithTOTP(), other.authorize("shop"))); got == shop {
		t.Error("two users are one")
	}
	w := r.asks("tv")
	r.clock.advance(time.Minute)
	r.browser().allowsDevice(w)
	if got := claimsOf(t, w.poll().ID)["sub"]; got != bank {
		t.Errorf("a device: got %v, want %q", got, bank)
	}
}

// TestPairwiseStays: another server, on a backup of the database that was restored,
// changes no subject.
func TestPairwiseStays(t *testing.T) {
	t.Parallel()
	for name, save := range map[string]func(t *testing.T, database string) saved{"SQLite": saveSQLite, "PostgreSQL": savePostgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := filepath.Join(t.TempDir(), "test.db")
			if name == "PostgreSQL" {
				database = storetest.FindPostgres(t, 1).Schema(t)
			}
			r := withSectors(t, func(c *sallyport.Config) { c.Database = database })
			b := r.browser()
			before := b.subOf("shop", b.signIn(r.mina, b.authorize("shop")))
			backup := save(t, database)
			r.must(r.Close())
			database = backup.restore(t)
			after := emptyRig(t, func(c *sallyport.Config) { c.Database, c.Now = database, r.clock.Now })
			after.mina, after.secret, after.clock = r.mina, r.secret, r.clock
			r.clock.advance(time.Minute)
			b = after.browser()
			if got := b.subOf("shop", b.signIn(after.mina, b.authorize("shop"))); got != before {
				t.Errorf("got %q, want %q", got, before)
			}
		})
	}
}

// TestPairwiseClientsCannotLink: what a client of another sector has, or what all know a
// user by, is of no use to a client that would learn whether it is the same user.
func TestPairwiseClientsCannotLink(t *testing.T) {
	t.Parallel()
	r := withSectors(t)
	b := r.browser()
	shop := r.redeem("shop", b.signIn(r.mina, b.authorize("shop")).mustCode()).ID
	bank, web := r.redeem("bank", b.authorize("bank").mustCode()).ID, r.redeem("web", b.authorize("web").mustCode()).ID
	quiet := func(client string, extra ...string) *view {
		return b.authorize(client, append(extra, "prompt", "none")...)
	}
	quiet("bank", "id_token_hint", bank).mustCode()
	quiet("web", "id_token_hint", web).mustCode()
	for what, try := range map[string]*view{
		"a hint of another sector":          quiet("bank", "id_token_hint", shop),
		"a hint of a public client":         quiet("bank", "id_token_hint", web),
		"a public client, a pairwise hint":  quiet("web", "id_token_hint", bank),
		"one of the sector, another's hint": quiet("till", "id_token_hint", shop),
	} {
		t.Log(what)
		try.mustRefuse(oidc.InvalidRequest)
	}
	sub := func(jws string) string {
		return `{"id_token":{"sub":{"value":"` + claimsOf(t, jws)["sub"].(string) + `"}}}`
	}
	quiet("bank", "claims", sub(bank)).mustCode()
	quiet("till", "claims", sub(shop)).mustCode()
	quiet("bank", "claims", sub(shop)).mustRefuse(oidc.LoginRequired)
	quiet("bank", "claims", sub(web)).mustRefuse(oidc.LoginRequired)
	quiet("web", "claims", sub(bank)).mustRefuse(oidc.LoginRequired)
	if a, b := claimsOf(t, shop), claimsOf(t, bank); a["sid"] == b["sid"] {
		t.Errorf("one sid for both: %v", a["sid"])
	}
}

// TestPairwiseHint: the client's own hint means its user, and nobody else, to sign in and
// to sign out with.
func TestPairwiseHint(t *testing.T) {
	t.Parallel()
	r := withSectors(t)
	b := r.browser()
	hint := r.redeem("bank", b.signIn(r.mina, b.authorize("bank")).mustCode()).ID
	joon, other := r.joonWithTOTP(), r.browser()
	other.signIn(joon, other.authorize("bank")).mustCode()
	other.authorize("bank", "id_token_hint", hint, "prompt", "none").mustRefuse(oidc.LoginRequired)
	if v := other.get("/end_session?id_token_hint=" + hint); !strings.Contains(v.body, "/end_session/confirm") {
		t.Errorf("another's hint signed joon out: %d", v.status)
	}
	other.authorize("bank", "prompt", "none").mustCode()
	if v := b.get("/end_session?id_token_hint=" + hint); v.status != http.StatusOK || strings.Contains(v.body, "/end_session/confirm") {
		t.Errorf("her own hint: got %d, want no question\n%s", v.status, v.body)
	}
	b.authorize("bank", "prompt", "none").mustRefuse(oidc.LoginRequired)
	r.clock.advance(time.Minute)
	b.signIn(r.mina, b.authorize("bank", "id_token_hint", hint)).mustCode()
}

// TestPairwiseAtAPIs: an API knows a user by one sub, whoever the application is: that of
// the API's own sector, or the public one. What an application can read, a JWT, has the
// application's (RFC 9068 §6).
func TestPairwiseAtAPIs(t *testing.T) {
	t.Parallel()
	r := withSectors(t)
	ctx := t.Context()
	depot := pairwise(admin.Machine("depot", "Depot"), "shop.example")
	r.must(r.Admin().AllowIntrospection(ctx, depot, orders))
	r.addClient(ctx, depot)
	r.addJWTAPI(signer, "ES256", "robot")
	reader := pairwise(admin.Web("reader", "Reader", callback), "reader.example")
	r.must(r.Admin().Allow(ctx, reader, signer))
	r.addClient(ctx, reader)

	b := r.browser()
	shop := b.subOf("shop", b.signIn(r.mina, b.authorize("shop")))
	token := func(client, resource, scope string) string {
		return r.redeem(client, b.authorize(client, "resource", resource, "scope", "openid "+scope).mustCode()).Access
	}
	for _, client := range []string{"shop", "till", "bank"} {
		access := token(client, orders, "orders:read")
		if got := r.introspect("orders", access)["sub"]; got != r.mina.id {
			t.Errorf("%s's token at a public API: got %v, want %q", client, got, r.mina.id)
		}
		if got := r.introspect("depot", access)["sub"]; got != shop {
			t.Errorf("%s's token at an API of the sector: got %v, want %q", client, got, shop)
		}
	}
	own := b.subOf("reader", b.authorize("reader"))
	jwt := token("reader", signer, "sign")
	if got := r.verified(jwt, "ES256")["sub"]; got != own {
		t.Errorf("a JWT: got %v, want the client's %q", got, own)
	}
	if got := r.introspect("signer", jwt)["sub"]; got != own {
		t.Errorf("a JWT that is asked about: got %v, want what it says, %q", got, own)
	}
	if got := r.introspect("depot", r.clientToken("worker").Access)["sub"]; got != "worker" {
		t.Errorf("a client's own token: got %v, want worker", got)
	}
}

package storetest

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

func clientKept(w *world) {
	age := time.Hour
	c := &oidc.Client{ID: "shop", Name: "상점", SecretHashes: [][]byte{{1, 2}}, RedirectURIs: []string{"https://shop.example/cb"},
		MinLevel: oidc.Level2FA, DefaultMaxAge: &age, AccessTokenTTL: time.Minute}
	w.must(w.CreateClient(w.ctx, c))
	for range 3 { // each time it is the caller's own
		got, err := w.Client(w.ctx, "shop")
		w.must(err)
		if !reflect.DeepEqual(got, c) {
			w.Errorf("got %+v, want %+v", got, c)
		}
		got.Name, got.RedirectURIs[0], got.SecretHashes[0][0], *got.DefaultMaxAge = "", "", 0, 0
	}
	w.must(w.CreateClient(w.ctx, &oidc.Client{ID: "app"}))
	list, err := w.Clients(w.ctx)
	w.must(err)
	if len(list) != 2 || list[0].ID != "app" || list[1].ID != "shop" {
		w.Errorf("got %d clients, want app and shop", len(list))
	}
}

func clientIDUnique(w *world) {
	errs := race(func(i int) error { return w.CreateClient(w.ctx, &oidc.Client{ID: "shop"}) })
	w.count("winners", w.winners(errs, store.ErrExists), 1)
}

func clientUpdatedAndRemoved(w *world) {
	c := &oidc.Client{ID: "shop"}
	_, err := w.Client(w.ctx, c.ID)
	w.is("read none", err, store.ErrNotFound)
	w.is("update none", w.UpdateClient(w.ctx, c, c), store.ErrNotFound)
	w.is("remove none", w.RemoveClient(w.ctx, c.ID, w.now), store.ErrNotFound)
	w.must(w.CreateClient(w.ctx, c))
	old := c.Clone()
	c.Name = "Shop"
	w.must(w.UpdateClient(w.ctx, old, c))
	got, err := w.Client(w.ctx, c.ID)
	w.must(err)
	if got.Name != "Shop" {
		w.Errorf("got name %q, want Shop", got.Name)
	}
	w.must(w.RemoveClient(w.ctx, c.ID, w.now))
	_, err = w.Client(w.ctx, c.ID)
	w.is("read removed", err, store.ErrNotFound)
}

// becomes changes the client that has the id of c, whatever it is.
func (w *world) becomes(c *oidc.Client) {
	w.Helper()
	old, err := w.Client(w.ctx, c.ID)
	w.must(err)
	w.must(w.UpdateClient(w.ctx, old, c))
}

// clientChangedByOne: of all who have read the same client one changes it, and nobody who
// has read what it is no more, or another that had its id before.
func clientChangedByOne(w *world) {
	first := &oidc.Client{ID: "shop", SecretHashes: [][]byte{{1}}}
	w.must(w.CreateClient(w.ctx, first))
	changed := func(i int) *oidc.Client { return &oidc.Client{ID: "shop", MinLevel: oidc.Level(i + 1)} }
	errs := race(func(i int) error {
		return w.UpdateClient(w.ctx, first, changed(i), store.Event{At: w.now, Type: "changed"})
	})
	w.count("winners", w.winners(errs, store.ErrStale), 1)
	won := slices.Index(errs, nil)
	got, err := w.Client(w.ctx, "shop")
	w.must(err)
	if !reflect.DeepEqual(got, changed(won)) {
		w.Errorf("got %+v, want the winner's", got)
	}
	w.is("by whoever read it before", w.UpdateClient(w.ctx, first, changed(0), store.Event{At: w.now, Type: "lost"}), store.ErrStale)
	w.must(w.RemoveClient(w.ctx, "shop", w.now))
	w.must(w.CreateClient(w.ctx, first))
	w.is("of another with its id", w.UpdateClient(w.ctx, got, changed(0)), store.ErrStale)
	w.must(w.UpdateClient(w.ctx, first, changed(0)))
	w.count("events", len(w.events()), 1)
}

// clientSecretChangedByOne: of all who give the same client a new secret one does, and the
// others' secrets are not kept. Who takes the id later inherits none.
func clientSecretChangedByOne(w *world) {
	sealed := func(id string) store.ClientSecret { return store.ClientSecret{ID: id, Sealed: []byte("sealed " + id)} }
	named := func(ids ...string) *oidc.Client { return &oidc.Client{ID: "shop", SealedSecrets: ids} }
	kept := func(c *oidc.Client) []string {
		list, err := w.ClientSecrets(w.ctx, c)
		w.must(err)
		var ids []string
		for _, v := range list {
			if string(v.Sealed) != "sealed "+v.ID {
				w.Errorf("secret %s is %q", v.ID, v.Sealed)
			}
			ids = append(ids, v.ID)
		}
		slices.Sort(ids)
		return ids
	}
	first := named("first")
	w.must(w.CreateSealedClient(w.ctx, first, sealed("first")))
	w.is("again", w.CreateSealedClient(w.ctx, first, sealed("other")), store.ErrExists)
	w.must(w.CreateSealedClient(w.ctx, &oidc.Client{ID: "bank", SealedSecrets: []string{"bank"}}, sealed("bank")))
	fresh := func(i int) string { return fmt.Sprintf("fresh %d", i) }
	errs := race(func(i int) error {
		return w.UpdateSealedClient(w.ctx, first, named(fresh(i), "first"), sealed(fresh(i)))
	})
	w.count("winners", w.winners(errs, store.ErrStale), 1)
	won := slices.Index(errs, nil)
	if got := kept(named(fresh(won), "first")); !slices.Equal(got, []string{"first", fresh(won)}) {
		w.Errorf("got the secrets %v, want the first and the winner's", got)
	}
	w.count("secrets of losers", len(kept(named(fresh((won+1)%len(errs)), "bank"))), 0)
	w.must(w.UpdateClient(w.ctx, named(fresh(won), "first"), named(fresh(won))))
	if got := kept(named(fresh(won), "first")); !slices.Equal(got, []string{fresh(won)}) {
		w.Errorf("got the secrets %v after the old one's end, want the winner's", got)
	}
	w.must(w.RemoveClient(w.ctx, "shop", w.now))
	w.count("secrets of one that was removed", len(kept(named(fresh(won), "first"))), 0)
	w.count("secrets of another", len(kept(&oidc.Client{ID: "bank", SealedSecrets: []string{"bank"}})), 1)
}

// removeClientLeavesNoHeir: whoever gets the id later gets nothing else.
func removeClientLeavesNoHeir(w *world) {
	c := &oidc.Client{ID: "shop"} // the client of every fixture
	w.must(w.CreateClient(w.ctx, c))
	w.must(w.CreateClient(w.ctx, &oidc.Client{ID: "other"}))
	a := w.issued(w.user())
	v := w.visit(a.user)
	f := w.finish(v, false)
	f.Consent = &store.Consent{UserID: a.user.ID, ClientID: "shop", Scope: []string{"openid"}, UpdatedAt: w.now, ClientHash: []byte{1}}
	w.must(w.FinishInteraction(w.ctx, f))
	w.must(w.RemoveClient(w.ctx, "other", w.now))
	w.everythingLives(a)
	w.must(w.RemoveClient(w.ctx, "shop", w.now))
	w.must(w.CreateClient(w.ctx, c))
	w.tokensEnded(a)
	w.is("interaction", w.interactionErr(a.interaction), store.ErrNotFound)
	w.is("session", w.sessionErr(a.session), nil)
	_, err := w.Consent(w.ctx, a.user.ID, "shop")
	w.is("consent", err, store.ErrNotFound)
}

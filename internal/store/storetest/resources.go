package storetest

import (
	"reflect"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// resource registers an API of this URI.
func (w *world) resource(uri string) *oidc.Resource {
	w.Helper()
	r := &oidc.Resource{ID: store.NewID(), URI: uri, Name: "API", Scopes: []string{"read"}, AccessTokenTTL: time.Minute, MinLevel: oidc.Level2FA}
	w.must(w.CreateResource(w.ctx, r))
	return r
}

// clientToken of a client for an API, ready to be written.
func (w *world) clientToken(client string, r *oidc.Resource) *store.ClientToken {
	_, hash := store.NewSecret()
	return &store.ClientToken{ID: store.NewID(), SecretHash: hash, ClientID: client, Resource: r, Scope: []string{"read"}, JKT: "machine's",
		CreatedAt: w.now, ExpiresAt: w.now.Add(10 * time.Minute)}
}

func (w *world) clientTokenErr(t *store.ClientToken) error {
	_, _, err := w.ClientToken(w.ctx, t.ID, t.SecretHash, w.now)
	return err
}

func resourceKept(w *world) {
	r := w.resource("https://b.example/orders?v=1")
	got, err := w.Resource(w.ctx, r.URI)
	w.must(err)
	if !reflect.DeepEqual(got, r) {
		w.Errorf("got %+v, want %+v", got, r)
	}
	w.resource("https://a.example/")
	list, err := w.Resources(w.ctx)
	w.must(err)
	if len(list) != 2 || list[0].URI != "https://a.example/" || list[1].URI != r.URI {
		w.Errorf("got %d resources, want two in order", len(list))
	}
	_, err = w.Resource(w.ctx, "https://a.example")
	w.is("a URI that is not the same bytes", err, store.ErrNotFound)
}

func resourceURIUnique(w *world) {
	errs := race(func(int) error {
		return w.CreateResource(w.ctx, &oidc.Resource{ID: store.NewID(), URI: "https://api.example"})
	})
	w.count("winners", w.winners(errs, store.ErrExists), 1)
}

// removeResourceLeavesNoHeir: whoever gets the URI later gets no tokens.
func removeResourceLeavesNoHeir(w *world) {
	w.must(w.CreateClient(w.ctx, &oidc.Client{ID: "worker"}))
	r, other := w.resource("https://api.example"), w.resource("https://other.example")
	t, kept := w.clientToken("worker", r), w.clientToken("worker", other)
	f := w.finished(w.visit(w.user()), false)
	users := w.tokens(f.Grant.ID)
	users.Access.Resource = r
	w.must(w.redeem(f, users))
	a, _, _, err := w.AccessToken(w.ctx, users.Access.ID, users.Access.SecretHash, w.now)
	w.must(err)
	if !reflect.DeepEqual(a, users.Access) {
		w.Errorf("got %+v, want %+v", a, users.Access)
	}
	w.must(w.IssueClientToken(w.ctx, t))
	w.must(w.IssueClientToken(w.ctx, kept))
	w.must(w.RemoveResource(w.ctx, r.URI))
	w.is("again", w.RemoveResource(w.ctx, r.URI), store.ErrNotFound)
	w.is("token", w.clientTokenErr(t), store.ErrNotFound)
	w.is("a user's token", w.accessErr(users), store.ErrNotFound)
	w.is("a new token", w.IssueClientToken(w.ctx, w.clientToken("worker", r)), store.ErrNotFound)
	w.resource(r.URI)
	w.is("token, with an heir", w.clientTokenErr(t), store.ErrNotFound)
	w.is("a user's token, with an heir", w.accessErr(users), store.ErrNotFound)
	w.is("the user's other tokens", w.refreshErr(users), nil)
	w.is("a new token, with an heir", w.IssueClientToken(w.ctx, w.clientToken("worker", r)), store.ErrNotFound)
	w.is("another API's token", w.clientTokenErr(kept), nil)
}

func clientTokenKept(w *world) {
	c := &oidc.Client{ID: "worker", Name: "Worker", Disabled: true}
	w.must(w.CreateClient(w.ctx, c))
	t := w.clientToken("worker", w.resource("https://api.example"))
	w.must(w.IssueClientToken(w.ctx, t))
	got, of, err := w.ClientToken(w.ctx, t.ID, t.SecretHash, w.now)
	w.must(err)
	if !reflect.DeepEqual(got, t) || !reflect.DeepEqual(of, c) {
		w.Errorf("got %+v of %+v, want %+v of %+v", got, of, t, c)
	}
	_, _, err = w.ClientToken(w.ctx, t.ID, []byte("wrong"), w.now)
	w.is("wrong secret", err, store.ErrNotFound)
	_, _, err = w.ClientToken(w.ctx, t.ID, t.SecretHash, t.ExpiresAt)
	w.is("expired", err, store.ErrNotFound)
	_, _, _, err = w.AccessToken(w.ctx, t.ID, t.SecretHash, w.now)
	w.is("as a user's token", err, store.ErrNotFound)
	w.must(w.Sweep(w.ctx, t.ExpiresAt.Add(-time.Millisecond)))
	w.is("swept early", w.clientTokenErr(t), nil)
	w.must(w.Sweep(w.ctx, t.ExpiresAt))
	w.is("swept", w.clientTokenErr(t), store.ErrNotFound)
}

// clientTokenEndsWithItsClient: a client that is removed and made anew while
// tokens are being issued has none of the old one's.
func clientTokenEndsWithItsClient(w *world) {
	c := &oidc.Client{ID: "worker"}
	w.must(w.CreateClient(w.ctx, c))
	r := w.resource("https://api.example")
	var all [crowd]*store.ClientToken
	for i := range all {
		all[i] = w.clientToken("worker", r)
	}
	errs := lastOf(func() error { return w.RemoveClient(w.ctx, "worker", w.now) }, func(i int) error {
		return w.IssueClientToken(w.ctx, all[i])
	})
	w.winners(errs, store.ErrNotFound)
	w.must(w.CreateClient(w.ctx, c))
	for _, t := range all {
		w.is("token of the one before", w.clientTokenErr(t), store.ErrNotFound)
	}
	t := w.clientToken("worker", r)
	w.must(w.IssueClientToken(w.ctx, t))
	w.is("its own token", w.clientTokenErr(t), nil)
	c.Name = "Worker"
	w.becomes(c)
	w.is("its own token, after a change", w.clientTokenErr(t), nil)
}

func revokeClientTokenOnce(w *world) {
	w.must(w.CreateClient(w.ctx, &oidc.Client{ID: "worker"}))
	r := w.resource("https://api.example")
	t, other := w.clientToken("worker", r), w.clientToken("worker", r)
	w.must(w.IssueClientToken(w.ctx, t))
	w.must(w.IssueClientToken(w.ctx, other))
	w.is("wrong secret", w.RevokeClientToken(w.ctx, t.ID, other.SecretHash), store.ErrNotFound)
	w.is("token, before", w.clientTokenErr(t), nil)
	e := store.Event{At: w.now, Type: "e"}
	errs := race(func(int) error { return w.RevokeClientToken(w.ctx, t.ID, t.SecretHash, e) })
	w.count("winners", w.winners(errs, store.ErrNotFound), 1)
	w.is("token", w.clientTokenErr(t), store.ErrNotFound)
	w.is("another token", w.clientTokenErr(other), nil)
	list, err := w.Events(w.ctx, store.EventQuery{Limit: 10})
	w.must(err)
	w.count("events", len(list), 1)
}

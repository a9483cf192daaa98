package storetest

import (
	"errors"
	"reflect"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// pushed makes a request that was sent ahead.
func (w *world) pushed() *store.PushedRequest {
	w.Helper()
	_, secret := store.NewSecret()
	p := &store.PushedRequest{
		ID: store.NewID(), SecretHash: secret, ClientID: "shop", Request: oidc.AuthorizationRequest{ClientID: "shop", Scope: []string{"openid"}},
		CreatedAt: w.now, ExpiresAt: w.now.Add(time.Minute), NeededUntil: w.now.Add(11 * time.Minute),
	}
	p.Request.PushedID = p.ID
	w.must(w.PushRequest(w.ctx, p))
	return p
}

func (w *world) pushedErr(p *store.PushedRequest, now time.Time) error {
	_, err := w.PushedRequest(w.ctx, p.ID, p.SecretHash, p.ClientID, now)
	return err
}

func pushedKept(w *world) {
	want, other := w.pushed(), w.pushed()
	got, err := w.PushedRequest(w.ctx, want.ID, want.SecretHash, "shop", w.now)
	w.must(err)
	if !reflect.DeepEqual(got, want) {
		w.Errorf("got %+v, want %+v", got, want)
	}
	w.is("again", w.pushedErr(want, want.ExpiresAt.Add(-time.Millisecond)), nil)
	w.is("expired", w.pushedErr(want, want.ExpiresAt), store.ErrNotFound)
	_, err = w.PushedRequest(w.ctx, want.ID, other.SecretHash, "shop", w.now)
	w.is("a wrong secret", err, store.ErrNotFound)
	_, err = w.PushedRequest(w.ctx, want.ID, want.SecretHash, "bank", w.now)
	w.is("another client", err, store.ErrNotFound)
	w.must(w.Sweep(w.ctx, want.NeededUntil.Add(-time.Millisecond)))
	w.is("needed, swept", w.pushedErr(want, w.now), nil)
	w.must(w.Sweep(w.ctx, want.NeededUntil))
	w.is("swept", w.pushedErr(want, w.now), store.ErrNotFound)
	gone := w.pushed()
	w.clientRemoved()
	w.is("the client's end", w.pushedErr(gone, w.now), store.ErrNotFound)
}

// pushedAnsweredOnce: of many sign-ins that began with one request one ends in a code,
// also after the request has expired.
func pushedAnsweredOnce(w *world) {
	for _, late := range []time.Duration{0, 2 * time.Minute} {
		p := w.pushed()
		all := make([]store.Finish, crowd)
		for i := range all {
			all[i] = w.finish(w.visit(w.user()), false)
			all[i].PushedRequest, all[i].Now = p.ID, w.now.Add(late)
		}
		errs := race(func(i int) error { return w.FinishInteraction(w.ctx, all[i]) })
		w.count("winners", w.winners(errs, store.ErrUsed), 1)
		for i, f := range all {
			_, _, _, err := w.Code(w.ctx, f.Code.ID, f.Code.SecretHash)
			if (errs[i] == nil) == errors.Is(err, store.ErrNotFound) {
				w.Errorf("number %d: finished %v, code %v", i, errs[i], err)
			}
		}
		w.is("answered", w.pushedErr(p, w.now), store.ErrNotFound)
	}
}

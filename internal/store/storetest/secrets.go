package storetest

import (
	"bytes"

	"github.com/sallyport-id/sallyport/internal/store"
)

// secretMadeOnce: of many processes that start at once one makes it, and it is what
// all of them read.
func secretMadeOnce(w *world) {
	_, err := w.Secret(w.ctx, "pairwise")
	w.is("before", err, store.ErrNotFound)
	errs := race(func(i int) error { return w.AddSecret(w.ctx, "pairwise", []byte{byte(i)}) })
	w.count("winners", w.winners(errs, store.ErrExists), 1)
	w.must(w.AddSecret(w.ctx, "another", []byte("another")))
	got, err := w.Secret(w.ctx, "pairwise")
	w.must(err)
	if len(got) != 1 || errs[got[0]] != nil {
		w.Errorf("got %v, want the winner's", got)
	}
	for _, v := range w.sealedValues(10) {
		if v.Table == "server_secrets" && v.Row == "pairwise" && bytes.Equal(v.Sealed, got) {
			return
		}
	}
	w.Error("it is none of the sealed values, which a new master key needs")
}

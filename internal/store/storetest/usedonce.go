package storetest

import (
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

func usedOnce(w *world) {
	until := w.now.Add(time.Minute)
	for _, name := range []string{"a", "b", ""} {
		errs := race(func(int) error { return w.UseOnce(w.ctx, "proof", name, until, w.now) })
		w.count("winners of "+name, w.winners(errs, store.ErrUsed), 1)
	}
	w.is("of another kind", w.UseOnce(w.ctx, "assertion", "a", until, w.now), nil)
	w.is("kind and name are apart", w.UseOnce(w.ctx, "proo", "fa", until, w.now), nil)
	w.must(w.Sweep(w.ctx, until.Add(-time.Millisecond)))
	w.is("before it ends", w.UseOnce(w.ctx, "proof", "a", until, until.Add(-time.Millisecond)), store.ErrUsed)
	errs := race(func(int) error { return w.UseOnce(w.ctx, "proof", "a", until.Add(time.Minute), until) })
	w.count("winners once it has ended", w.winners(errs, store.ErrUsed), 1)
	w.must(w.Sweep(w.ctx, until))
	w.is("swept", w.UseOnce(w.ctx, "proof", "b", until, w.now), nil)
	w.is("what ends later is not", w.UseOnce(w.ctx, "proof", "a", until.Add(time.Minute), until), store.ErrUsed)
}

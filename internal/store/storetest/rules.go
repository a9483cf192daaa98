package storetest

import (
	"fmt"

	"github.com/sallyport-id/sallyport/internal/store"
)

func (w *world) rules(what, text string, version int64) {
	w.Helper()
	gotText, gotVersion, err := w.Rules(w.ctx)
	w.must(err)
	if gotText != text || gotVersion != version {
		w.Errorf("%s: got %q, version %d, want %q, %d", what, gotText, gotVersion, text, version)
	}
}

func rulesKept(w *world) {
	w.rules("before", "", 0)
	w.is("a version that there never was", w.SetRules(w.ctx, "x", 7), store.ErrStale)
	w.must(w.SetRules(w.ctx, `[{"name":"café"}]`, 0, store.Event{At: w.now, Type: "set"}))
	w.rules("set", `[{"name":"café"}]`, 1)
	w.must(w.SetRules(w.ctx, "", 1))
	w.rules("emptied", "", 2)
	for _, version := range []int64{0, 1, 3} {
		w.is("another version", w.SetRules(w.ctx, "x", version, store.Event{At: w.now, Type: "lost"}), store.ErrStale)
	}
	w.rules("refused", "", 2)
	w.count("events", len(w.events()), 1)
}

// setRulesOneWinner: of all who have seen one version one replaces it, the first as
// any other.
func setRulesOneWinner(w *world) {
	for version := range int64(3) {
		won := ""
		errs := race(func(i int) error {
			return w.SetRules(w.ctx, fmt.Sprintf("%d of %d", i, version), version, store.Event{At: w.now, Type: "set"})
		})
		for i, err := range errs {
			if err == nil {
				won = fmt.Sprintf("%d of %d", i, version)
			}
		}
		w.count("winners", w.winners(errs, store.ErrStale), 1)
		w.rules("after the race", won, version+1)
	}
	w.count("events", len(w.events()), 3)
}

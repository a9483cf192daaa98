package storetest

import (
	"errors"
	"reflect"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

func (w *world) signingKey(alg string) store.SigningKey {
	return store.SigningKey{ID: store.NewID(), Alg: alg, Sealed: []byte(store.NewID()), CreatedAt: w.now}
}

// firstKey is the algorithm's first, in the store.
func (w *world) firstKey(alg string) store.SigningKey {
	k := w.signingKey(alg)
	w.must(w.AddFirstSigningKey(w.ctx, k))
	return k
}

// rotation replaces a key in an hour; it is published for two.
func (w *world) rotation(old store.SigningKey) store.Rotation {
	next := w.signingKey(old.Alg)
	next.NotBefore = w.now.Add(time.Hour)
	return store.Rotation{Next: next, Replaces: old.ID, Retire: w.now.Add(2 * time.Hour), Now: w.now}
}

func (w *world) signingKeys() []store.SigningKey {
	w.Helper()
	list, err := w.SigningKeys(w.ctx)
	w.must(err)
	return list
}

func signingKeysKept(w *world) {
	k := w.firstKey("RS256")
	again := k
	again.Alg = "ES256"
	w.is("same id", w.AddFirstSigningKey(w.ctx, again), store.ErrExists)
	if list := w.signingKeys(); !reflect.DeepEqual(list, []store.SigningKey{k}) {
		w.Errorf("got %+v, want %+v", list, k)
	}
	w.now = w.now.Add(time.Minute)
	r := w.rotation(k)
	w.must(w.RotateSigningKey(w.ctx, r))
	k.Retire = r.Retire
	if list := w.signingKeys(); !reflect.DeepEqual(list, []store.SigningKey{r.Next, k}) {
		w.Errorf("got %+v, want %+v and %+v", list, r.Next, k)
	}
}

func signingKeyOnlyFirst(w *world) {
	errs := race(func(int) error { return w.AddFirstSigningKey(w.ctx, w.signingKey("RS256")) })
	w.count("winners", w.winners(errs, store.ErrExists), 1)
	w.is("another algorithm", w.AddFirstSigningKey(w.ctx, w.signingKey("ES256")), nil)
	w.count("keys", len(w.signingKeys()), 2)
}

// signingKeyOneNext: half of the crowd look at what is there once more, and try
// again.
func signingKeyOneNext(w *world) {
	first := w.firstKey("RS256")
	w.firstKey("ES256")
	w.now = w.now.Add(time.Minute)
	errs := race(func(i int) error {
		err := w.RotateSigningKey(w.ctx, w.rotation(first))
		if err == nil || i%2 == 0 {
			return err
		}
		list, readErr := w.SigningKeys(w.ctx)
		if readErr != nil || len(list) == 0 {
			return errors.Join(err, readErr)
		}
		return w.RotateSigningKey(w.ctx, w.rotation(list[0]))
	})
	w.count("winners", w.winners(errs, store.ErrStale), 1)
	endless, of := 0, 0
	for _, k := range w.signingKeys() {
		if k.Alg != "RS256" {
			continue
		}
		of++
		if k.Retire.IsZero() {
			endless++
		}
	}
	w.count("keys of the algorithm", of, 2)
	w.count("keys whose end is not planned", endless, 1)
}

func signingKeyRotatedInOrder(w *world) {
	first := w.firstKey("RS256")
	r := w.rotation(first)
	r.Events = []store.Event{{At: w.now, Type: "e"}}
	w.must(w.RotateSigningKey(w.ctx, r))
	w.is("the same again", w.RotateSigningKey(w.ctx, w.rotation(first)), store.ErrStale)
	w.is("a key that does not sign yet", w.RotateSigningKey(w.ctx, w.rotation(r.Next)), store.ErrStale)
	w.is("a key that is none", w.RotateSigningKey(w.ctx, w.rotation(w.signingKey("RS256"))), store.ErrStale)
	w.now = r.Next.NotBefore
	other := w.rotation(r.Next)
	other.Next.Alg = "ES256"
	w.is("a key of another algorithm", w.RotateSigningKey(w.ctx, other), store.ErrStale)
	taken := w.rotation(r.Next)
	taken.Next.ID = first.ID
	w.is("an id that is taken", w.RotateSigningKey(w.ctx, taken), store.ErrExists)
	w.must(w.RotateSigningKey(w.ctx, w.rotation(r.Next)))
	list := w.signingKeys()
	if len(list) != 3 || list[2].Retire != r.Retire || list[1].Retire != w.now.Add(2*time.Hour) || !list[0].Retire.IsZero() {
		w.Errorf("got %+v, want three, each with the end that was planned when the next one came", list)
	}
	events, err := w.Events(w.ctx, store.EventQuery{Limit: 10})
	w.must(err)
	w.count("events", len(events), 1)
}

// signingKeyReplacedInAnEmergency: of many who do it at once each has seen the
// newest key, and replaced it.
func signingKeyReplacedInAnEmergency(w *world) {
	first := w.firstKey("RS256")
	other := w.firstKey("ES256")
	w.must(w.RotateSigningKey(w.ctx, w.rotation(first)))
	errs := race(func(int) error {
		list, err := w.SigningKeys(w.ctx)
		if err != nil {
			return err
		}
		for _, k := range list {
			if k.Alg == "RS256" && k.Retire.IsZero() {
				return w.RotateSigningKey(w.ctx, store.Rotation{Next: w.signingKey("RS256"), Replaces: k.ID, Retire: w.now, Emergency: true, Now: w.now})
			}
		}
		return store.ErrNotFound
	})
	if n := w.winners(errs, store.ErrStale); n < 1 {
		w.Errorf("nobody replaced the key")
	}
	endless := 0
	for _, k := range w.signingKeys() {
		switch {
		case k.Retire.IsZero():
			endless++
		case k.ID == other.ID || k.Retire != w.now:
			w.Errorf("%s ends at %v, want %v, and another algorithm's never", k.ID, k.Retire, w.now)
		}
	}
	w.count("keys whose end is not planned, with the other algorithm's", endless, 2)
}

func signingKeySweptAfterItsTime(w *world) {
	first := w.firstKey("RS256")
	r := w.rotation(first)
	w.must(w.RotateSigningKey(w.ctx, r))
	w.must(w.Sweep(w.ctx, r.Retire.Add(24*time.Hour)))
	w.count("keys soon after one was retired", len(w.signingKeys()), 2)
	w.must(w.Sweep(w.ctx, r.Retire.Add(1000*24*time.Hour)))
	if list := w.signingKeys(); len(list) != 1 || list[0].ID != r.Next.ID {
		w.Errorf("long after it: got %+v, want the other one alone", list)
	}
}

// sealedValues reads all, in pages.
func (w *world) sealedValues(page int) (all []store.SealedValue) {
	w.Helper()
	after := store.SealedValue{}
	for {
		list, err := w.SealedValues(w.ctx, after, page)
		w.must(err)
		if len(list) == 0 {
			return all
		}
		if len(list) > page {
			w.Fatalf("got %d values, want at most %d", len(list), page)
		}
		all, after = append(all, list...), list[len(list)-1]
	}
}

func sealedValuesInPages(w *world) {
	want := map[string]store.SealedValue{}
	for _, alg := range []string{"RS256", "ES256"} {
		k := w.firstKey(alg)
		want[k.ID] = store.SealedValue{Table: "signing_keys", Column: "sealed", Row: k.ID, Sealed: k.Sealed}
	}
	for range 5 {
		u := w.user()
		a := w.totp(u)
		set, hashes := w.recoverySet(u)
		w.must(w.ReplaceRecoveryCodes(w.ctx, set, hashes))
		want[a.ID] = store.SealedValue{Table: "authenticators", Column: "secret", Row: a.ID, Owner: u.ID, Sealed: a.Secret}
	}
	for _, page := range []int{1, 2, 100} {
		all := w.sealedValues(page)
		w.count("values", len(all), len(want))
		for _, v := range all {
			if !reflect.DeepEqual(v, want[v.Row]) {
				w.Errorf("got %+v, want %+v", v, want[v.Row])
			}
		}
	}
}

// sealedReplacedIfUnchanged: of many who seal the same value anew one does, and
// what has changed since it was read stays.
func sealedReplacedIfUnchanged(w *world) {
	w.firstKey("RS256")
	w.totp(w.user())
	old := w.sealedValues(10)
	errs := race(func(i int) error {
		n, err := w.ReplaceSealed(w.ctx, old, [][]byte{{1, byte(i)}, {2, byte(i)}})
		if err == nil && n == 0 {
			return store.ErrStale
		}
		if err == nil && n != len(old) {
			w.Errorf("number %d: replaced %d, want all or none", i, n)
		}
		return err
	})
	w.count("winners", w.winners(errs, store.ErrStale), 1)
	now := w.sealedValues(10)
	if len(now) != 2 || now[0].Sealed[0] != 1 || now[1].Sealed[0] != 2 || now[0].Sealed[1] != now[1].Sealed[1] {
		w.Errorf("got %+v, want one caller's values in their places", now)
	}
	now[0].Sealed = old[0].Sealed
	n, err := w.ReplaceSealed(w.ctx, now, [][]byte{{3}, {4}})
	w.must(err)
	w.count("replaced, one having changed", n, 1)
	if _, err := w.ReplaceSealed(w.ctx, []store.SealedValue{{Table: "users", Column: "password_hash", Row: "r"}}, [][]byte{{5}}); err == nil {
		w.Error("a column that holds nothing sealed was written")
	}
}

func passingSealedEnds(w *world) {
	v := w.visit(w.user())
	i := v.interaction
	list, err := w.PassingSealed(w.ctx, w.now)
	w.must(err)
	w.count("values at first", len(list), 0)
	i.Progress.Enrolling = &store.Enrolling{ID: store.NewID(), UserID: v.user.ID, Secret: []byte{1}}
	i.Progress.Codes, i.Progress.CodesOf = []byte{2}, v.user.ID
	w.must(w.UpdateInteraction(w.ctx, i, w.now))
	list, err = w.PassingSealed(w.ctx, w.now)
	w.must(err)
	if !reflect.DeepEqual(list, [][]byte{{1}, {2}}) {
		w.Errorf("got %v, want both", list)
	}
	list, err = w.PassingSealed(w.ctx, i.ExpiresAt)
	w.must(err)
	w.count("values after the end", len(list), 0)
}

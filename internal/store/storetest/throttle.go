package storetest

import (
	"fmt"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// attempt complains if the attempt is allowed or not, contrary to what is wanted.
func (w *world) attempt(allowed bool, buckets ...store.Bucket) store.Verdict {
	w.Helper()
	v, err := w.Attempt(w.ctx, buckets, w.now)
	w.must(err)
	if v.Allowed != allowed {
		w.Errorf("after %d failures: allowed is %v, want %v", v.Failures, v.Allowed, allowed)
	}
	return v
}

// retryAt complains about the wait; a negative one is for ever.
func (w *world) retryAt(v store.Verdict, wait time.Duration) {
	w.Helper()
	want := w.now.Add(wait)
	if wait < 0 {
		want = time.Time{}
	}
	if !v.RetryAt.Equal(want) {
		w.Errorf("after %d failures: retry at %v, want %v", v.Failures, v.RetryAt, want)
	}
}

func attemptNeverLost(w *world) {
	b := store.Bucket{Key: "b", Limit: 1000}
	var seen [crowd]int
	errs := race(func(i int) error {
		v, err := w.Attempt(w.ctx, []store.Bucket{b}, w.now)
		seen[i] = v.Failures
		return err
	})
	w.winners(errs)
	numbers := map[int]bool{}
	for _, n := range seen {
		numbers[n] = true
	}
	w.count("different counts", len(numbers), crowd)
	w.count("count afterwards", w.attempt(true, b).Failures, crowd+1)
}

func attemptStopsAtLimit(w *world) {
	b := store.Bucket{Key: "b", Limit: 10}
	allowed := [crowd]bool{}
	w.winners(race(func(i int) error {
		v, err := w.Attempt(w.ctx, []store.Bucket{b}, w.now)
		allowed[i] = v.Allowed
		return err
	}))
	n := 0
	for _, a := range allowed {
		if a {
			n++
		}
	}
	w.count("allowed", n, 10)
	v := w.attempt(false, b)
	w.count("failures", v.Failures, 10)
	w.retryAt(v, -1)
	w.now = w.now.Add(1000 * time.Hour)
	w.retryAt(w.attempt(false, b), -1)
}

func attemptAllOrNone(w *world) {
	full, free := store.Bucket{Key: "a", Limit: 1}, store.Bucket{Key: "b", Limit: 9}
	full2 := store.Bucket{Key: "c", Limit: 1}
	w.attempt(true, full)
	w.attempt(true, full2)
	for range 3 {
		w.attempt(false, full, free)
		w.attempt(false, free, full)
		w.attempt(false, free, full2)
	}
	w.count("failures of the free one", w.attempt(true, free).Failures, 1)
}

func attemptDelays(w *world) {
	b := store.Bucket{Key: "b", Limit: 14, Delays: true}
	for n := 1; n < 5; n++ {
		v := w.attempt(true, b)
		w.count("failures", v.Failures, n)
		w.retryAt(v, 0)
	}
	for _, wait := range []time.Duration{30, 60, 120, 240, 480, 960, 1920, 3600, 3600} {
		wait *= time.Second
		v := w.attempt(true, b)
		w.retryAt(v, wait)
		w.now = w.now.Add(wait - time.Millisecond)
		w.retryAt(w.attempt(false, b), time.Millisecond)
		w.now = w.now.Add(time.Millisecond)
	}
	w.retryAt(w.attempt(true, b), -1) // the last one that the limit leaves
	w.attempt(false, b)
}

func attemptWindow(w *world) {
	b := store.Bucket{Key: "b", Limit: 3, Window: time.Hour}
	w.attempt(true, b)
	w.now = w.now.Add(40 * time.Minute)
	w.retryAt(w.attempt(true, b), 0)
	w.retryAt(w.attempt(true, b), 20*time.Minute)
	w.retryAt(w.attempt(false, b), 20*time.Minute)
	w.now = w.now.Add(20 * time.Minute)
	w.count("failures in the next window", w.attempt(true, b).Failures, 1)
	w.now = w.now.Add(59 * time.Minute)
	w.count("failures in the same window", w.attempt(true, b).Failures, 2)
}

// attemptIdle: owned or not, a bucket looks the same to whoever fails; the total of
// the owned one says more.
func attemptIdle(w *world) {
	began := w.now
	for name, b := range map[string]store.Bucket{
		"nobody's":   {Key: "n", Limit: 6, Delays: true, Idle: time.Hour},
		"somebody's": {Key: "s", Limit: 6, Delays: true, Idle: time.Hour, Owned: true},
	} {
		w.now = began
		total := func(v store.Verdict, want int) {
			w.Helper()
			if !b.Owned {
				want = 0
			}
			w.count(name+" total", v.Total, want)
		}
		for range 3 {
			w.attempt(true, b)
			w.now = w.now.Add(59 * time.Minute) // one after the other, so that it is never idle
		}
		v := w.attempt(true, b)
		w.count(name+" failures", v.Failures, 4)
		total(v, 4)
		w.now = w.now.Add(time.Hour)
		v = w.attempt(true, b)
		w.count(name+" failures after an idle hour", v.Failures, 1)
		w.retryAt(v, 0)
		total(v, 5)
		for range 3 {
			w.attempt(true, b)
		}
		w.retryAt(w.attempt(true, b), 30*time.Second)
		w.now = w.now.Add(30 * time.Second)
		v = w.attempt(true, b) // the last one
		w.retryAt(v, -1)
		total(v, 10)
		w.now = w.now.Add(59 * time.Minute)
		w.retryAt(w.attempt(false, b), -1)
		w.now = w.now.Add(time.Minute)
		v = w.attempt(true, b)
		w.count(name+" failures after an idle hour", v.Failures, 1)
		total(v, 11)
		w.must(w.SettleAttempt(w.ctx, store.Settle{Reset: []string{b.Key}}))
		total(w.attempt(true, b), 1)
	}
}

func sweepForgetsNobodysAttempts(w *world) {
	nobodys := store.Bucket{Key: "n", Limit: 50, Idle: time.Hour}
	somebodys := store.Bucket{Key: "s", Limit: 50, Idle: time.Hour, Owned: true}
	later := store.Bucket{Key: "l", Limit: 50, Idle: time.Hour}
	for range 3 {
		w.attempt(true, nobodys)
		w.attempt(true, somebodys)
		w.attempt(true, later)
	}
	nobodys.Owned = true // to read what is left of it
	w.now = w.now.Add(time.Hour - time.Millisecond)
	w.attempt(true, later)
	w.must(w.Sweep(w.ctx, w.now))
	w.now = w.now.Add(time.Millisecond)
	w.must(w.Sweep(w.ctx, w.now))
	w.count("nobody's, forgotten", w.attempt(true, nobodys).Total, 1)
	w.count("somebody's", w.attempt(true, somebodys).Total, 4)
	w.count("nobody's that was not idle", w.attempt(true, later).Failures, 5)
}

func lookAtCountsNothing(w *world) {
	look := func(b store.Bucket, allowed bool, failures, total int, wait time.Duration) {
		w.Helper()
		v, err := w.LookAt(w.ctx, b, w.now)
		w.must(err)
		if v.Allowed != allowed || v.Failures != failures || v.Total != total {
			w.Errorf("got %+v, want allowed %v, %d failures, total %d", v, allowed, failures, total)
		}
		w.retryAt(v, wait)
	}
	fast := store.Bucket{Key: "f", Limit: 6, Delays: true, Idle: time.Hour, Owned: true}
	slow := store.Bucket{Key: "s", Limit: 2, Window: time.Hour}
	look(fast, true, 0, 0, 0)
	for range 5 {
		w.attempt(true, fast)
	}
	look(fast, false, 5, 5, 30*time.Second)
	look(fast, false, 5, 5, 30*time.Second)
	w.attempt(true, slow)
	look(slow, true, 1, 0, 0)
	w.attempt(true, slow)
	look(slow, false, 2, 0, time.Hour)
	w.now = w.now.Add(30 * time.Second)
	look(fast, true, 5, 5, 0)
	w.attempt(true, fast)
	look(fast, false, 6, 6, -1)
	w.now = w.now.Add(time.Hour)
	look(fast, true, 0, 6, 0)
	look(slow, true, 0, 0, 0)
}

func settleResetsAndRefunds(w *world) {
	a := store.Bucket{Key: "a", Limit: 9, Delays: true}
	b := store.Bucket{Key: "b", Limit: 9, Window: time.Hour}
	for range 5 {
		w.attempt(true, a, b)
	}
	w.attempt(false, a, b) // a delay
	w.must(w.SettleAttempt(w.ctx, store.Settle{Reset: []string{"a", "unknown"}, Refund: []string{"b", "unknown"}}))
	w.count("after reset", w.attempt(true, a).Failures, 1)
	w.count("after refund", w.attempt(true, b).Failures, 5)
	for range 9 {
		w.must(w.SettleAttempt(w.ctx, store.Settle{Refund: []string{"b"}}))
	}
	w.count("never below zero", w.attempt(true, b).Failures, 1)
}

func knownBrowsersAtMostFive(w *world) {
	u, other := w.user(), w.user()
	remember := func(u *store.User, id string, at time.Time) {
		f := w.finish(w.visit(u), false)
		f.KnownBrowser = &store.KnownBrowser{ID: id, UserID: u.ID, CreatedAt: at}
		w.must(w.FinishInteraction(w.ctx, f))
	}
	remember(other, "other", w.now)
	defer func() {
		list, err := w.KnownBrowsers(w.ctx, u.ID)
		w.must(err)
		var got []string
		for _, b := range list {
			got = append(got, b.ID)
		}
		if fmt.Sprint(got) != "[a z x y w]" {
			w.Errorf("got the known browsers %v, want the five newest, the oldest of them first", got)
		}
	}()
	ids := []string{"c", "b", "a", "z", "x", "y", "w"}
	for i, id := range ids {
		remember(u, id, w.now.Add(time.Duration(i)*time.Second))
	}
	for i, id := range append(ids, "other") {
		known, err := w.KnownBrowser(w.ctx, id, u.ID)
		w.must(err)
		if want := i >= 2 && id != "other"; known != want {
			w.Errorf("browser %s: known is %v, want %v", id, known, want)
		}
	}
	known, err := w.KnownBrowser(w.ctx, "other", other.ID)
	w.must(err)
	if !known {
		w.Errorf("another user's browser was forgotten")
	}
}

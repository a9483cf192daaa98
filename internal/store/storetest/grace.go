package storetest

import (
	"fmt"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

func groupsReplaced(w *world) {
	u, other := w.user(), w.user()
	for _, groups := range [][]string{{"staff", "admins"}, {"한국"}, nil} {
		w.must(w.SetGroups(w.ctx, u.ID, groups, store.Event{At: w.now, Type: store.EventUserGroups, UserID: u.ID}))
		got, err := w.User(w.ctx, u.ID)
		w.must(err)
		if fmt.Sprint(got.Groups) != fmt.Sprint(groups) {
			w.Errorf("got groups %v, want %v", got.Groups, groups)
		}
	}
	got, err := w.User(w.ctx, other.ID)
	w.must(err)
	w.count("groups of another", len(got.Groups), 0)
	w.is("groups of nobody", w.SetGroups(w.ctx, "nobody", nil), store.ErrNotFound)
}

// graceStartsOnce: in a user's life, whoever asks, and only with the right to enrol.
func graceStartsOnce(w *world) {
	u, without := w.user(), w.user()
	until := func(i int) time.Time { return w.now.Add(time.Duration(i+1) * time.Hour) }
	won := -1
	errs := race(func(i int) error {
		return w.StartGrace(w.ctx, u.ID, until(i), store.Event{At: w.now, Type: store.EventGraceStarted, UserID: u.ID})
	})
	w.count("winners", w.winners(errs, store.ErrUsed), 1)
	for i, err := range errs {
		if err == nil {
			won = i
		}
	}
	got, err := w.User(w.ctx, u.ID)
	w.must(err)
	if won < 0 || !got.GraceUntil.Equal(until(won)) {
		w.Errorf("got grace until %v, want the winner's", got.GraceUntil)
	}
	again := func(what string, u *store.User) {
		w.Helper()
		w.is(what, w.StartGrace(w.ctx, u.ID, w.now.Add(time.Hour)), store.ErrUsed)
	}
	w.must(w.SetGrace(w.ctx, u.ID, w.now))
	again("after an operator ended it", u)
	w.must(w.ResetUser(w.ctx, w.link(u), false, w.now))
	again("after a reset", u)
	v := w.visit(without)
	w.must(w.EnrollFirst(w.ctx, w.enrollment(v)))
	again("without the right to enrol", without)
	again("of nobody", &store.User{ID: "nobody"})
	w.is("another end for nobody", w.SetGrace(w.ctx, "nobody", w.now), store.ErrNotFound)
}

package storetest

import (
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// addressed makes a user with an e-mail address, in a store that keeps mails.
func (w *world) addressed() *store.User {
	w.Helper()
	w.must(w.SetMeta(w.ctx, store.MetaMail, store.MetaMailOn))
	id := store.NewID()
	u := &store.User{ID: id, Login: id, LoginKey: id, Email: id + "@example.com", Locale: "ko", PasswordHash: "old", CreatedAt: w.now}
	w.must(w.CreateUser(w.ctx, u))
	return u
}

func (w *world) mails() []store.Mail {
	w.Helper()
	list, err := w.Mails(w.ctx, 10*crowd)
	w.must(err)
	return list
}

// asked writes a mail that is asked for.
func (w *world) asked() store.Mail {
	w.Helper()
	m := store.Mail{ID: store.NewID(), Kind: store.MailPasswordReset, UserID: "u", At: w.now, BrowserHash: "b", DueAt: w.now}
	w.must(w.AskForMail(w.ctx, m))
	return m
}

func noticeWithItsEvent(w *world) {
	u := w.addressed()
	e := store.Event{At: w.now, Type: store.EventLoginRecovery, UserID: u.ID, Address: "192.0.2.1", Browser: "Firefox, Linux", Actor: "root"}
	w.must(w.Record(w.ctx, e, store.Event{At: w.now, Type: store.EventTokenCode, UserID: u.ID}))
	list := w.mails()
	if len(list) != 1 {
		w.Fatalf("got %d mails, want 1: %+v", len(list), list)
	}
	want := store.Mail{
		ID: list[0].ID, Kind: store.MailRecoveryUsed, UserID: u.ID, To: u.Email, Locale: "ko", At: w.now, DueAt: w.now,
		Address: e.Address, Browser: e.Browser, Actor: e.Actor,
	}
	if list[0] != want {
		w.Errorf("got %+v, want %+v", list[0], want)
	}
	w.must(w.DisableUser(w.ctx, u.ID, w.now, store.Event{At: w.now, Type: store.EventUserDisabled, UserID: u.ID}))
	w.count("with the verb", len(w.mails()), 2)
	w.is("a verb that fails", w.DisableUser(w.ctx, "none", w.now, e), store.ErrNotFound)
	w.must(w.Record(w.ctx, store.Event{At: w.now, Type: e.Type, UserID: w.user().ID}))
	w.count("without an address", len(w.mails()), 2)
	w.must(w.SetMeta(w.ctx, store.MetaMail, ""))
	w.must(w.Record(w.ctx, e))
	w.count("without mail", len(w.mails()), 2)
}

func noticesBounded(w *world) {
	u, other := w.addressed(), w.addressed()
	record := func(int) error {
		return w.Record(w.ctx, store.Event{At: w.now, Type: store.EventLoginNewBrowser, UserID: u.ID})
	}
	w.count("recorded", w.winners(race(record)), crowd)
	w.count("mails in an hour", len(w.mails()), store.MostMailsPerHour)
	w.count("events", len(w.events()), crowd)
	w.must(w.Record(w.ctx, store.Event{At: w.now, Type: store.EventLoginNewBrowser, UserID: other.ID}))
	w.count("with another user's", len(w.mails()), store.MostMailsPerHour+1)
	w.must(w.Record(w.ctx, store.Event{At: w.now, Type: store.EventAccountPassword, UserID: u.ID}))
	w.count("with one of a kind that is not limited", len(w.mails()), store.MostMailsPerHour+2)
	w.now = w.now.Add(time.Hour)
	w.must(record(0))
	w.count("an hour later", len(w.mails()), store.MostMailsPerHour+3)
}

func nextMailClaimedOnce(w *world) {
	const most = crowd / 2
	for range most {
		w.asked()
	}
	var mu sync.Mutex
	claimed := map[string]int{}
	errs := race(func(int) error {
		m, err := w.NextMail(w.ctx, w.now, time.Minute)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		claimed[m.ID]++
		if m.Attempts != 1 {
			return fmt.Errorf("attempt %d, want 1", m.Attempts)
		}
		return nil
	})
	w.count("claims", w.winners(errs, store.ErrNotFound), most)
	w.count("mails claimed", len(claimed), most)
}

func nextMailOldestFirst(w *world) {
	first := w.asked()
	w.now = w.now.Add(time.Second)
	second := w.asked()
	for _, want := range []store.Mail{first, second} {
		m, err := w.NextMail(w.ctx, w.now, time.Minute)
		w.must(err)
		want.Attempts, want.DueAt = 1, w.now.Add(time.Minute)
		if !reflect.DeepEqual(*m, want) {
			w.Errorf("got %+v, want %+v", *m, want)
		}
	}
	_, err := w.NextMail(w.ctx, w.now.Add(-time.Hour), time.Minute)
	w.is("before they are due", err, store.ErrNotFound)
}

func mailClaimEnds(w *world) {
	w.asked()
	slow, err := w.NextMail(w.ctx, w.now, time.Minute)
	w.must(err)
	_, err = w.NextMail(w.ctx, w.now.Add(time.Minute-time.Millisecond), time.Minute)
	w.is("while it is claimed", err, store.ErrNotFound)
	w.now = w.now.Add(time.Minute)
	again, err := w.NextMail(w.ctx, w.now, time.Minute)
	w.must(err)
	w.count("attempts", again.Attempts, 2)
	w.is("a failure of the first claim", w.MailFailed(w.ctx, slow, time.Time{}, "late"), store.ErrStale)
	w.must(w.MailFailed(w.ctx, again, w.now.Add(time.Hour), "away"))
	_, err = w.NextMail(w.ctx, w.now.Add(59*time.Minute), time.Minute)
	w.is("before the retry", err, store.ErrNotFound)
	w.now = w.now.Add(time.Hour)
	last, err := w.NextMail(w.ctx, w.now, time.Minute)
	w.must(err)
	if last.Error != "away" {
		w.Errorf("error: got %q", last.Error)
	}
	w.must(w.MailFailed(w.ctx, last, time.Time{}, "refused"))
	_, err = w.NextMail(w.ctx, w.now.Add(1000*time.Hour), time.Minute)
	w.is("a dead mail", err, store.ErrNotFound)
	w.counts(0, 1)
	w.asked()
	w.counts(1, 1)
	w.must(w.MailSent(w.ctx, last.ID))
	w.must(w.MailSent(w.ctx, last.ID))
	w.counts(1, 0)
}

func (w *world) counts(pending, dead int) {
	w.Helper()
	n, err := w.CountMails(w.ctx)
	w.must(err)
	w.count("pending", n.Pending, pending)
	w.count("dead", n.Dead, dead)
}

func mailsForgotten(w *world) {
	u := w.addressed()
	w.must(w.Record(w.ctx, store.Event{At: w.now, Type: store.EventLoginRecovery, UserID: u.ID}))
	w.asked()
	w.must(w.RemoveUser(w.ctx, u.ID, w.now))
	w.counts(1, 0)
	w.must(w.Sweep(w.ctx, w.now.Add(store.MailKept-time.Millisecond)))
	w.counts(1, 0)
	w.must(w.Sweep(w.ctx, w.now.Add(store.MailKept)))
	w.counts(0, 0)
}

package storetest

import (
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// hearing makes a client that is told of sessions that end.
func (w *world) hearing(id string) *oidc.Client {
	w.Helper()
	c := &oidc.Client{ID: id, BackchannelLogoutURI: "https://" + id + ".example/logout"}
	w.must(w.CreateClient(w.ctx, c))
	return c
}

// at answers a client in the visit's session, and returns what the session is called
// there.
func (w *world) at(v visit, client string) (sid string) {
	w.Helper()
	f := w.atClient(v, client)
	w.must(w.FinishInteraction(w.ctx, f))
	return f.Grant.SID
}

func (w *world) atClient(v visit, client string) store.Finish {
	w.Helper()
	f := w.finish(visit{v.user, v.session, w.interaction(v.session.ID)}, false)
	f.Grant.ClientID, f.Code.ClientID, f.Grant.SID = client, client, v.session.ID+" at "+client
	return f
}

func (w *world) logouts() []store.Logout {
	w.Helper()
	list, err := w.Logouts(w.ctx, "", 10*crowd)
	w.must(err)
	return list
}

// told complains unless clients wait for exactly these names of sessions.
func (w *world) told(what string, want ...string) {
	w.Helper()
	got, wanted := map[string]bool{}, map[string]bool{}
	list := w.logouts()
	for _, m := range list {
		got[m.SID] = true
		w.must(w.EndLogout(w.ctx, m.ID))
	}
	for _, sid := range want {
		wanted[sid] = true
	}
	if len(list) != len(want) || !reflect.DeepEqual(got, wanted) {
		w.Errorf("%s: got %d messages of %v, want %q", what, len(list), got, want)
	}
}

// logoutWithEveryEnd: each verb that ends a session tells, and of a session that stays
// it tells nothing.
func logoutWithEveryEnd(w *world) {
	w.hearing("app")
	for name, end := range map[string]func(gone visit) (stays visit){
		"EndSession": func(v visit) visit {
			stays := w.visit(v.user)
			w.must(w.EndSession(w.ctx, v.session.ID, w.now))
			return stays
		},
		"StartSession": func(v visit) visit {
			u := w.user()
			s := w.newSession(u, v.interaction.ID)
			w.must(w.StartSession(w.ctx, s, v.session.ID, v.interaction.ID, store.Settle{}))
			return visit{u, s, v.interaction}
		},
		"StartWithAssertion": func(v visit) visit {
			u, i := w.user(), w.interaction("")
			in := w.signIn(u, w.passkeyAlone(u, 0), i, 0)
			in.Replaces = v.session.ID
			w.must(w.StartWithAssertion(w.ctx, in))
			return visit{u, in.Session, i}
		},
		"DisableUser": func(v visit) visit { w.must(w.DisableUser(w.ctx, v.user.ID, w.now)); return visit{} },
		"RemoveUser":  func(v visit) visit { w.must(w.RemoveUser(w.ctx, v.user.ID, w.now)); return visit{} },
		"RevokeUser": func(v visit) visit {
			stays := w.visit(v.user)
			w.must(w.RevokeUser(w.ctx, v.user.ID, stays.session.ID, w.now))
			return stays
		},
		"ResetUser": func(v visit) visit {
			w.must(w.ResetUser(w.ctx, w.link(v.user), false, w.now))
			return visit{}
		},
		"ResetPassword": func(v visit) visit {
			r := reset{user: v.user, app: w.totp(v.user)}
			r.link = w.resetLink(v.user)
			w.must(w.MakePasswordReset(w.ctx, r.link))
			w.must(w.ResetPassword(w.ctx, w.byApp(r, 1, "new")))
			return visit{}
		},
		"UseRecoveryCode": func(v visit) visit {
			set, hashes := w.recoverySet(v.user)
			w.must(w.ReplaceRecoveryCodes(w.ctx, set, hashes))
			stays := w.visit(v.user)
			w.must(w.UseRecoveryCode(w.ctx, set.ID, hashes[0], w.add(stays)))
			return stays
		},
		"UseBypass": func(v visit) visit {
			w.totp(v.user)
			l := lost{visit: w.visit(v.user), code: w.bypass(v.user, false)}
			w.must(w.MakeBypass(w.ctx, l.code))
			w.must(w.UseBypass(w.ctx, w.bypassUse(l)))
			return l.visit
		},
		"SetProfile": func(v visit) visit {
			w.must(w.SetProfile(w.ctx, v.user.ID, nil, store.Profile{Email: v.user.ID + "@example.com"}, w.now))
			w.must(w.CreateAuthenticator(w.ctx, store.Authenticator{ID: store.NewID(), UserID: v.user.ID, Kind: store.KindEmail,
				Secret: []byte(v.user.ID + "@example.com"), CreatedAt: w.now}, nil))
			w.told("the first address")
			w.must(w.SetProfile(w.ctx, v.user.ID, nil, store.Profile{Email: "another@example.com"}, w.now))
			return visit{}
		},
		"EndOwnSession": func(v visit) visit {
			stays := w.visit(v.user)
			w.must(w.EndOwnSession(w.ctx, w.change(stays), v.session.ID))
			return stays
		},
		"EndOthers": func(v visit) visit {
			stays := w.visit(v.user)
			w.must(w.EndOthers(w.ctx, w.change(stays)))
			return stays
		},
		"ChangePassword": func(v visit) visit {
			stays := w.visit(v.user)
			w.must(w.ChangePassword(w.ctx, w.change(stays), "old", "new", store.Settle{}))
			return stays
		},
		"AddAuthenticator": func(v visit) visit {
			w.totp(v.user)
			stays := w.visit(v.user)
			w.must(w.AddAuthenticator(w.ctx, w.change(stays), w.addition(stays)))
			return stays
		},
		"AfterRestore": func(v visit) visit {
			_, err := w.AfterRestore(w.ctx, restoreStep, w.now)
			w.must(err)
			return visit{}
		},
	} {
		v := w.visit(w.user())
		sid := w.at(v, "app")
		w.now = w.now.Add(time.Second)
		if stays := end(v); stays.session != nil && name != "UseRecoveryCode" && name != "UseBypass" && name != "AddAuthenticator" { // which change its secret
			w.is(name+": the session that stays", w.sessionErr(stays.session), nil)
		}
		list := w.logouts()
		if len(list) == 1 {
			want := store.Logout{ID: list[0].ID, ClientID: "app", UserID: v.user.ID, SID: sid, At: w.now, DueAt: w.now}
			if list[0] != want {
				w.Errorf("%s: got %+v, want %+v", name, list[0], want)
			}
		}
		w.told(name, sid)
	}
}

func logoutToWhomItConcerns(w *world) {
	w.hearing("app")
	w.hearing("mail")
	later := &oidc.Client{ID: "later"}
	w.must(w.CreateClient(w.ctx, later))
	v, other := w.visit(w.user()), w.visit(w.user())
	app, mail := w.at(v, "app"), w.at(v, "mail")
	w.at(v, "app") // again, under the same name
	w.at(v, "later")
	w.at(other, "app")
	f := w.atClient(v, "nobody")
	w.must(w.FinishInteraction(w.ctx, f))
	device := w.atClient(w.visit(v.user), "app")
	device.Grant.SID = ""
	w.must(w.FinishInteraction(w.ctx, device))
	w.must(w.EndSession(w.ctx, device.Grant.SessionID, w.now))
	w.told("a session that has no name there")
	w.must(w.EndSession(w.ctx, v.session.ID, w.now))
	w.told("who was answered", app, mail)
	w.must(w.EndSession(w.ctx, v.session.ID, w.now))
	w.told("again")
	later.BackchannelLogoutURI = "https://later.example/logout"
	w.becomes(later)
	next := w.visit(v.user)
	sid := w.at(next, "later")
	w.at(next, "mail")
	w.becomes(&oidc.Client{ID: "mail"})
	w.must(w.EndSession(w.ctx, next.session.ID, w.now))
	w.told("as clients are now", sid)
	w.at(other, "later")
	w.must(w.RemoveClient(w.ctx, "later", w.now))
	w.hearing("later")
	w.must(w.DisableUser(w.ctx, other.user.ID, w.now))
	w.count("what waits", len(w.logouts()), 1)
	w.must(w.RemoveClient(w.ctx, "app", w.now))
	w.hearing("app")
	w.told("a client that was removed")
	idle, old := w.issued(w.user()), w.visit(w.user())
	w.at(idle.visit, "app")
	w.at(old, "app")
	event := store.Event{At: w.now, Type: store.EventSessionIdle}
	w.winners(race(func(int) error { return w.EndIdleSession(w.ctx, idle.session.ID, event) }))
	w.is("session", w.sessionErr(idle.session), store.ErrNotFound)
	w.is("interaction", w.interactionErr(idle.interaction), store.ErrNotFound)
	w.is("access token", w.accessErr(idle.online), store.ErrNotFound)
	events, err := w.Events(w.ctx, store.EventQuery{Type: event.Type, Limit: 2})
	w.must(err)
	w.count("events", len(events), 1)
	w.must(w.Sweep(w.ctx, old.session.ExpiresAt))
	w.told("time alone")
}

// logoutOfTheLastAnswer: whoever was answered before the session ended is told, though
// both came at once; whoever was refused is not.
func logoutOfTheLastAnswer(w *world) {
	for i := range crowd {
		w.hearing(fmt.Sprint("app", i))
	}
	for range 4 {
		v := w.visit(w.user())
		var all [crowd]store.Finish
		for i := range all {
			all[i] = w.atClient(v, fmt.Sprint("app", i))
		}
		errs := lastOf(func() error { return w.EndSession(w.ctx, v.session.ID, w.now) },
			func(i int) error { return w.FinishInteraction(w.ctx, all[i]) })
		w.winners(errs, store.ErrStale)
		var answered []string
		for i, err := range errs {
			if i != crowd/2 && err == nil {
				answered = append(answered, all[i].Grant.SID)
			}
		}
		w.told("answered", answered...)
	}
}

func logoutOnceOfManyEnds(w *world) {
	w.hearing("app")
	v := w.visit(w.user())
	sid := w.at(v, "app")
	w.winners(race(func(i int) error {
		if i%2 == 0 {
			return w.RevokeUser(w.ctx, v.user.ID, "", w.now)
		}
		return w.EndSession(w.ctx, v.session.ID, w.now)
	}))
	w.told("of many who end it", sid)
}

// ended makes a message to the client.
func (w *world) ended(client string) store.Logout {
	w.Helper()
	v := w.visit(w.user())
	sid := w.at(v, client)
	w.must(w.EndSession(w.ctx, v.session.ID, w.now))
	for _, m := range w.logouts() {
		if m.SID == sid {
			return m
		}
	}
	w.Fatalf("no message of %s", sid)
	return store.Logout{}
}

func nextLogoutClaimedOnce(w *world) {
	w.hearing("app")
	w.hearing("other")
	const most = crowd / 2
	for range most {
		w.ended("app")
	}
	w.ended("other")
	var mu sync.Mutex
	claimed := map[string]int{}
	errs := race(func(int) error {
		m, err := w.NextLogout(w.ctx, "app", w.now, time.Minute)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		claimed[m.ID]++
		if m.Attempts != 1 || m.ClientID != "app" {
			return fmt.Errorf("attempt %d for %s, want 1 for app", m.Attempts, m.ClientID)
		}
		return nil
	})
	w.count("claims", w.winners(errs, store.ErrNotFound), most)
	w.count("messages claimed", len(claimed), most)
}

func nextLogoutOldestFirst(w *world) {
	w.hearing("app")
	w.hearing("other")
	first := w.ended("app")
	w.now = w.now.Add(time.Second)
	w.ended("other")
	second := w.ended("app")
	clients, err := w.LogoutClients(w.ctx, w.now)
	w.must(err)
	if !reflect.DeepEqual(clients, []string{"app", "other"}) {
		w.Errorf("got %q, want app and other", clients)
	}
	clients, err = w.LogoutClients(w.ctx, first.At)
	if w.must(err); len(clients) != 1 {
		w.Errorf("got %q, want app", clients)
	}
	for _, want := range []store.Logout{first, second} {
		m, err := w.NextLogout(w.ctx, "app", w.now, time.Minute)
		w.must(err)
		want.Attempts, want.DueAt = 1, w.now.Add(time.Minute)
		if *m != want {
			w.Errorf("got %+v, want %+v", *m, want)
		}
	}
	list, err := w.Logouts(w.ctx, "app", 10)
	w.must(err)
	w.count("of one client", len(list), 2)
}

func logoutClaimEnds(w *world) {
	w.hearing("app")
	w.ended("app")
	next := func(at time.Time) (*store.Logout, error) { return w.NextLogout(w.ctx, "app", at, time.Minute) }
	slow, err := next(w.now)
	w.must(err)
	_, err = next(w.now.Add(time.Minute - time.Millisecond))
	w.is("while it is claimed", err, store.ErrNotFound)
	w.now = w.now.Add(time.Minute)
	again, err := next(w.now)
	w.must(err)
	w.count("attempts", again.Attempts, 2)
	w.is("a failure of the first claim", w.LogoutFailed(w.ctx, slow, w.now, "late"), store.ErrStale)
	w.logoutCount(1, 0)
	w.must(w.LogoutFailed(w.ctx, again, w.now.Add(time.Hour), "away"))
	w.logoutCount(1, 1)
	_, err = next(w.now.Add(59 * time.Minute))
	w.is("before the retry", err, store.ErrNotFound)
	last, err := next(w.now.Add(time.Hour))
	w.must(err)
	if last.Error != "away" {
		w.Errorf("error: got %q", last.Error)
	}
	event := store.Event{At: w.now, Type: store.EventLogoutDelivered, ClientID: "app"}
	w.winners(race(func(int) error { return w.EndLogout(w.ctx, last.ID, event) }))
	w.logoutCount(0, 0)
	w.count("events", len(w.events()), 1)
	w.is("a failure of what was delivered", w.LogoutFailed(w.ctx, last, w.now, "late"), store.ErrStale)
}

func (w *world) logoutCount(pending, failing int) {
	w.Helper()
	for _, client := range []string{"", "app"} {
		n, err := w.CountLogouts(w.ctx, client)
		w.must(err)
		w.count("pending", n.Pending, pending)
		w.count("failing", n.Failing, failing)
	}
}

func logoutsForgotten(w *world) {
	w.hearing("app")
	w.ended("app")
	w.must(w.Sweep(w.ctx, w.now.Add(2*store.LogoutKept-time.Millisecond)))
	w.logoutCount(1, 0)
	w.must(w.Sweep(w.ctx, w.now.Add(2*store.LogoutKept)))
	w.logoutCount(0, 0)
}

package sqlstore

import (
	"fmt"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// TestLogoutsBounded: sessions end however many messages wait, and what is left out is
// an event.
func TestLogoutsBounded(t *testing.T) {
	t.Parallel()
	for name, config := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openStore(t, config(t))
			now, ctx := time.Now(), t.Context()
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			u := &store.User{ID: store.NewID(), LoginKey: "u", CreatedAt: now}
			must(s.CreateUser(ctx, u))
			for _, id := range []string{"full", "free"} {
				must(s.CreateClient(ctx, &oidc.Client{ID: id, BackchannelLogoutURI: "https://app.example/logout"}))
			}
			wait := func(client string, n int) step {
				return exec(`INSERT INTO logouts (id, client_id, user_id, sid, at, attempts, due_at, error)
					WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $2)
					SELECT $1 || CAST(i AS TEXT), $1, '', '', 1, 0, 1, '' FROM n`, client, n)
			}
			// ends a session at both clients, and wants so many messages more of each
			ends := func(when string, full, free int) {
				t.Helper()
				before := map[string]int{}
				for _, id := range []string{"full", "free"} {
					n, err := s.CountLogouts(ctx, id)
					must(err)
					before[id] = n.Pending
				}
				session := &store.Session{ID: store.NewID(), SecretHash: []byte("s"), UserID: u.ID, Version: 1, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
				must(s.StartSession(ctx, session, "", "", store.Settle{}))
				for _, id := range []string{"full", "free"} {
					must(s.FinishInteraction(ctx, answered(session, id)))
				}
				must(s.EndSession(ctx, session.ID, now))
				for id, want := range map[string]int{"full": full, "free": free} {
					if n, err := s.CountLogouts(ctx, id); err != nil || n.Pending != before[id]+want {
						t.Errorf("%s: got %d messages to %s, want %d (%v)", when, n.Pending, id, before[id]+want, err)
					}
				}
			}
			must(s.update(ctx, wait("full", store.MostLogoutsPerClient-1)))
			ends("one below the bound", 1, 1)
			ends("at the bound of a client", 0, 1)
			for i := 1; i < store.MostLogouts/store.MostLogoutsPerClient; i++ {
				must(s.update(ctx, wait(fmt.Sprint("other", i), store.MostLogoutsPerClient)))
			}
			ends("at the bound of all", 0, 0)
			events, err := s.Events(ctx, store.EventQuery{Type: store.EventLogoutDropped, Limit: 10})
			must(err)
			if len(events) != 3 || events[0].ClientID == "" || events[0].UserID != u.ID {
				t.Errorf("got %+v, want three events", events)
			}
		})
	}
}

// answered is a sign-in at a client, ready to be written.
func answered(s *store.Session, client string) store.Finish {
	g := &store.Grant{ID: store.NewID(), ClientID: client, UserID: s.UserID, SessionID: s.ID, SID: "sid"}
	return store.Finish{SessionVersion: 1, Now: s.CreatedAt, Grant: g, Code: &store.Code{ID: store.NewID(), SecretHash: []byte("c"), GrantID: g.ID, ClientID: client}}
}

// TestLogoutWakes: whoever waits for messages hears of them after the commit, and of
// nothing else.
func TestLogoutWakes(t *testing.T) {
	t.Parallel()
	s, now, ctx := openStore(t, Config{Path: tempPath(t)}), time.Now(), t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	u := &store.User{ID: store.NewID(), LoginKey: "u", CreatedAt: now}
	must(s.CreateUser(ctx, u))
	must(s.CreateClient(ctx, &oidc.Client{ID: "app", BackchannelLogoutURI: "https://app.example/logout"}))
	end := func(client string) {
		t.Helper()
		session := &store.Session{ID: store.NewID(), SecretHash: []byte("s"), UserID: u.ID, Version: 1, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
		must(s.StartSession(ctx, session, "", "", store.Settle{}))
		must(s.FinishInteraction(ctx, answered(session, client)))
		must(s.EndSession(ctx, session.ID, now))
	}
	end("nobody")
	select {
	case <-s.LogoutsWait():
		t.Error("woken for nothing")
	default:
	}
	end("app")
	end("app") // nobody listens yet
	select {
	case <-s.LogoutsWait():
	default:
		t.Error("not woken")
	}
}

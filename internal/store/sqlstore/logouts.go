package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// hearsOfEnd remembers what the session of a grant is called at its client, if that
// is told when it ends.
func hearsOfEnd(g *store.Grant) step {
	if g.SID == "" {
		return nil
	}
	return exec(`INSERT INTO session_clients (session_id, client_id, sid)
		SELECT $1, c.id, $3 FROM clients c WHERE c.id = $2 AND c.hears_logout = 1 ON CONFLICT (session_id, client_id) DO NOTHING`,
		g.SessionID, g.ClientID, g.SID)
}

// The sessions s that end.
const (
	thisSession   = ` s.id = $1`
	otherSessions = ` s.user_id = $1 AND s.id <> $2`
	allSessions   = ` s.id <> $1` // with ""
)

// tell writes what clients are told of sessions that end now. It comes before their
// rows are deleted, and after they were written: whoever has one at a client in hand
// is waited for.
func tell(now time.Time, which string, args ...any) step {
	return func(t *tx) error {
		var list []store.Logout
		err := t.rows(`SELECT h.client_id, s.user_id, h.sid FROM sessions s JOIN session_clients h ON h.session_id = s.id
			JOIN clients c ON c.id = h.client_id AND c.hears_logout = 1 WHERE`+which+` ORDER BY h.sid`, args, func(r *sql.Rows) error {
			var m store.Logout
			err := r.Scan(&m.ClientID, &m.UserID, &m.SID)
			list = append(list, m)
			return err
		})
		if err != nil {
			return err
		}
		for _, m := range list {
			m.ID, m.At = store.NewID(), now
			if err := addLogout(m)(t); err != nil {
				return err
			}
		}
		t.told = t.told || len(list) > 0
		return nil
	}
}

// addLogout writes a message if there is room for it, else an event.
func addLogout(m store.Logout) step {
	full := record([]store.Event{{At: m.At, Type: store.EventLogoutDropped, UserID: m.UserID, ClientID: m.ClientID, Detail: "too many wait"}})
	return mustOr(full, `INSERT INTO logouts (id, client_id, user_id, sid, at, attempts, due_at, error)
		SELECT $1, $2, $3, $4, $5, 0, $5, ''
		WHERE NOT EXISTS (SELECT 1 FROM logouts WHERE client_id = $2 ORDER BY due_at LIMIT 1 OFFSET $6)
			AND NOT EXISTS (SELECT 1 FROM logouts ORDER BY at LIMIT 1 OFFSET $7)`,
		m.ID, m.ClientID, m.UserID, m.SID, ms(m.At), store.MostLogoutsPerClient-1, store.MostLogouts-1)
}

// LogoutsWait is sent to after a commit that brought messages, for whoever sends them.
// Other processes that write into the database do not.
func (s *Store) LogoutsWait() <-chan struct{} { return s.logoutsWait }

const logoutColumns = `id, client_id, user_id, sid, at, attempts, due_at, error`

// logoutFields are where logoutColumns go.
func logoutFields(m *store.Logout) []any {
	return []any{&m.ID, &m.ClientID, &m.UserID, &m.SID, at{&m.At}, &m.Attempts, at{&m.DueAt}, &m.Error}
}

// LogoutClients implements store.Logouts.
func (s *Store) LogoutClients(ctx context.Context, now time.Time) (list []string, err error) {
	err = s.read(ctx, `SELECT client_id FROM logouts WHERE due_at <= $1 GROUP BY client_id ORDER BY client_id`, []any{ms(now)}, func(r *sql.Rows) error {
		var id string
		err := r.Scan(&id)
		list = append(list, id)
		return err
	})
	return list, err
}

// NextLogout implements store.Logouts. Looking costs no write. Whoever loses a race
// for one message looks for the next.
func (s *Store) NextLogout(ctx context.Context, clientID string, now time.Time, lease time.Duration) (*store.Logout, error) {
	for {
		var id string
		err := s.row(ctx, `SELECT id FROM logouts WHERE client_id = $1 AND due_at <= $2 ORDER BY due_at, id LIMIT 1`, []any{clientID, ms(now)}, &id)
		if err != nil {
			return nil, err
		}
		m := &store.Logout{}
		err = s.update(ctx, func(t *tx) error {
			return t.row(`UPDATE logouts SET attempts = attempts + 1, due_at = $3 WHERE id = $1 AND due_at <= $2 RETURNING `+logoutColumns,
				[]any{id, ms(now), ms(now.Add(lease))}, logoutFields(m)...)
		})
		if !errors.Is(err, store.ErrNotFound) {
			return m, err
		}
	}
}

// EndLogout implements store.Logouts.
func (s *Store) EndLogout(ctx context.Context, id string, events ...store.Event) error {
	recorded := record(events)
	return s.update(ctx, func(t *tx) error {
		n, err := t.count(`DELETE FROM logouts WHERE id = $1`, id)
		if err != nil || n == 0 {
			return err
		}
		return recorded(t)
	})
}

// LogoutFailed implements store.Logouts.
func (s *Store) LogoutFailed(ctx context.Context, m *store.Logout, retryAt time.Time, why string) error {
	return s.update(ctx, must(store.ErrStale, `UPDATE logouts SET due_at = $3, error = $4 WHERE id = $1 AND attempts = $2`,
		m.ID, m.Attempts, ms(retryAt), why))
}

// Logouts implements store.Logouts.
func (s *Store) Logouts(ctx context.Context, clientID string, limit int) (list []store.Logout, err error) {
	err = s.read(ctx, `SELECT `+logoutColumns+` FROM logouts WHERE client_id = $1 OR $1 = '' ORDER BY at, id LIMIT $2`, []any{clientID, limit}, func(r *sql.Rows) error {
		var m store.Logout
		err := r.Scan(logoutFields(&m)...)
		list = append(list, m)
		return err
	})
	return list, err
}

// CountLogouts implements store.Logouts.
func (s *Store) CountLogouts(ctx context.Context, clientID string) (n store.LogoutCount, err error) {
	err = s.row(ctx, `SELECT count(*), CAST(COALESCE(sum(CASE WHEN error <> '' THEN 1 ELSE 0 END), 0) AS BIGINT)
		FROM logouts WHERE client_id = $1 OR $1 = ''`, []any{clientID}, &n.Pending, &n.Failing)
	return n, err
}

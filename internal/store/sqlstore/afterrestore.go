package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// endedByRestore are the tables that AfterRestore empties, in the order of locks:
// what refers to their rows goes with them. Every other table stays, but for what
// AfterRestore changes in it; a test wants each table to be in one of two lists.
var endedByRestore = []string{
	"sessions", "interactions", "grants", "access_tokens", "client_tokens", "links", "consents", "known_browsers",
	"trusted_devices", "bypass_codes", "outbox", "mail_counts", "device_codes", "used_once", "pushed_requests",
}

// AfterRestore implements store.Restores. The epoch rises, too, so that nothing
// that carries one outlives its row.
func (s *Store) AfterRestore(ctx context.Context, step int64, now time.Time, events ...store.Event) (store.Restored, error) {
	r := &restoring{step: step, now: ms(now)}
	err := s.write(ctx, alone, all(
		func(t *tx) error { r.done = store.Restored{}; return nil }, // PostgreSQL may run a verb again
		r.people,
		tell(now, allSessions, ""),
		r.issued,
		record(events)))
	return r.done, err
}

// restoring is a clean-up on its way.
type restoring struct {
	step, now int64
	done      store.Restored
}

// people voids what may have been spent since, and is not issued but owned.
func (r *restoring) people(t *tx) (err error) {
	r.done.WithoutRight, err = t.texts(`SELECT login FROM users WHERE may_enroll = 1 OR id IN (SELECT user_id FROM links WHERE purpose = $1) ORDER BY login`,
		string(store.LinkInvitation))
	if err != nil {
		return err
	}
	r.done.WithoutCodes, err = t.texts(`SELECT login FROM users WHERE id IN (SELECT a.user_id FROM authenticators a
		JOIN recovery_codes c ON c.authenticator_id = a.id WHERE c.used_at = 0) ORDER BY login`)
	if err != nil {
		return err
	}
	return all(
		exec(`UPDATE users SET epoch = epoch + 1, may_enroll = 0`),
		exec(`UPDATE authenticators SET last_step = $2 WHERE kind = $1 AND last_step < $2`, string(store.KindTOTP), r.step),
		exec(`UPDATE recovery_codes SET used_at = $1 WHERE used_at = 0`, r.now),
	)(t)
}

func (r *restoring) issued(t *tx) error {
	for _, table := range endedByRestore {
		n, err := t.count(`DELETE FROM ` + table)
		if err != nil {
			return err
		}
		switch table {
		case "sessions":
			r.done.Sessions = int(n)
		case "grants":
			r.done.Grants = int(n)
		}
	}
	return nil
}

// texts reads a column.
func (t *tx) texts(query string, args ...any) (list []string, err error) {
	err = t.rows(query, args, func(r *sql.Rows) error {
		var text string
		err := r.Scan(&text)
		list = append(list, text)
		return err
	})
	return list, err
}

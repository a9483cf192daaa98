package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// Record implements store.Audit.
func (s *Store) Record(ctx context.Context, events ...store.Event) error {
	return s.update(ctx, record(events))
}

// record writes the events of a verb that came so far, and the mails that they bring.
func record(events []store.Event) step {
	steps := make([]step, 0, 2*len(events))
	for _, e := range events {
		steps = append(steps, exec(`INSERT INTO audit (at, type, user_id, client_id, session, interaction, address, request_id, actor, detail)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			ms(e.At), e.Type, e.UserID, e.ClientID, e.Session, e.Interaction, e.Address, e.RequestID, e.Actor, e.Detail),
			notice(e))
	}
	return all(steps...)
}

// Events implements store.Audit.
func (s *Store) Events(ctx context.Context, q store.EventQuery) (list []store.Event, err error) {
	query, args := selectEvents(q)
	return s.events(ctx, query, args...)
}

const eventColumns = `id, at, type, user_id, client_id, session, interaction, address, request_id, actor, detail`

func (s *Store) events(ctx context.Context, query string, args ...any) (list []store.Event, err error) {
	err = s.read(ctx, query, args, func(r *sql.Rows) error {
		var e store.Event
		err := r.Scan(&e.ID, at{&e.At}, &e.Type, &e.UserID, &e.ClientID, &e.Session, &e.Interaction, &e.Address, &e.RequestID, &e.Actor, &e.Detail)
		list = append(list, e)
		return err
	})
	return list, err
}

// userEvents has the conditions of the index audit_user, word by word.
const userEvents = `SELECT ` + eventColumns + ` FROM audit
	WHERE user_id = $1 AND user_id <> '' AND substr(type, 1, 6) <> 'token.' AND type <> 'authorize.granted' ORDER BY id DESC LIMIT $2`

// UserEvents implements store.Audit.
func (s *Store) UserEvents(ctx context.Context, userID string, limit int) ([]store.Event, error) {
	return s.events(ctx, userEvents, userID, limit)
}

// selectEvents writes the conditions that are asked for and no others, so that the
// index by time can be used. The texts are few: one for each set of conditions.
func selectEvents(q store.EventQuery) (query string, args []any) {
	arg := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	order, behind := "DESC", "<"
	if q.OldestFirst {
		order, behind = "ASC", ">"
	}
	where := []string{"1 = 1"}
	if !q.Since.IsZero() {
		where = append(where, "at >= "+arg(ms(q.Since)))
	}
	if !q.Until.IsZero() {
		where = append(where, "at < "+arg(ms(q.Until)))
	}
	if q.UserID != "" {
		where = append(where, "user_id = "+arg(q.UserID))
	}
	if q.ClientID != "" {
		where = append(where, "client_id = "+arg(q.ClientID))
	}
	if q.Type != "" {
		family := q.Type + "."
		where = append(where, "(type = "+arg(q.Type)+" OR substr(type, 1, "+arg(len(family))+") = "+arg(family)+")")
	}
	if q.After.ID != 0 {
		where = append(where, "(at, id) "+behind+" ("+arg(ms(q.After.At))+", "+arg(q.After.ID)+")")
	}
	return `SELECT ` + eventColumns + ` FROM audit WHERE ` + strings.Join(where, " AND ") + ` ORDER BY at ` + order + `, id ` + order + ` LIMIT ` + arg(q.Limit), args
}

// forgetEvents bounds what one call takes from those who wait for the writer.
const forgetEvents = 20_000

// ForgetEvents implements store.Audit.
func (s *Store) ForgetEvents(ctx context.Context, before time.Time) error {
	const query = `DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < $1 ORDER BY at LIMIT $2)`
	for range forgetEvents / sweepPiece {
		n, err := s.sweepSome(ctx, query, before)
		if err != nil || n < sweepPiece {
			return err
		}
	}
	return nil
}

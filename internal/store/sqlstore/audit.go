package sqlstore

import (
	"context"
	"database/sql"

	"github.com/sallyport-id/sallyport/internal/store"
)

// Record implements store.Audit.
func (s *Store) Record(ctx context.Context, events ...store.Event) error {
	return s.update(ctx, record(events))
}

// record writes the events of a verb that came so far.
func record(events []store.Event) step {
	steps := make([]step, 0, len(events))
	for _, e := range events {
		steps = append(steps, exec(`INSERT INTO audit (at, type, user_id, client_id, session, interaction, address, request_id, detail)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			ms(e.At), e.Type, e.UserID, e.ClientID, e.Session, e.Interaction, e.Address, e.RequestID, e.Detail))
	}
	return all(steps...)
}

// Events implements store.Audit.
func (s *Store) Events(ctx context.Context, limit int) (list []store.Event, err error) {
	err = s.read(ctx, `SELECT at, type, user_id, client_id, session, interaction, address, request_id, detail
		FROM audit ORDER BY id DESC LIMIT $1`, []any{limit}, func(r *sql.Rows) error {
		var e store.Event
		err := r.Scan(at{&e.At}, &e.Type, &e.UserID, &e.ClientID, &e.Session, &e.Interaction, &e.Address, &e.RequestID, &e.Detail)
		list = append(list, e)
		return err
	})
	return list, err
}

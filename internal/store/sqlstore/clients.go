package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// Client implements store.Clients.
func (s *Store) Client(ctx context.Context, id string) (*oidc.Client, error) {
	c := &oidc.Client{}
	if err := s.row(ctx, `SELECT body FROM clients WHERE id = $1`, []any{id}, fromJSON{c}); err != nil {
		return nil, err
	}
	return c, nil
}

// Clients implements store.Clients.
func (s *Store) Clients(ctx context.Context) (list []*oidc.Client, err error) {
	err = s.read(ctx, `SELECT body FROM clients ORDER BY id`, nil, func(r *sql.Rows) error {
		c := &oidc.Client{}
		list = append(list, c)
		return r.Scan(fromJSON{c})
	})
	return list, err
}

// CreateClient implements store.Clients.
func (s *Store) CreateClient(ctx context.Context, c *oidc.Client, events ...store.Event) error {
	return s.update(ctx,
		must(store.ErrExists, `INSERT INTO clients (id, body, born) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING`, c.ID, asJSON(c), store.NewID()),
		record(events))
}

// UpdateClient implements store.Clients.
func (s *Store) UpdateClient(ctx context.Context, c *oidc.Client, events ...store.Event) error {
	return s.update(ctx,
		must(store.ErrNotFound, `UPDATE clients SET body = $2 WHERE id = $1`, c.ID, asJSON(c)),
		record(events))
}

// RemoveClient implements store.Clients.
func (s *Store) RemoveClient(ctx context.Context, id string, now time.Time, events ...store.Event) error {
	return s.update(ctx,
		must(store.ErrNotFound, `DELETE FROM clients WHERE id = $1`, id),
		exec(`DELETE FROM interactions WHERE client_id = $1`, id),
		exec(`UPDATE grants SET revoked_at = $2 WHERE client_id = $1 AND revoked_at = 0`, id, ms(now)),
		exec(`DELETE FROM consents WHERE client_id = $1`, id),
		record(events))
}

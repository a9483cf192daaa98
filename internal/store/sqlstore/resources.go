package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// Resource implements store.Resources.
func (s *Store) Resource(ctx context.Context, uri string) (*oidc.Resource, error) {
	r := &oidc.Resource{}
	if err := s.row(ctx, `SELECT body FROM resources WHERE uri = $1`, []any{uri}, fromJSON{r}); err != nil {
		return nil, err
	}
	return r, nil
}

// Resources implements store.Resources.
func (s *Store) Resources(ctx context.Context) (list []*oidc.Resource, err error) {
	err = s.read(ctx, `SELECT body FROM resources ORDER BY uri`, nil, func(rows *sql.Rows) error {
		r := &oidc.Resource{}
		list = append(list, r)
		return rows.Scan(fromJSON{r})
	})
	return list, err
}

// CreateResource implements store.Resources.
func (s *Store) CreateResource(ctx context.Context, r *oidc.Resource, events ...store.Event) error {
	return s.update(ctx,
		must(store.ErrExists, `INSERT INTO resources (id, uri, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, r.ID, r.URI, asJSON(r)),
		record(events))
}

// RemoveResource implements store.Resources. Its tokens end with it: each use asks.
func (s *Store) RemoveResource(ctx context.Context, uri string, events ...store.Event) error {
	return s.update(ctx, must(store.ErrNotFound, `DELETE FROM resources WHERE uri = $1`, uri), record(events))
}

// IssueClientToken implements store.ClientTokens. The token is bound to the client
// as it is there at this moment: one that gets the id later was born later.
func (s *Store) IssueClientToken(ctx context.Context, t *store.ClientToken, events ...store.Event) error {
	return s.updateToken(ctx,
		must(store.ErrNotFound, `INSERT INTO client_tokens (id, secret_hash, client_id, client_born, resource_id, scope, created_at, expires_at, jkt)
			SELECT $1, $2, c.id, c.born, r.id, $5, $6, $7, $8 FROM clients c, resources r WHERE c.id = $3 AND r.id = $4`,
			t.ID, t.SecretHash, t.ClientID, t.Resource.ID, asJSON(t.Scope), ms(t.CreatedAt), ms(t.ExpiresAt), t.JKT),
		record(events))
}

// ClientToken implements store.ClientTokens.
func (s *Store) ClientToken(ctx context.Context, id string, secretHash []byte, now time.Time) (*store.ClientToken, *oidc.Client, error) {
	t, c := &store.ClientToken{Resource: &oidc.Resource{}}, &oidc.Client{}
	err := s.row(ctx, `SELECT t.id, t.secret_hash, t.client_id, r.body, t.scope, t.jkt, t.created_at, t.expires_at, c.body
		FROM client_tokens t JOIN clients c ON c.id = t.client_id AND c.born = t.client_born JOIN resources r ON r.id = t.resource_id
		WHERE t.id = $1 AND t.secret_hash = $2 AND t.expires_at > $3`,
		[]any{id, secretHash, ms(now)}, &t.ID, &t.SecretHash, &t.ClientID, fromJSON{t.Resource}, fromJSON{&t.Scope}, &t.JKT,
		at{&t.CreatedAt}, at{&t.ExpiresAt}, clientText{&s.decoded, c})
	if err != nil {
		return nil, nil, err
	}
	return t, c, nil
}

// RevokeClientToken implements store.ClientTokens.
func (s *Store) RevokeClientToken(ctx context.Context, id string, secretHash []byte, events ...store.Event) error {
	return s.updateToken(ctx,
		must(store.ErrNotFound, `DELETE FROM client_tokens WHERE id = $1 AND secret_hash = $2`, id, secretHash),
		record(events))
}

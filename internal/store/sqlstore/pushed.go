package sqlstore

import (
	"context"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// PushRequest implements store.PushedRequests.
func (s *Store) PushRequest(ctx context.Context, p *store.PushedRequest) error {
	return s.update(ctx, exec(`INSERT INTO pushed_requests (id, secret_hash, client_id, request, created_at, expires_at, needed_until)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		p.ID, p.SecretHash, p.ClientID, asJSON(p.Request), ms(p.CreatedAt), ms(p.ExpiresAt), ms(p.NeededUntil)))
}

// PushedRequest implements store.PushedRequests.
func (s *Store) PushedRequest(ctx context.Context, id string, secretHash []byte, clientID string, now time.Time) (*store.PushedRequest, error) {
	p := &store.PushedRequest{}
	err := s.row(ctx, `SELECT id, secret_hash, client_id, request, created_at, expires_at, needed_until FROM pushed_requests
		WHERE id = $1 AND secret_hash = $2 AND client_id = $3 AND expires_at > $4`, []any{id, secretHash, clientID, ms(now)},
		&p.ID, &p.SecretHash, &p.ClientID, fromJSON{&p.Request}, at{&p.CreatedAt}, at{&p.ExpiresAt}, at{&p.NeededUntil})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// answerPushed is the part of FinishInteraction that answers a pushed request. It may
// have expired since the sign-in began.
func answerPushed(id string) step {
	if id == "" {
		return nil
	}
	return must(store.ErrUsed, `DELETE FROM pushed_requests WHERE id = $1`, id)
}

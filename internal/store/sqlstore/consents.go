package sqlstore

import (
	"context"

	"github.com/sallyport-id/sallyport/internal/store"
)

// Consent implements store.Consents.
func (s *Store) Consent(ctx context.Context, userID, clientID string) (*store.Consent, error) {
	c := &store.Consent{}
	err := s.row(ctx, `SELECT user_id, client_id, scope, updated_at, client_hash FROM consents WHERE user_id = $1 AND client_id = $2`,
		[]any{userID, clientID}, &c.UserID, &c.ClientID, fromJSON{&c.Scope}, at{&c.UpdatedAt}, &c.ClientHash)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func rememberConsent(c *store.Consent) step {
	if c == nil {
		return nil
	}
	return exec(`INSERT INTO consents (user_id, client_id, scope, updated_at, client_hash) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (user_id, client_id) DO UPDATE
			SET scope = excluded.scope, updated_at = excluded.updated_at, client_hash = excluded.client_hash`,
		c.UserID, c.ClientID, asJSON(c.Scope), ms(c.UpdatedAt), c.ClientHash)
}

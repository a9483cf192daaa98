package sqlstore

import (
	"context"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

func createCode(c *store.Code) step {
	if c == nil {
		return nil
	}
	return exec(`INSERT INTO codes (id, secret_hash, grant_id, client_id, redirect_uri, redirect_sent, code_challenge, created_at, expires_at, used_at, needed_until, jkt)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $9, $10)`,
		c.ID, c.SecretHash, c.GrantID, c.ClientID, c.RedirectURI, bit(c.RedirectSent), c.CodeChallenge, ms(c.CreatedAt), ms(c.ExpiresAt), c.JKT)
}

// Code implements store.Codes.
func (s *Store) Code(ctx context.Context, id string, secretHash []byte) (*store.Code, *store.Grant, *store.User, error) {
	c, of := &store.Code{}, &granted{}
	err := s.row(ctx, `SELECT t.id, t.secret_hash, t.grant_id, t.client_id, t.redirect_uri, t.redirect_sent, t.code_challenge, t.jkt,
			t.created_at, t.expires_at, `+grantColumns+`
		FROM codes t JOIN grants g ON g.id = t.grant_id JOIN users u ON u.id = g.user_id WHERE t.id = $1 AND t.secret_hash = $2`,
		[]any{id, secretHash}, append([]any{&c.ID, &c.SecretHash, &c.GrantID, &c.ClientID, &c.RedirectURI, &c.RedirectSent,
			&c.CodeChallenge, &c.JKT, at{&c.CreatedAt}, at{&c.ExpiresAt}}, of.fields()...)...)
	if err != nil {
		return nil, nil, nil, err
	}
	g, u := of.get()
	return c, g, u, nil
}

// RedeemCode implements store.Codes. It asks for the session of every grant: a
// session that ends takes its unredeemed codes along.
func (s *Store) RedeemCode(ctx context.Context, id string, secretHash []byte, now time.Time, t store.Tokens) error {
	return s.updateToken(ctx,
		mustOr(ifSet(store.ErrNotFound, `SELECT used_at FROM codes WHERE id = $1 AND secret_hash = $2`, id, secretHash),
			`UPDATE codes SET used_at = $2, needed_until = $4 WHERE id = $1 AND secret_hash = $3 AND used_at = 0 AND expires_at > $2
				AND EXISTS (SELECT 1 FROM grants g`+ofGrant+` WHERE g.id = codes.grant_id AND s.expires_at > $2 AND`+live+`)`,
			id, ms(now), secretHash, ms(t.Access.ExpiresAt)),
		createTokens(t))
}

func createTokens(t store.Tokens) step {
	a, resource := t.Access, ""
	if a.Resource != nil {
		resource = a.Resource.ID
	}
	steps := []step{exec(`INSERT INTO access_tokens (id, secret_hash, grant_id, resource_id, scope, created_at, expires_at, jkt) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		a.ID, a.SecretHash, a.GrantID, resource, asJSON(a.Scope), ms(a.CreatedAt), ms(a.ExpiresAt), a.JKT)}
	if r := t.Refresh; r != nil {
		until := max(ms(a.ExpiresAt), ms(r.ExpiresAt))
		steps = append(steps, exec(`INSERT INTO refresh_tokens (id, secret_hash, grant_id, scope, created_at, expires_at, used_at, successor, retried, needed_until, idle_at, jkt)
			VALUES ($1, $2, $3, $4, $5, $6, 0, '', 0, $7, $8, $9)`,
			r.ID, r.SecretHash, r.GrantID, asJSON(r.Scope), ms(r.CreatedAt), ms(r.ExpiresAt), until, ms(r.IdleAt), r.JKT))
	}
	return all(append(steps, record(t.Events))...)
}

// AccessToken implements store.GrantStore.
func (s *Store) AccessToken(ctx context.Context, id string, secretHash []byte, now time.Time) (*store.AccessToken, *store.Grant, *store.User, error) {
	a, of := &store.AccessToken{}, &granted{}
	err := s.row(ctx, `SELECT t.id, t.secret_hash, t.grant_id, r.body, t.scope, t.jkt, t.created_at, t.expires_at, `+grantColumns+`
		FROM access_tokens t LEFT JOIN resources r ON r.id = t.resource_id JOIN grants g ON g.id = t.grant_id`+ofGrant+`
		WHERE t.id = $1 AND t.secret_hash = $3 AND t.expires_at > $2 AND (t.resource_id = '' OR r.id IS NOT NULL) AND`+live,
		[]any{id, ms(now), secretHash}, append([]any{&a.ID, &a.SecretHash, &a.GrantID, fromJSON{&a.Resource}, fromJSON{&a.Scope}, &a.JKT,
			at{&a.CreatedAt}, at{&a.ExpiresAt}}, of.fields()...)...)
	if err != nil {
		return nil, nil, nil, err
	}
	g, u := of.get()
	return a, g, u, nil
}

// RefreshToken implements store.GrantStore.
func (s *Store) RefreshToken(ctx context.Context, id string, secretHash []byte, now time.Time) (*store.RefreshToken, *store.Grant, *store.User, error) {
	r, of := &store.RefreshToken{}, &granted{}
	err := s.row(ctx, `SELECT t.id, t.secret_hash, t.grant_id, t.scope, t.jkt, t.created_at, t.expires_at, t.idle_at, t.used_at, t.successor, t.retried, `+grantColumns+`
		FROM refresh_tokens t JOIN grants g ON g.id = t.grant_id`+ofGrant+`
		WHERE t.id = $1 AND t.secret_hash = $3 AND t.expires_at > $2 AND (t.used_at <> 0 OR t.idle_at = 0 OR t.idle_at > $2) AND`+live,
		[]any{id, ms(now), secretHash}, append([]any{&r.ID, &r.SecretHash, &r.GrantID, fromJSON{&r.Scope}, &r.JKT,
			at{&r.CreatedAt}, at{&r.ExpiresAt}, at{&r.IdleAt}, at{&r.UsedAt}, &r.Successor, &r.Retried}, of.fields()...)...)
	if err != nil {
		return nil, nil, nil, err
	}
	g, u := of.get()
	return r, g, u, nil
}

// liveRefresh: a refresh token has not expired, is not idle, and its grant is live.
// One that was used is never idle: a second use is recognised however late.
const liveRefresh = ` refresh_tokens.expires_at > $2
	AND (refresh_tokens.used_at <> 0 OR refresh_tokens.idle_at = 0 OR refresh_tokens.idle_at > $2) AND EXISTS (SELECT 1 FROM grants g` + ofGrant + `
	WHERE g.id = refresh_tokens.grant_id AND` + live + `)`

// whyNotRefresh is ErrUsed if the token was used and is live otherwise.
func whyNotRefresh(id string, now time.Time) step {
	return ifSet(store.ErrNotFound, `SELECT used_at FROM refresh_tokens WHERE id = $1 AND`+liveRefresh, id, ms(now))
}

// IssueAccess implements store.GrantStore.
func (s *Store) IssueAccess(ctx context.Context, refreshID string, now, idle time.Time, t store.Tokens) error {
	return s.updateToken(ctx,
		mustOr(whyNotRefresh(refreshID, now),
			`UPDATE refresh_tokens SET needed_until = CASE WHEN needed_until < $3 THEN $3 ELSE needed_until END, idle_at = $4
			WHERE id = $1 AND used_at = 0 AND`+liveRefresh, refreshID, ms(now), ms(t.Access.ExpiresAt), ms(idle)),
		createTokens(t))
}

// RotateRefresh implements store.GrantStore.
//
//	live ── rotate ──► used ── within the grace, successor unused ──► used, retried
//	 ▲                  │                                               │
//	 └── its successor ─┘ ◄──────── a new one in its place ─────────────┘
func (s *Store) RotateRefresh(ctx context.Context, oldID string, now time.Time, grace time.Duration, t store.Tokens) error {
	return s.updateToken(ctx,
		mustOr(retry(oldID, t.Refresh.ID, now, grace),
			`UPDATE refresh_tokens SET used_at = $2, successor = $3 WHERE id = $1 AND used_at = 0 AND`+liveRefresh,
			oldID, ms(now), t.Refresh.ID),
		createTokens(t))
}

// retry gives a lost answer again. The successor that nobody has used is marked
// used, not deleted: should it come after all, two have the family. The old token
// is written first, as a rotation does.
func retry(oldID, newID string, now time.Time, grace time.Duration) step {
	why := whyNotRefresh(oldID, now)
	return all(
		mustOr(why, `UPDATE refresh_tokens SET retried = 1 WHERE id = $1 AND retried = 0 AND used_at >= $3 AND`+liveRefresh,
			oldID, ms(now), ms(now.Add(-grace))),
		mustOr(why, `UPDATE refresh_tokens SET used_at = $2, retried = 1, successor = $3 WHERE used_at = 0 AND id =
				(SELECT o.successor FROM refresh_tokens o WHERE o.id = $1) AND`+liveRefresh, oldID, ms(now), newID),
		exec(`UPDATE refresh_tokens SET successor = $2 WHERE id = $1`, oldID, newID))
}

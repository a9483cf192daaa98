package sqlstore

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// grantColumns are a grant and its user, as they come with every token.
const grantColumns = `g.body, g.revoked_at, ` + userColumns

// live are the conditions under which a grant g of user u and session s is worth
// anything at the time $3.
const live = ` g.revoked_at = 0 AND u.disabled = 0 AND u.epoch = g.user_epoch
	AND (g.offline = 1 OR (s.ended_at = 0 AND s.expires_at > $3))`

const grantTables = ` JOIN grants g ON g.id = t.grant_id JOIN users u ON u.id = g.user_id LEFT JOIN sessions s ON s.id = g.session_id`

// granted scans grantColumns.
type granted struct {
	grant  store.Grant
	user   store.User
	claims string
}

func (g *granted) fields() []any {
	return append([]any{fromJSON{&g.grant}, at{&g.grant.RevokedAt}}, userFields(&g.user, &g.claims)...)
}

func (g *granted) done() (*store.Grant, *store.User) {
	g.user.Claims = rawClaims(g.claims)
	return &g.grant, &g.user
}

func (t *tx) createGrant(g *store.Grant, c *store.Code) error {
	kept := *g
	kept.CreatedAt = time.UnixMilli(g.CreatedAt.UnixMilli()).UTC()
	err := t.exec(`INSERT INTO grants (id, client_id, user_id, user_epoch, session_id, offline, body, created_at, revoked_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)`,
		g.ID, g.ClientID, g.UserID, g.UserEpoch, g.SessionID, bit(g.Offline), asJSON(kept), ms(g.CreatedAt))
	if err != nil {
		return err
	}
	return t.exec(`INSERT INTO codes (id, secret_hash, grant_id, client_id, redirect_uri, redirect_sent, code_challenge, created_at, expires_at, used_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)`,
		c.ID, c.SecretHash, c.GrantID, c.ClientID, c.RedirectURI, bit(c.RedirectSent), c.CodeChallenge, ms(c.CreatedAt), ms(c.ExpiresAt))
}

// Code implements store.Codes.
func (s *Store) Code(ctx context.Context, id string, secretHash []byte) (*store.Code, *store.Grant, *store.User, error) {
	c, g := &store.Code{}, &granted{}
	err := s.row(ctx, `SELECT t.id, t.secret_hash, t.grant_id, t.client_id, t.redirect_uri, t.redirect_sent, t.code_challenge,
		t.created_at, t.expires_at, `+grantColumns+` FROM codes t`+grantTables+` WHERE t.id = $1 AND t.secret_hash = $2`,
		[]any{id, secretHash}, append([]any{&c.ID, &c.SecretHash, &c.GrantID, &c.ClientID, &c.RedirectURI, &c.RedirectSent,
			&c.CodeChallenge, at{&c.CreatedAt}, at{&c.ExpiresAt}}, g.fields()...)...)
	if err != nil {
		return nil, nil, nil, err
	}
	grant, user := g.done()
	return c, grant, user, nil
}

// RedeemCode implements store.Codes.
func (s *Store) RedeemCode(ctx context.Context, id string, secretHash []byte, now time.Time, tokens store.Tokens) error {
	return s.updateToken(ctx, func(t *tx) error {
		err := t.decide(store.ErrNotFound, `UPDATE codes SET used_at = $3 WHERE id = $1 AND secret_hash = $2 AND used_at = 0 AND expires_at > $3
			AND EXISTS (SELECT 1 FROM grants g JOIN users u ON u.id = g.user_id JOIN sessions s ON s.id = g.session_id
				WHERE g.id = codes.grant_id AND s.ended_at = 0 AND s.expires_at > $3 AND`+live+`)`,
			id, secretHash, ms(now))
		if errors.Is(err, store.ErrNotFound) {
			return t.usedOr(err, `SELECT used_at FROM codes WHERE id = $1 AND secret_hash = $2`, id, secretHash)
		}
		if err != nil {
			return err
		}
		return t.createTokens(tokens)
	})
}

func (t *tx) createTokens(tokens store.Tokens) error {
	a := tokens.Access
	err := t.exec(`INSERT INTO access_tokens (id, secret_hash, grant_id, scope, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		a.ID, a.SecretHash, a.GrantID, asJSON(a.Scope), ms(a.CreatedAt), ms(a.ExpiresAt))
	if err != nil {
		return err
	}
	if r := tokens.Refresh; r != nil {
		err := t.exec(`INSERT INTO refresh_tokens (id, secret_hash, grant_id, scope, created_at, expires_at, used_at, successor, retried)
			VALUES ($1, $2, $3, $4, $5, $6, 0, '', 0)`,
			r.ID, r.SecretHash, r.GrantID, asJSON(r.Scope), ms(r.CreatedAt), ms(r.ExpiresAt))
		if err != nil {
			return err
		}
	}
	return t.then(nil, tokens.Events)
}

// AccessToken implements store.GrantStore.
func (s *Store) AccessToken(ctx context.Context, id string, secretHash []byte, now time.Time) (*store.AccessToken, *store.Grant, *store.User, error) {
	a, g := &store.AccessToken{}, &granted{}
	err := s.row(ctx, `SELECT t.id, t.secret_hash, t.grant_id, t.scope, t.created_at, t.expires_at, `+grantColumns+`
		FROM access_tokens t`+grantTables+` WHERE t.id = $1 AND t.secret_hash = $2 AND t.expires_at > $3 AND`+live,
		[]any{id, secretHash, ms(now)}, append([]any{&a.ID, &a.SecretHash, &a.GrantID, fromJSON{&a.Scope},
			at{&a.CreatedAt}, at{&a.ExpiresAt}}, g.fields()...)...)
	if err != nil {
		return nil, nil, nil, err
	}
	grant, user := g.done()
	return a, grant, user, nil
}

// RefreshToken implements store.GrantStore.
func (s *Store) RefreshToken(ctx context.Context, id string, secretHash []byte, now time.Time) (*store.RefreshToken, *store.Grant, *store.User, error) {
	r, g := &store.RefreshToken{}, &granted{}
	err := s.row(ctx, `SELECT t.id, t.secret_hash, t.grant_id, t.scope, t.created_at, t.expires_at, t.used_at, t.successor, t.retried, `+grantColumns+`
		FROM refresh_tokens t`+grantTables+` WHERE t.id = $1 AND t.secret_hash = $2 AND t.expires_at > $3 AND`+live,
		[]any{id, secretHash, ms(now)}, append([]any{&r.ID, &r.SecretHash, &r.GrantID, fromJSON{&r.Scope},
			at{&r.CreatedAt}, at{&r.ExpiresAt}, at{&r.UsedAt}, &r.Successor, &r.Retried}, g.fields()...)...)
	if err != nil {
		return nil, nil, nil, err
	}
	grant, user := g.done()
	return r, grant, user, nil
}

// liveRefresh is the condition that a refresh token's grant is live, for writes.
const liveRefresh = ` expires_at > $3 AND EXISTS (SELECT 1 FROM grants g JOIN users u ON u.id = g.user_id
	LEFT JOIN sessions s ON s.id = g.session_id WHERE g.id = refresh_tokens.grant_id AND` + live + `)`

// IssueAccess implements store.GrantStore.
func (s *Store) IssueAccess(ctx context.Context, refreshID string, now time.Time, tokens store.Tokens) error {
	return s.updateToken(ctx, func(t *tx) error {
		err := t.decide(store.ErrNotFound, `UPDATE refresh_tokens SET retried = retried WHERE id = $1 AND successor = $2 AND used_at = 0 AND`+liveRefresh,
			refreshID, "", ms(now))
		if err != nil {
			return err
		}
		return t.createTokens(tokens)
	})
}

// RotateRefresh implements store.GrantStore.
func (s *Store) RotateRefresh(ctx context.Context, oldID string, now time.Time, grace time.Duration, tokens store.Tokens) error {
	return s.updateToken(ctx, func(t *tx) error {
		err := t.decide(store.ErrUsed, `UPDATE refresh_tokens SET used_at = $3, successor = $2 WHERE id = $1 AND used_at = 0 AND`+liveRefresh,
			oldID, tokens.Refresh.ID, ms(now))
		if errors.Is(err, store.ErrUsed) {
			err = t.retryRotation(oldID, tokens.Refresh.ID, now, grace)
		}
		if err != nil {
			return err
		}
		return t.createTokens(tokens)
	})
}

// retryRotation gives a lost answer again: within the grace, once, and only
// while the successor is unused. That successor ends, so that one descendant
// lives. ErrUsed otherwise, or ErrNotFound if the token is not live for another
// reason than its use.
func (t *tx) retryRotation(oldID, newID string, now time.Time, grace time.Duration) error {
	err := t.decide(store.ErrUsed, `UPDATE refresh_tokens SET used_at = $3 WHERE used_at = 0 AND id = (SELECT o.successor FROM refresh_tokens o
		WHERE o.id = $1 AND o.retried = 0 AND o.used_at > $2) AND`+liveRefresh, oldID, ms(now.Add(-grace)), ms(now))
	if errors.Is(err, store.ErrUsed) {
		return t.usedOr(store.ErrNotFound, `SELECT used_at FROM refresh_tokens WHERE id = $1`, oldID)
	}
	if err != nil {
		return err
	}
	return t.exec(`UPDATE refresh_tokens SET successor = $2, retried = 1 WHERE id = $1`, oldID, newID)
}

// RevokeGrant implements store.GrantStore.
func (s *Store) RevokeGrant(ctx context.Context, grantID string, now time.Time, events ...store.Event) error {
	return s.update(ctx, func(t *tx) error {
		return t.then(t.exec(`UPDATE grants SET revoked_at = $2 WHERE id = $1 AND revoked_at = 0`, grantID, ms(now)), events)
	})
}

package sqlstore

import (
	"context"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// resettable: the user, in users u, has a password, and a factor whose codes are
// typed.
const resettable = ` u.disabled = 0 AND u.removed_at = 0 AND u.password_hash <> ''
	AND EXISTS (SELECT 1 FROM authenticators a WHERE a.user_id = u.id AND a.disabled = 0 AND a.kind IN ('totp', 'recovery'))`

// MakePasswordReset implements store.Links.
func (s *Store) MakePasswordReset(ctx context.Context, l *store.Link, events ...store.Event) error {
	return s.update(ctx,
		must(store.ErrNotFound, `UPDATE users SET epoch = epoch WHERE id IN (SELECT u.id FROM users u WHERE u.id = $1 AND`+resettable+`)`, l.UserID),
		replaceLink(l),
		record(events))
}

// PasswordReset implements store.Links.
func (s *Store) PasswordReset(ctx context.Context, id string, secretHash []byte, now time.Time) (*store.Link, *store.User, error) {
	l, u := &store.Link{}, &store.User{}
	err := s.row(ctx, `SELECT `+linkColumns+`, `+userColumns+` FROM links l JOIN users u ON u.id = l.user_id
		WHERE l.id = $1 AND l.secret_hash = $2 AND l.expires_at > $3 AND l.purpose = $4 AND u.epoch = l.user_epoch AND`+resettable,
		[]any{id, secretHash, ms(now), string(store.LinkPasswordReset)}, append(linkFields(l), userFields(u)...)...)
	if err != nil {
		return nil, nil, err
	}
	return l, u, nil
}

// EndPasswordReset implements store.Links.
func (s *Store) EndPasswordReset(ctx context.Context, id string, secretHash []byte, now time.Time, events ...store.Event) error {
	return s.update(ctx,
		must(store.ErrNotFound, `DELETE FROM links WHERE id = $1 AND secret_hash = $2 AND purpose = $3 AND expires_at > $4`,
			id, secretHash, string(store.LinkPasswordReset), ms(now)),
		record(events))
}

// ResetPassword implements store.Links. The rows of the user and of the factor are
// written first, that is the order of locks; the link's deletion decides.
func (s *Store) ResetPassword(ctx context.Context, r store.PasswordReset) error {
	l := r.Link
	return s.update(ctx,
		must(store.ErrStale, `UPDATE users SET password_hash = $3 WHERE id = $1 AND epoch = $2 AND disabled = 0 AND password_hash <> ''`,
			l.UserID, l.UserEpoch, r.NewHash),
		noneAlone(l.UserID),
		spendCode(r),
		must(store.ErrNotFound, `DELETE FROM links WHERE id = $1 AND secret_hash = $2 AND user_id = $3 AND user_epoch = $4
			AND purpose = $5 AND expires_at > $6`,
			l.ID, l.SecretHash, l.UserID, l.UserEpoch, string(store.LinkPasswordReset), ms(r.Now)),
		revoke(l.UserID, "", r.Now),
		settled(r.Settle),
		record(r.Events))
}

// spendCode accepts the step of an app, or a recovery code, of the link's user.
func spendCode(r store.PasswordReset) step {
	if r.CodeHash == nil {
		return useStep(r.Authenticator, r.Link.UserID, r.Step, r.Now)
	}
	return useCode(r.Authenticator, r.Link.UserID, r.CodeHash, r.Now)
}

package sqlstore

import (
	"context"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// MakeBypass implements store.BypassCodes. The user's row is written, so that of two
// at once one waits for the other, and replaces what that has made.
func (s *Store) MakeBypass(ctx context.Context, c *store.BypassCode, events ...store.Event) error {
	return s.update(ctx,
		must(store.ErrNotFound, `UPDATE users SET epoch = epoch WHERE id = $1 AND removed_at = 0`, c.UserID),
		exec(`DELETE FROM bypass_codes WHERE user_id = $1`, c.UserID),
		must(store.ErrUsed, `INSERT INTO bypass_codes (user_id, id, user_epoch, salt, hash, replaces, made_by, created_at, expires_at, used_in)
			SELECT u.id, $2, u.epoch, $3, $4, $5, $6, $7, $8, '' FROM users u
			WHERE u.id = $1 AND EXISTS (SELECT 1 FROM authenticators a WHERE a.user_id = u.id)`,
			c.UserID, c.ID, c.Salt, c.Hash, bit(c.Replaces), c.MadeBy, ms(c.CreatedAt), ms(c.ExpiresAt)),
		record(events))
}

// Bypass implements store.BypassCodes.
func (s *Store) Bypass(ctx context.Context, userID string, now time.Time) (*store.BypassCode, error) {
	c := &store.BypassCode{}
	err := s.row(ctx, `SELECT b.user_id, b.id, b.user_epoch, b.salt, b.replaces, b.made_by, b.created_at, b.expires_at, b.used_in
		FROM bypass_codes b JOIN users u ON u.id = b.user_id AND u.epoch = b.user_epoch AND u.disabled = 0
		WHERE b.user_id = $1 AND b.expires_at > $2`, []any{userID, ms(now)},
		&c.UserID, &c.ID, &c.UserEpoch, &c.Salt, &c.Replaces, &c.MadeBy, at{&c.CreatedAt}, at{&c.ExpiresAt}, &c.UsedIn)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// UseBypass implements store.BypassCodes. The user's row is locked first: that is the
// order of locks. The code goes with the user to the next epoch, and nothing else
// but this session does.
func (s *Store) UseBypass(ctx context.Context, u store.BypassUse) error {
	return s.update(ctx,
		exec(`UPDATE users SET epoch = epoch WHERE id = $1`, u.UserID),
		mustOr(whyNotBypass(u), `UPDATE bypass_codes SET used_in = $4, expires_at = $5
			WHERE user_id = $1 AND id = $2 AND hash = $3 AND used_in = '' AND expires_at > $6
				AND EXISTS (SELECT 1 FROM users u WHERE u.id = $1 AND u.epoch = bypass_codes.user_epoch AND u.disabled = 0)`,
			u.UserID, u.ID, u.Hash, u.Interaction.ID, ms(u.Interaction.ExpiresAt), ms(u.Now)),
		must(store.ErrStale, `UPDATE sessions SET version = version + 1, secret_hash = $5
			WHERE id = $1 AND version = $2 AND user_id = $3 AND expires_at > $4
				AND EXISTS (SELECT 1 FROM users u WHERE u.id = $3 AND u.epoch = sessions.user_epoch)`,
			u.SessionID, u.SessionVersion, u.UserID, ms(u.Now), u.NewSecretHash),
		updateInteraction(&u.Interaction, u.Now),
		revoke(u.UserID, u.SessionID, u.Now),
		exec(`UPDATE bypass_codes SET user_epoch = user_epoch + 1 WHERE user_id = $1`, u.UserID),
		settled(u.Settle),
		record(u.Events))
}

// whyNotBypass is ErrUsed if the code is right and was used.
func whyNotBypass(u store.BypassUse) step {
	return func(t *tx) error {
		n, err := t.count(`UPDATE bypass_codes SET used_in = used_in WHERE user_id = $1 AND id = $2 AND hash = $3 AND used_in <> ''`, u.UserID, u.ID, u.Hash)
		if err == nil && n > 0 {
			return store.ErrUsed
		}
		if err == nil {
			return store.ErrNotFound
		}
		return err
	}
}

// enrolRight spends the right to enrol: the one that is stored with the user, or the
// bypass code's that was used in this very interaction.
func enrolRight(e store.Enrollment) step {
	user := e.Proof.UserID
	if e.Bypass == "" {
		return must(store.ErrUsed, `UPDATE users SET may_enroll = 0 WHERE id = $1 AND may_enroll = 1`, user)
	}
	const used = ` bypass_codes WHERE user_id = $1 AND id = $2 AND used_in = $3`
	return all(
		exec(`UPDATE users SET may_enroll = 0 WHERE id = $1`, user),
		exec(`DELETE FROM authenticators WHERE user_id = $1 AND EXISTS (SELECT 1 FROM`+used+` AND replaces = 1)`, user, e.Bypass, e.Interaction.ID),
		must(store.ErrUsed, `DELETE FROM`+used+` AND user_epoch = (SELECT epoch FROM users WHERE id = $1)`, user, e.Bypass, e.Interaction.ID))
}

package sqlstore

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// InviteUser implements store.Links.
func (s *Store) InviteUser(ctx context.Context, u *store.User, l *store.Link, events ...store.Event) error {
	if l.UserID != u.ID {
		return errors.New("sqlstore: an invitation for another user")
	}
	return s.update(ctx, createUser(u), replaceLink(l), record(events))
}

// InviteAgain implements store.Links. The user's row is written, so that of two at
// once one waits for the other, and replaces what that has made.
func (s *Store) InviteAgain(ctx context.Context, l *store.Link, events ...store.Event) error {
	return s.update(ctx,
		must(store.ErrNotFound, `UPDATE users SET may_enroll = 0 WHERE id = $1 AND removed_at = 0`, l.UserID),
		must(store.ErrUsed, `UPDATE users SET may_enroll = 0 WHERE id = $1 AND password_hash = ''
			AND NOT EXISTS (SELECT 1 FROM authenticators a WHERE a.user_id = users.id)`, l.UserID),
		replaceLink(l),
		record(events))
}

// ResetUser implements store.Links.
func (s *Store) ResetUser(ctx context.Context, l *store.Link, keepPassword bool, now time.Time, events ...store.Event) error {
	return s.update(ctx,
		must(store.ErrNotFound, `UPDATE users SET may_enroll = 0, password_hash = CASE WHEN $2 = 1 THEN password_hash ELSE '' END
			WHERE id = $1 AND removed_at = 0`, l.UserID, bit(keepPassword)),
		exec(`DELETE FROM authenticators WHERE user_id = $1`, l.UserID),
		revoke(l.UserID, "", now),
		replaceLink(l),
		record(events))
}

// replaceLink makes a link in place of the user's older ones. The caller has
// written the user's row.
func replaceLink(l *store.Link) step {
	return all(
		exec(`DELETE FROM links WHERE user_id = $1 AND purpose = $2`, l.UserID, string(l.Purpose)),
		must(store.ErrNotFound, `INSERT INTO links (id, secret_hash, user_id, user_epoch, purpose, made_by, browser, created_at, expires_at)
			SELECT $1, $2, u.id, u.epoch, $4, $5, $6, $7, $8 FROM users u WHERE u.id = $3`,
			l.ID, l.SecretHash, l.UserID, string(l.Purpose), l.MadeBy, l.Browser, ms(l.CreatedAt), ms(l.ExpiresAt)))
}

const linkColumns = `l.id, l.secret_hash, l.user_id, l.user_epoch, l.purpose, l.made_by, l.browser, l.created_at, l.expires_at`

// linkFields are where linkColumns go.
func linkFields(l *store.Link) []any {
	return []any{&l.ID, &l.SecretHash, &l.UserID, &l.UserEpoch, &l.Purpose, &l.MadeBy, &l.Browser, at{&l.CreatedAt}, at{&l.ExpiresAt}}
}

// liveInvitation: of $1, the time, and $2, the purpose.
const liveInvitation = ` FROM links l JOIN users u ON u.id = l.user_id
	WHERE l.expires_at > $1 AND l.purpose = $2 AND u.epoch = l.user_epoch AND u.disabled = 0
		AND NOT EXISTS (SELECT 1 FROM authenticators a WHERE a.user_id = l.user_id)`

// Invitation implements store.Links.
func (s *Store) Invitation(ctx context.Context, id string, secretHash []byte, now time.Time) (*store.Link, *store.User, error) {
	l, u := &store.Link{}, &store.User{}
	err := s.row(ctx, `SELECT `+linkColumns+`, `+userColumns+liveInvitation+` AND l.id = $3 AND l.secret_hash = $4`,
		[]any{ms(now), string(store.LinkInvitation), id, secretHash}, append(linkFields(l), userFields(u)...)...)
	if err != nil {
		return nil, nil, err
	}
	return l, u, nil
}

// OpenInvitation implements store.Links.
func (s *Store) OpenInvitation(ctx context.Context, userID string, now time.Time) (*store.Link, error) {
	l := &store.Link{}
	err := s.row(ctx, `SELECT `+linkColumns+liveInvitation+` AND l.user_id = $3`,
		[]any{ms(now), string(store.LinkInvitation), userID}, linkFields(l)...)
	if err != nil {
		return nil, err
	}
	l.SecretHash = nil
	return l, nil
}

// RedeemInvitation implements store.Links.
func (s *Store) RedeemInvitation(ctx context.Context, r store.Redemption) error {
	in := r.Invited
	if r.Authenticator.UserID != in.UserID || r.Recovery.UserID != in.UserID {
		return errors.New("sqlstore: an invitation of several users")
	}
	return s.update(ctx,
		spendInvitation(in, false, r.Now),
		giveHandle(in.UserID, r.Handle),
		createAuthenticator(r.Authenticator, nil),
		replaceRecovery(r.Recovery, r.CodeHashes),
		orStale(updateInteraction(&r.Interaction, r.Now)),
		settled(r.Settle),
		record(r.Events))
}

// SkipFactor implements store.Links.
func (s *Store) SkipFactor(ctx context.Context, k store.Skip) error {
	return s.update(ctx,
		spendInvitation(k.Invited, true, k.Now),
		orStale(updateInteraction(&k.Interaction, k.Now)),
		settled(k.Settle),
		record(k.Events))
}

// spendInvitation gives the user the password, and the right to enrol or none. The
// user's row is written first, that is the order of locks; the link's deletion decides.
func spendInvitation(in store.Invited, mayEnroll bool, now time.Time) step {
	return all(
		must(store.ErrStale, `UPDATE users SET password_hash = $3, may_enroll = $5
			WHERE id = $1 AND password_hash = $2 AND epoch = $4 AND disabled = 0`, in.UserID, in.OldHash, in.NewHash, in.UserEpoch, bit(mayEnroll)),
		must(store.ErrNotFound, `DELETE FROM links WHERE id = $1 AND secret_hash = $2 AND user_id = $3 AND user_epoch = $4
			AND purpose = $5 AND expires_at > $6 AND NOT EXISTS (SELECT 1 FROM authenticators a WHERE a.user_id = links.user_id)`,
			in.Link, in.LinkHash, in.UserID, in.UserEpoch, string(store.LinkInvitation), ms(now)))
}

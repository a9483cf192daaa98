package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// Authenticators implements store.Authenticators.
func (s *Store) Authenticators(ctx context.Context, userID string) (list []store.Authenticator, err error) {
	err = s.read(ctx, `SELECT a.id, a.user_id, a.kind, a.name, a.secret, a.last_step, a.disabled, a.created_at, a.last_used_at,
			(SELECT count(*) FROM recovery_codes c WHERE c.authenticator_id = a.id AND c.used_at = 0),
			k.id, coalesce(k.rp_id, ''), coalesce(k.sign_count, 0), coalesce(k.record, ''), coalesce(k.alone, 0)
		FROM authenticators a LEFT JOIN credentials k ON k.authenticator_id = a.id
		WHERE a.user_id = $1 ORDER BY a.id`, []any{userID}, func(r *sql.Rows) error {
		var a store.Authenticator
		var k store.Credential
		err := r.Scan(&a.ID, &a.UserID, &a.Kind, &a.Name, &a.Secret, &a.LastStep, &a.Disabled, at{&a.CreatedAt}, at{&a.LastUsedAt}, &a.CodesLeft,
			&k.ID, &k.RPID, &k.SignCount, raw{&k.Record}, &k.Alone)
		if k.ID != nil {
			a.Credential = &k
		}
		list = append(list, a)
		return err
	})
	return list, err
}

// EnrollFirst implements store.Authenticators.
func (s *Store) EnrollFirst(ctx context.Context, e store.Enrollment) error {
	user := e.Proof.UserID
	if e.Authenticator.UserID != user || e.Recovery.UserID != user {
		return errors.New("sqlstore: an enrolment of several users")
	}
	proof := newProof(e.Proof)
	err := s.update(ctx,
		enrolRight(e),
		giveHandle(user, e.Handle),
		createAuthenticator(e.Authenticator, nil),
		replaceRecovery(e.Recovery, e.CodeHashes),
		must(store.ErrStale, `UPDATE sessions SET version = version WHERE id = $1 AND version = $2`, e.Proof.SessionID, e.Proof.Version),
		orStale(updateInteraction(&e.Interaction, e.Proof.Now)),
		orStale(proof.step),
	)
	return proof.tell(err)
}

// orStale: what is gone has changed since it was read.
func orStale(s step) step {
	return func(t *tx) error {
		err := s(t)
		if errors.Is(err, store.ErrNotFound) {
			return store.ErrStale
		}
		return err
	}
}

// UseTOTPStep implements store.Authenticators.
func (s *Store) UseTOTPStep(ctx context.Context, id string, step int64, p store.AddProof) error {
	proof := newProof(p)
	err := s.update(ctx, useStep(id, p.UserID, step, p.Now), proof.step)
	return proof.tell(err)
}

// useStep accepts a step of a user's app, if it is greater than any before.
func useStep(id, user string, totpStep int64, now time.Time) step {
	return mustOr(ifSet(store.ErrNotFound, `SELECT 1 FROM authenticators WHERE id = $1 AND user_id = $2 AND kind = $3 AND disabled = 0`,
		id, user, string(store.KindTOTP)),
		`UPDATE authenticators SET last_step = $4, last_used_at = $5
		WHERE id = $1 AND user_id = $2 AND kind = $3 AND disabled = 0 AND last_step < $4`,
		id, user, string(store.KindTOTP), totpStep, ms(now))
}

// giveHandle gives a user the handle: the first is the one for life. "" is none.
func giveHandle(user, handle string) step {
	if handle == "" {
		return nil
	}
	return must(store.ErrStale, `UPDATE users SET handle = $2 WHERE id = $1 AND handle IN ('', $2)`, user, handle)
}

// UseAssertion implements store.Authenticators. The authenticator's row is written
// first and the session's next: that is the order of locks.
func (s *Store) UseAssertion(ctx context.Context, a store.Assertion) error {
	proof := newProof(a.Proof)
	err := s.update(ctx,
		useCredential(a.Authenticator, proof.UserID, a.Credential, a.WasAlone, proof.Now),
		makeAlone(a.MakesAlone, a.Authenticator),
		exec(`UPDATE sessions SET version = version WHERE id = $1`, proof.SessionID),
		updateInteraction(&a.Interaction, proof.Now),
		proof.step)
	return proof.tell(err)
}

// useCredential accepts the counter of a credential of the user, who need not have
// proven anything else if it must be a way in alone.
func useCredential(authenticator, user string, k store.Credential, alone bool, now time.Time) step {
	return all(
		must(store.ErrNotFound, `UPDATE authenticators SET last_used_at = $4 WHERE id = $1 AND user_id = $2 AND kind = $3 AND disabled = 0
			AND ($5 = 0 OR EXISTS (SELECT 1 FROM credentials k WHERE k.authenticator_id = authenticators.id AND k.alone = 1))`,
			authenticator, user, string(store.KindWebAuthn), ms(now), bit(alone)),
		must(store.ErrUsed, `UPDATE credentials SET sign_count = $3, record = $4
			WHERE id = $1 AND authenticator_id = $2 AND (sign_count < $3 OR sign_count = 0 AND $3 = 0)`,
			k.ID, authenticator, int64(k.SignCount), string(k.Record)))
}

func makeAlone(makes bool, authenticator string) step {
	if !makes {
		return nil
	}
	return exec(`UPDATE credentials SET alone = 1 WHERE authenticator_id = $1`, authenticator)
}

// noneAlone: with a new password each passkey is used beside it once, before it is a
// way in alone again. Whoever had the old one may have proven it with a key of his own.
func noneAlone(userID string) step {
	return exec(`UPDATE credentials SET alone = 0 WHERE authenticator_id IN (SELECT a.id FROM authenticators a WHERE a.user_id = $1)`, userID)
}

// UserByCredential implements store.Authenticators.
func (s *Store) UserByCredential(ctx context.Context, id []byte) (*store.User, error) {
	u := &store.User{}
	err := s.row(ctx, `SELECT `+userColumns+` FROM credentials k JOIN authenticators a ON a.id = k.authenticator_id JOIN users u ON u.id = a.user_id
		WHERE k.id = $1 AND u.removed_at = 0`, []any{id}, userFields(u)...)
	if err != nil {
		return nil, err
	}
	return u, nil
}

// StartWithAssertion implements store.Authenticators, in the order of locks: the
// authenticator, sessions, interactions.
func (s *Store) StartWithAssertion(ctx context.Context, a store.SignIn) error {
	start, err := startSession(a.Session, a.Replaces, a.Interaction.ID)
	if err != nil {
		return err
	}
	after := a.Interaction
	after.SessionID = a.Session.ID
	return s.update(ctx,
		useCredential(a.Authenticator, a.Session.UserID, a.Credential, true, a.Session.CreatedAt),
		start,
		updateInteraction(&after, a.Session.CreatedAt),
		record(a.Events))
}

// UseRecoveryCode implements store.Authenticators. The rows of the user and of the
// set are locked before the code decides: that is the order of locks.
func (s *Store) UseRecoveryCode(ctx context.Context, id string, hash []byte, p store.AddProof) error {
	proof := newProof(p)
	err := s.update(ctx,
		exec(`UPDATE users SET epoch = epoch WHERE id = $1`, p.UserID),
		useCode(id, p.UserID, hash, p.Now),
		revoke(p.UserID, p.SessionID, p.Now),
		proof.step)
	return proof.tell(err)
}

// useCode spends a recovery code of a user's set.
func useCode(id, user string, hash []byte, now time.Time) step {
	return all(
		exec(`UPDATE authenticators SET last_used_at = $3 WHERE id = $1 AND user_id = $2`, id, user, ms(now)),
		mustOr(ifSet(store.ErrNotFound, `SELECT used_at FROM recovery_codes WHERE authenticator_id = $1 AND hash = $2`+ofUser,
			id, hash, user, string(store.KindRecovery)),
			`UPDATE recovery_codes SET used_at = $5 WHERE authenticator_id = $1 AND hash = $2 AND used_at = 0`+ofUser,
			id, hash, user, string(store.KindRecovery), ms(now)))
}

// ofUser: the recovery code's set is the user's, and not disabled.
const ofUser = ` AND EXISTS (SELECT 1 FROM authenticators a
	WHERE a.id = recovery_codes.authenticator_id AND a.user_id = $3 AND a.kind = $4 AND a.disabled = 0)`

// UseMailCode implements store.Authenticators, in the order of locks: the
// authenticator, sessions, interactions.
func (s *Store) UseMailCode(ctx context.Context, u store.MailCodeUse) error {
	proof := newProof(u.Proof)
	err := s.update(ctx,
		must(store.ErrNotFound, `UPDATE authenticators SET last_used_at = $5 WHERE id = $1 AND user_id = $2 AND kind = $3 AND disabled = 0 AND secret = $4
			AND EXISTS (SELECT 1 FROM users u WHERE u.id = $2 AND u.email = $6)`,
			u.Authenticator, proof.UserID, string(store.KindEmail), []byte(u.Address), ms(proof.Now), u.Address),
		exec(`UPDATE sessions SET version = version WHERE id = $1`, proof.SessionID),
		updateInteraction(&u.Interaction, proof.Now),
		proof.step)
	return proof.tell(err)
}

// ReplaceRecoveryCodes implements store.Authenticators.
func (s *Store) ReplaceRecoveryCodes(ctx context.Context, a store.Authenticator, codeHashes [][]byte, events ...store.Event) error {
	return s.update(ctx, replaceRecovery(a, codeHashes), record(events))
}

func replaceRecovery(a store.Authenticator, codeHashes [][]byte) step {
	return all(
		exec(`DELETE FROM authenticators WHERE user_id = $1 AND kind = $2`, a.UserID, string(store.KindRecovery)),
		createAuthenticator(a, codeHashes))
}

// CreateAuthenticator implements store.Authenticators.
func (s *Store) CreateAuthenticator(ctx context.Context, a store.Authenticator, codeHashes [][]byte, events ...store.Event) error {
	return s.update(ctx,
		must(store.ErrNotFound, `UPDATE users SET may_enroll = 0 WHERE id = $1 AND removed_at = 0`, a.UserID),
		createAuthenticator(a, codeHashes),
		record(events))
}

func createAuthenticator(a store.Authenticator, codeHashes [][]byte) step {
	steps := []step{ofAddress(a), must(store.ErrExists, `INSERT INTO authenticators (id, user_id, kind, name, secret, last_step, disabled, created_at, last_used_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING`,
		a.ID, a.UserID, string(a.Kind), a.Name, a.Secret, a.LastStep, bit(a.Disabled), ms(a.CreatedAt), ms(a.LastUsedAt))}
	if k := a.Credential; k != nil {
		steps = append(steps, must(store.ErrExists, `INSERT INTO credentials (id, authenticator_id, rp_id, sign_count, record, alone)
			VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`, k.ID, a.ID, k.RPID, int64(k.SignCount), string(k.Record), bit(k.Alone)))
	}
	for _, hash := range codeHashes {
		steps = append(steps, exec(`INSERT INTO recovery_codes (authenticator_id, hash, used_at) VALUES ($1, $2, 0)`, a.ID, hash))
	}
	return all(steps...)
}

// ofAddress: who reads the mail of an address has shown that it is the user's, if it
// still is what the account says.
func ofAddress(a store.Authenticator) step {
	if a.Kind != store.KindEmail {
		return nil
	}
	return must(store.ErrStale, `UPDATE users SET email_verified = 1 WHERE id = $1 AND email = $2 AND email <> ''`, a.UserID, string(a.Secret))
}

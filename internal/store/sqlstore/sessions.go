package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// Session implements store.Sessions. One query, so that version and proofs belong
// together.
func (s *Store) Session(ctx context.Context, id string, secretHash []byte, now time.Time) (*store.Session, error) {
	found := &store.Session{}
	err := s.read(ctx, `SELECT s.id, s.secret_hash, s.user_id, s.user_epoch, s.version, s.created_at, s.last_seen_at, s.expires_at, p.body
		FROM sessions s JOIN users u ON u.id = s.user_id LEFT JOIN proofs p ON p.session_id = s.id
		WHERE s.id = $1 AND s.secret_hash = $2 AND s.expires_at > $3 AND u.epoch = s.user_epoch AND u.disabled = 0
		ORDER BY p.seq`,
		[]any{id, secretHash, ms(now)}, func(r *sql.Rows) error {
			var p *store.Proof
			err := r.Scan(&found.ID, &found.SecretHash, &found.UserID, &found.UserEpoch, &found.Version,
				at{&found.CreatedAt}, at{&found.LastSeenAt}, at{&found.ExpiresAt}, fromJSON{&p})
			if p != nil {
				found.Proofs = append(found.Proofs, *p)
			}
			return err
		})
	if err == nil && found.ID == "" {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return found, nil
}

// StartSession implements store.Sessions.
func (s *Store) StartSession(ctx context.Context, n *store.Session, replaces, interaction string, settle store.Settle, events ...store.Event) error {
	start, err := startSession(n, replaces, interaction)
	if err != nil {
		return err
	}
	var bind step
	if interaction != "" {
		bind = must(store.ErrStale, `UPDATE interactions SET session_id = $2, version = version + 1
			WHERE id = $1 AND expires_at > $3`, interaction, n.ID, ms(n.CreatedAt))
	}
	return s.update(ctx, start, bind, settled(settle), record(events))
}

// startSession makes a session with its proofs in the place of another.
func startSession(n *store.Session, replaces, interaction string) (step, error) {
	steps := []step{
		must(store.ErrStale, `INSERT INTO sessions (id, secret_hash, user_id, user_epoch, version, created_at, last_seen_at, expires_at, user_agent, address)
			SELECT $1, $2, u.id, u.epoch, $5, $6, $7, $8, $9, $10 FROM users u WHERE u.id = $3 AND u.epoch = $4 AND u.disabled = 0`,
			n.ID, n.SecretHash, n.UserID, n.UserEpoch, n.Version, ms(n.CreatedAt), ms(n.LastSeenAt), ms(n.ExpiresAt), n.UserAgent, n.Address),
		endSession(replaces, interaction, n.CreatedAt),
	}
	for i, p := range n.Proofs {
		if p.UserID != n.UserID {
			return nil, errors.New("sqlstore: a session with another user's proof")
		}
		steps = append(steps, appendProof(n.ID, int64(i-len(n.Proofs))+n.Version+1, p))
	}
	return all(steps...), nil
}

// appendProof keeps a proof as the one that raised the session to this version.
func appendProof(sessionID string, version int64, p store.Proof) step {
	p.At = kept(p.At)
	return exec(`INSERT INTO proofs (session_id, seq, body) VALUES ($1, $2, $3)`, sessionID, version, asJSON(p))
}

// AddProof implements store.Sessions.
func (s *Store) AddProof(ctx context.Context, p store.AddProof) error {
	proof := newProof(p)
	return proof.tell(s.update(ctx, proof.step))
}

// proof is a proof on its way into a session.
type proof struct {
	store.AddProof
	body    string
	after   step
	version int64 // the session's, after it
}

func newProof(p store.AddProof) *proof {
	p.Proof.At = kept(p.Proof.At)
	return &proof{AddProof: p, body: asJSON(p.Proof), after: all(
		exec(`UPDATE interactions SET session_id = $2, version = version + 1 WHERE id = $1 AND session_id = ''`, p.Interaction, p.SessionID),
		settled(p.Settle), record(p.Events))}
}

// step appends the proof to a live session of its user. The secret is rotated by
// whoever has its version; the proof of the others is kept all the same.
func (p *proof) step(t *tx) error {
	if p.Proof.UserID != p.UserID {
		return store.ErrStale
	}
	err := t.row(`UPDATE sessions SET version = version + 1, secret_hash = CASE WHEN version = $3 THEN $4 ELSE secret_hash END
		WHERE id = $1 AND user_id = $2 AND expires_at > $5
			AND EXISTS (SELECT 1 FROM users u WHERE u.id = $2 AND u.epoch = sessions.user_epoch AND u.disabled = 0)
		RETURNING version`,
		[]any{p.SessionID, p.UserID, p.Version, p.NewSecretHash, ms(p.Now)}, &p.version)
	if errors.Is(err, store.ErrNotFound) {
		return p.whyNot(t)
	}
	if err != nil {
		return err
	}
	return all(exec(`INSERT INTO proofs (session_id, seq, body) VALUES ($1, $2, $3)`, p.SessionID, p.version, p.body), p.after)(t)
}

// whyNot is ErrStale if the session is another user's.
func (p *proof) whyNot(t *tx) error {
	var owner string
	err := t.row(`SELECT user_id FROM sessions WHERE id = $1 AND expires_at > $2`, []any{p.SessionID, ms(p.Now)}, &owner)
	if err == nil && owner != p.UserID {
		return store.ErrStale
	}
	if err == nil {
		return store.ErrNotFound // its user has been revoked or disabled
	}
	return err
}

// tell says whether the secret was rotated, once the proof is durable.
func (p *proof) tell(err error) error {
	if p.Rotated != nil {
		*p.Rotated = err == nil && p.version == p.Version+1
	}
	return err
}

// EndSession implements store.Sessions. One of those who end a session at once
// deletes its row, tells the clients, and records it.
func (s *Store) EndSession(ctx context.Context, id string, now time.Time, events ...store.Event) error {
	return s.update(ctx, exec(lockSession, id), tell(now, thisSession, id), deleteSession(id, events), endInteractions(id, ""))
}

// EndIdleSession implements store.Sessions.
func (s *Store) EndIdleSession(ctx context.Context, id string, events ...store.Event) error {
	return s.update(ctx, deleteSession(id, events), endInteractions(id, ""))
}

// deleteSession records the events if the session is still there.
func deleteSession(id string, events []store.Event) step {
	recorded := record(events)
	return func(t *tx) error {
		n, err := t.count(`DELETE FROM sessions WHERE id = $1`, id)
		if err != nil || n == 0 {
			return err
		}
		return recorded(t)
	}
}

// lockSession waits for who has the session in hand.
const lockSession = `UPDATE sessions SET version = version WHERE id = $1`

// endSession ends a session and its interactions but one. Its codes, and its
// grants that do not outlive it, end with it: each use asks whether it is there.
func endSession(id, except string, now time.Time) step {
	if id == "" {
		return nil
	}
	return all(exec(lockSession, id), tell(now, thisSession, id), exec(`DELETE FROM sessions WHERE id = $1`, id), endInteractions(id, except))
}

func endInteractions(session, except string) step {
	return exec(`DELETE FROM interactions WHERE session_id = $1 AND id <> $2`, session, except)
}

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// notice writes the mail that an event brings, if mails are sent and its user has
// an address.
func notice(e store.Event) step {
	kind := store.NoticeOf(e.Type)
	if kind == "" || e.UserID == "" {
		return nil
	}
	id, hour := store.NewID(), ms(e.At.Truncate(time.Hour))
	return func(t *tx) error {
		var to string
		err := t.row(`SELECT u.email FROM users u WHERE u.id = $1 AND u.email <> ''
			AND EXISTS (SELECT 1 FROM meta m WHERE m.name = $2 AND m.value = $3)`, []any{e.UserID, store.MetaMail, store.MetaMailOn}, &to)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if !kind.Limited() {
			return addNotice(id, kind, e)(t)
		}
		n, err := t.count(`INSERT INTO mail_counts (user_id, hour, mails) VALUES ($1, $2, 1)
			ON CONFLICT (user_id) DO UPDATE SET hour = $2, mails = CASE WHEN mail_counts.hour < $2 THEN 1 ELSE mail_counts.mails + 1 END
			WHERE mail_counts.hour < $2 OR mail_counts.mails < $3`, e.UserID, hour, store.MostMailsPerHour)
		if err != nil || n == 0 {
			return err
		}
		return addNotice(id, kind, e)(t)
	}
}

func addNotice(id string, kind store.MailKind, e store.Event) step {
	return exec(`INSERT INTO outbox (id, kind, user_id, recipient, locale, at, address, browser, actor, browser_hash, attempts, due_at, dead, error)
		SELECT $1, $2, u.id, u.email, u.locale, $4, $5, $6, $7, '', 0, $4, 0, '' FROM users u WHERE u.id = $3 AND`+room+`$8)`,
		id, string(kind), e.UserID, ms(e.At), e.Address, e.Browser, e.Actor, store.MostMails-1)
}

// room: the outbox has at most the number that follows.
const room = ` NOT EXISTS (SELECT 1 FROM outbox ORDER BY id LIMIT 1 OFFSET `

// AskForMail implements store.Outbox.
func (s *Store) AskForMail(ctx context.Context, m store.Mail, events ...store.Event) error {
	return s.update(ctx, addMail(m), record(events))
}

// AskForCode implements store.Outbox.
func (s *Store) AskForCode(ctx context.Context, m store.Mail, i *store.Interaction, events ...store.Event) error {
	err := s.update(ctx, updateInteraction(i, m.At), addMail(m), record(events))
	if err == nil {
		i.Version++
	}
	return err
}

func addMail(m store.Mail) step {
	return exec(`INSERT INTO outbox (id, kind, user_id, recipient, locale, at, address, browser, actor, browser_hash, interaction, attempts, due_at, dead, error)
		SELECT $1, $2, $3, $4, $5, $6, $7, $8, '', $9, $10, 0, $6, 0, '' WHERE`+room+`$11)`,
		m.ID, string(m.Kind), m.UserID, m.To, m.Locale, ms(m.At), m.Address, m.Browser, m.BrowserHash, m.Interaction, store.MostMails-1)
}

const mailColumns = `id, kind, user_id, recipient, locale, at, address, browser, actor, browser_hash, interaction, attempts, due_at, dead, error`

// mailFields are where mailColumns go.
func mailFields(m *store.Mail) []any {
	return []any{&m.ID, &m.Kind, &m.UserID, &m.To, &m.Locale, at{&m.At}, &m.Address, &m.Browser, &m.Actor, &m.BrowserHash, &m.Interaction,
		&m.Attempts, at{&m.DueAt}, &m.Dead, &m.Error}
}

// NextMail implements store.Outbox. Looking costs no write. Whoever loses a race for
// one mail looks for the next.
func (s *Store) NextMail(ctx context.Context, now time.Time, lease time.Duration) (*store.Mail, error) {
	for {
		var id string
		err := s.row(ctx, `SELECT id FROM outbox WHERE dead = 0 AND due_at <= $1 ORDER BY due_at, id LIMIT 1`, []any{ms(now)}, &id)
		if err != nil {
			return nil, err
		}
		m := &store.Mail{}
		err = s.update(ctx, func(t *tx) error {
			return t.row(`UPDATE outbox SET attempts = attempts + 1, due_at = $3 WHERE id = $1 AND dead = 0 AND due_at <= $2
				RETURNING `+mailColumns, []any{id, ms(now), ms(now.Add(lease))}, mailFields(m)...)
		})
		if !errors.Is(err, store.ErrNotFound) {
			return m, err
		}
	}
}

// MailSent implements store.Outbox.
func (s *Store) MailSent(ctx context.Context, id string) error {
	return s.update(ctx, exec(`DELETE FROM outbox WHERE id = $1`, id))
}

// MailFailed implements store.Outbox.
func (s *Store) MailFailed(ctx context.Context, m *store.Mail, retryAt time.Time, why string) error {
	return s.update(ctx, must(store.ErrStale, `UPDATE outbox SET due_at = $3, dead = $4, error = $5 WHERE id = $1 AND attempts = $2 AND dead = 0`,
		m.ID, m.Attempts, ms(retryAt), bit(retryAt.IsZero()), why))
}

// Mails implements store.Outbox.
func (s *Store) Mails(ctx context.Context, limit int) (list []store.Mail, err error) {
	err = s.read(ctx, `SELECT `+mailColumns+` FROM outbox ORDER BY at, id LIMIT $1`, []any{limit}, func(r *sql.Rows) error {
		var m store.Mail
		err := r.Scan(mailFields(&m)...)
		list = append(list, m)
		return err
	})
	return list, err
}

// CountMails implements store.Outbox.
func (s *Store) CountMails(ctx context.Context) (n store.MailCount, err error) {
	err = s.row(ctx, `SELECT count(*), CAST(COALESCE(sum(dead), 0) AS BIGINT) FROM outbox`, nil, &n.Pending, &n.Dead)
	n.Pending -= n.Dead
	return n, err
}

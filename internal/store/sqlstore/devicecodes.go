package sqlstore

import (
	"context"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

const (
	// early is how much before its time a question may come: the network is not even.
	early = time.Second
	// slower is what a question that comes too early adds to the interval, until it is
	// slowest (RFC 8628 §3.5).
	slower  = 5 * time.Second
	slowest = time.Minute
	// remembered is how long an expired code is known as one.
	remembered = 10 * time.Minute
)

// CreateDeviceCode implements store.DeviceCodes.
func (s *Store) CreateDeviceCode(ctx context.Context, c *store.DeviceCode, events ...store.Event) error {
	return s.update(ctx,
		must(store.ErrExists, `INSERT INTO device_codes (id, secret_hash, user_code, client_id, request, address, pace, polled_at, too_fast,
				created_at, expires_at, grant_id, denied_at, used_at, needed_until)
			VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, $8, $9, '', 0, 0, $10) ON CONFLICT (user_code) DO NOTHING`,
			c.ID, c.SecretHash, c.UserCode, c.ClientID, asJSON(c.Request), c.Address, c.Interval.Milliseconds(),
			ms(c.CreatedAt), ms(c.ExpiresAt), ms(c.ExpiresAt.Add(remembered))),
		record(events))
}

const deviceCodeColumns = `id, secret_hash, user_code, client_id, request, address, pace, created_at, expires_at, grant_id, denied_at`

func deviceCodeFields(c *store.DeviceCode) []any {
	return []any{&c.ID, &c.SecretHash, &c.UserCode, &c.ClientID, fromJSON{&c.Request}, &c.Address, milliseconds{&c.Interval},
		at{&c.CreatedAt}, at{&c.ExpiresAt}, &c.GrantID, at{&c.DeniedAt}}
}

// unanswered: nobody has answered. $2 is now.
const unanswered = ` grant_id = '' AND denied_at = 0 AND expires_at > $2`

// DeviceCodeOf implements store.DeviceCodes.
func (s *Store) DeviceCodeOf(ctx context.Context, userCode []byte, now time.Time) (*store.DeviceCode, error) {
	return s.waitingDeviceCode(ctx, `user_code = $1`, userCode, now)
}

// WaitingDeviceCode implements store.DeviceCodes.
func (s *Store) WaitingDeviceCode(ctx context.Context, id string, now time.Time) (*store.DeviceCode, error) {
	return s.waitingDeviceCode(ctx, `id = $1`, id, now)
}

func (s *Store) waitingDeviceCode(ctx context.Context, which string, is any, now time.Time) (*store.DeviceCode, error) {
	c := &store.DeviceCode{}
	err := s.row(ctx, `SELECT `+deviceCodeColumns+` FROM device_codes WHERE `+which+` AND`+unanswered, []any{is, ms(now)}, deviceCodeFields(c)...)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// allowDevice is the part of FinishInteraction that answers a device.
func allowDevice(id string, g *store.Grant, now time.Time) step {
	return must(store.ErrStale, `UPDATE device_codes SET grant_id = $3 WHERE id = $1 AND`+unanswered, id, ms(now), g.ID)
}

// DenyDeviceCode implements store.DeviceCodes.
func (s *Store) DenyDeviceCode(ctx context.Context, id, interaction string, version int64, now time.Time, events ...store.Event) error {
	return s.update(ctx,
		must(store.ErrStale, `DELETE FROM interactions WHERE id = $1 AND version = $2 AND expires_at > $3`, interaction, version, ms(now)),
		must(store.ErrStale, `UPDATE device_codes SET denied_at = $2 WHERE id = $1 AND`+unanswered, id, ms(now)),
		record(events))
}

// PollDeviceCode implements store.DeviceCodes.
func (s *Store) PollDeviceCode(ctx context.Context, id string, secretHash []byte, clientID string, now time.Time) (*store.DevicePoll, error) {
	p := &store.DevicePoll{}
	err := s.updateToken(ctx,
		must(store.ErrNotFound, `UPDATE device_codes SET polled_at = $4,
				too_fast = CASE WHEN polled_at + pace > $5 THEN 1 ELSE 0 END,
				pace = CASE WHEN polled_at + pace > $5 AND pace < $7 THEN pace + $6 ELSE pace END
			WHERE id = $1 AND secret_hash = $2 AND client_id = $3`,
			id, secretHash, clientID, ms(now), ms(now.Add(early)), slower.Milliseconds(), slowest.Milliseconds()),
		func(t *tx) error {
			return t.row(`SELECT `+deviceCodeColumns+`, too_fast FROM device_codes WHERE id = $1`, []any{id}, append(deviceCodeFields(&p.DeviceCode), &p.TooFast)...)
		})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// DeviceGrant implements store.DeviceCodes.
func (s *Store) DeviceGrant(ctx context.Context, id string, secretHash []byte) (*store.Grant, *store.User, error) {
	of := &granted{}
	err := s.row(ctx, `SELECT `+grantColumns+` FROM device_codes d JOIN grants g ON g.id = d.grant_id JOIN users u ON u.id = g.user_id
		WHERE d.id = $1 AND d.secret_hash = $2`, []any{id, secretHash}, of.fields()...)
	if err != nil {
		return nil, nil, err
	}
	g, u := of.get()
	return g, u, nil
}

// RedeemDeviceCode implements store.DeviceCodes.
func (s *Store) RedeemDeviceCode(ctx context.Context, id string, secretHash []byte, now time.Time, t store.Tokens) error {
	return s.updateToken(ctx,
		mustOr(ifSet(store.ErrNotFound, `SELECT used_at FROM device_codes WHERE id = $1 AND secret_hash = $2`, id, secretHash),
			`UPDATE device_codes SET used_at = $2, needed_until = CASE WHEN needed_until < $4 THEN $4 ELSE needed_until END
			WHERE id = $1 AND secret_hash = $3 AND used_at = 0 AND expires_at > $2
				AND EXISTS (SELECT 1 FROM grants g`+ofGrant+` WHERE g.id = device_codes.grant_id AND`+live+`)`,
			id, ms(now), secretHash, ms(t.Access.ExpiresAt)),
		createTokens(t))
}

package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// mostDevices is how many devices a user trusts at most.
const mostDevices = 20

const deviceColumns = `d.id, d.user_id, d.user_epoch, d.level, d.user_agent, d.address, d.created_at, d.last_used_at, d.expires_at`

// deviceFields are where deviceColumns go.
func deviceFields(d *store.TrustedDevice) []any {
	return []any{&d.ID, &d.UserID, &d.UserEpoch, &d.Level, &d.UserAgent, &d.Address, at{&d.CreatedAt}, at{&d.LastUsedAt}, at{&d.ExpiresAt}}
}

// ofDevice: a device that is there is its user's as that is now.
const ofDevice = ` JOIN users u ON u.id = d.user_id AND u.epoch = d.user_epoch AND u.disabled = 0`

// TrustDevice implements store.TrustedDevices. The session is written, so that it
// cannot end in between.
func (s *Store) TrustDevice(ctx context.Context, t store.Trust) error {
	d := t.Device
	return s.update(ctx,
		must(store.ErrStale, `UPDATE sessions SET version = version
			WHERE id = $1 AND version = $2 AND user_id = $3 AND user_epoch = $4 AND expires_at > $5
				AND EXISTS (SELECT 1 FROM users u WHERE u.id = $3 AND u.epoch = $4 AND u.disabled = 0)`,
			t.SessionID, t.SessionVersion, d.UserID, d.UserEpoch, ms(t.Now)),
		updateInteraction(&t.Interaction, t.Now),
		exec(`INSERT INTO trusted_devices (id, user_id, user_epoch, level, user_agent, address, created_at, last_used_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			d.ID, d.UserID, d.UserEpoch, int64(d.Level), d.UserAgent, d.Address, ms(d.CreatedAt), ms(d.LastUsedAt), ms(d.ExpiresAt)),
		newDeviceSecret(d.ID, t.SecretHash),
		exec(`DELETE FROM trusted_devices WHERE user_id = $1 AND id NOT IN
			(SELECT id FROM trusted_devices WHERE user_id = $1 ORDER BY id DESC LIMIT $2)`, d.UserID, mostDevices),
		record(t.Events))
}

func newDeviceSecret(device string, hash []byte) step {
	return exec(`INSERT INTO device_secrets (device_id, hash, used_at, retried, successor) VALUES ($1, $2, 0, 0, $3)`, device, hash, []byte{})
}

// mayRetry: of $1, a device, and $2, a hash, and not used before $3; nobody has used
// what followed.
const mayRetry = ` device_id = $1 AND hash = $2 AND used_at >= $3 AND retried = 0
	AND EXISTS (SELECT 1 FROM device_secrets n WHERE n.device_id = $1 AND n.hash = device_secrets.successor AND n.used_at = 0)`

// TrustedDevice implements store.TrustedDevices.
func (s *Store) TrustedDevice(ctx context.Context, id string, secretHash []byte, now time.Time, grace time.Duration) (*store.TrustedDevice, error) {
	d, usedAt, good := &store.TrustedDevice{}, time.Time{}, false
	since := ms(now.Add(-grace))
	err := s.row(ctx, `SELECT `+deviceColumns+`, x.used_at,
			CASE WHEN x.used_at = 0 OR EXISTS (SELECT 1 FROM device_secrets WHERE`+mayRetry+`) THEN 1 ELSE 0 END
		FROM trusted_devices d JOIN device_secrets x ON x.device_id = d.id`+ofDevice+`
		WHERE d.id = $1 AND x.hash = $2 AND d.expires_at > $4`,
		[]any{id, secretHash, since, ms(now)}, append(deviceFields(d), at{&usedAt}, &good)...)
	switch {
	case err != nil:
		return nil, err
	case good:
		return d, nil
	case ms(usedAt) < since:
		return nil, store.ErrUsed
	}
	return nil, store.ErrNotFound // others of this browser were faster
}

// TrustedDevices implements store.TrustedDevices.
func (s *Store) TrustedDevices(ctx context.Context, userID string, now time.Time) (list []store.TrustedDevice, err error) {
	err = s.read(ctx, `SELECT `+deviceColumns+` FROM trusted_devices d`+ofDevice+` WHERE d.user_id = $1 AND d.expires_at > $2 ORDER BY d.id`,
		[]any{userID, ms(now)}, func(r *sql.Rows) error {
			var d store.TrustedDevice
			err := r.Scan(deviceFields(&d)...)
			list = append(list, d)
			return err
		})
	return list, err
}

// EndTrustedDevice implements store.TrustedDevices. What was granted because of it
// ends with it: each use asks.
func (s *Store) EndTrustedDevice(ctx context.Context, userID, id string, events ...store.Event) error {
	return s.update(ctx,
		must(store.ErrNotFound, `DELETE FROM trusted_devices WHERE id = $1 AND user_id = $2`, id, userID),
		record(events))
}

// EndTrustedDevices implements store.TrustedDevices.
func (s *Store) EndTrustedDevices(ctx context.Context, userID string, events ...store.Event) error {
	return s.update(ctx, exec(`DELETE FROM trusted_devices WHERE user_id = $1`, userID), record(events))
}

// useDevice is a part of the end of an interaction. The device's row is written
// first: of several with one secret each waits for the one before.
func useDevice(u *store.DeviceUse, g *store.Grant, now time.Time) step {
	if u == nil {
		return nil
	}
	since := ms(now.Add(-u.Grace))
	live := must(store.ErrStale, `UPDATE trusted_devices SET last_used_at = $4
		WHERE id = $1 AND user_id = $2 AND user_epoch = $3 AND expires_at > $4`, u.ID, g.UserID, g.UserEpoch, ms(now))
	if u.NewSecretHash == nil {
		return all(live, must(store.ErrStale, `UPDATE device_secrets SET used_at = used_at WHERE device_id = $1 AND hash = $2 AND used_at = 0
			OR`+mayRetry, u.ID, u.SecretHash, since))
	}
	return all(live,
		mustOr(retryDevice(u, since, now), `UPDATE device_secrets SET used_at = $3, successor = $4 WHERE device_id = $1 AND hash = $2 AND used_at = 0`,
			u.ID, u.SecretHash, ms(now), u.NewSecretHash),
		newDeviceSecret(u.ID, u.NewSecretHash))
}

// retryDevice gives a lost answer again. The successor that nobody has used counts as
// used: should it come after all, two have the device.
func retryDevice(u *store.DeviceUse, since int64, now time.Time) step {
	return all(
		must(store.ErrStale, `UPDATE device_secrets SET retried = 1 WHERE`+mayRetry, u.ID, u.SecretHash, since),
		exec(`UPDATE device_secrets SET used_at = $3, retried = 1, successor = $4 WHERE device_id = $1 AND hash =
			(SELECT o.successor FROM device_secrets o WHERE o.device_id = $1 AND o.hash = $2)`, u.ID, u.SecretHash, ms(now), u.NewSecretHash),
		exec(`UPDATE device_secrets SET successor = $3 WHERE device_id = $1 AND hash = $2`, u.ID, u.SecretHash, u.NewSecretHash))
}

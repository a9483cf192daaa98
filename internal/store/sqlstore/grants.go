package sqlstore

import (
	"context"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// What a token is worth depends on its grant g, that grant's user u and, unless
// the grant outlives it, the session s. $2 is now.
const (
	live = ` g.revoked_at = 0 AND u.disabled = 0 AND u.epoch = g.user_epoch AND (g.offline = 1 OR s.expires_at > $2)
		AND (g.device_id = '' OR EXISTS (SELECT 1 FROM trusted_devices d WHERE d.id = g.device_id AND d.user_epoch = u.epoch AND d.expires_at > $2))`
	ofGrant = ` JOIN users u ON u.id = g.user_id LEFT JOIN sessions s ON s.id = g.session_id`
)

// grantColumns are a grant and its user, as they come with every token.
const grantColumns = `g.id, g.client_id, g.user_id, g.user_epoch, g.session_id, g.offline, g.body, g.created_at, g.revoked_at, ` + userColumns

// grantBody is the part of a grant that no query asks for.
type grantBody struct {
	SID          string                       `json:"sid,omitempty"`
	Interaction  string                       `json:"interaction,omitempty"`
	Address      string                       `json:"address,omitempty"`
	Scope        []string                     `json:"scope,omitempty"`
	Resources    []store.GrantedResource      `json:"resources,omitempty"`
	Proofs       []store.Proof                `json:"proofs,omitempty"`
	RequestedACR []string                     `json:"requested_acr,omitempty"`
	UserInfo     map[string]oidc.ClaimRequest `json:"userinfo,omitempty"`
	IDToken      map[string]oidc.ClaimRequest `json:"id_token,omitempty"`
	Nonce        string                       `json:"nonce,omitempty"`
	Device       *store.GrantedDevice         `json:"device,omitempty"`
}

// granted scans grantColumns.
type granted struct {
	grant store.Grant
	user  store.User
	body  grantBody
}

func (r *granted) fields() []any {
	g := &r.grant
	return append([]any{&g.ID, &g.ClientID, &g.UserID, &g.UserEpoch, &g.SessionID, &g.Offline, fromJSON{&r.body},
		at{&g.CreatedAt}, at{&g.RevokedAt}}, userFields(&r.user)...)
}

func (r *granted) get() (*store.Grant, *store.User) {
	g, b := &r.grant, &r.body
	g.SID, g.Interaction, g.Address, g.Scope, g.Proofs = b.SID, b.Interaction, b.Address, b.Scope, b.Proofs
	g.Resources, g.Device = b.Resources, b.Device
	g.RequestedACR, g.UserInfo, g.IDToken, g.Nonce = b.RequestedACR, b.UserInfo, b.IDToken, b.Nonce
	return g, &r.user
}

func createGrant(g *store.Grant) step {
	b := grantBody{
		SID: g.SID, Interaction: g.Interaction, Address: g.Address, Scope: g.Scope, Resources: g.Resources,
		RequestedACR: g.RequestedACR, UserInfo: g.UserInfo, IDToken: g.IDToken, Nonce: g.Nonce,
	}
	for _, p := range g.Proofs {
		p.At = kept(p.At)
		b.Proofs = append(b.Proofs, p)
	}
	device := ""
	if g.Device != nil {
		d := *g.Device
		d.Since = kept(d.Since)
		b.Device, device = &d, d.ID
	}
	return exec(`INSERT INTO grants (id, client_id, user_id, user_epoch, session_id, offline, body, created_at, revoked_at, device_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9)`,
		g.ID, g.ClientID, g.UserID, g.UserEpoch, g.SessionID, bit(g.Offline), asJSON(b), ms(g.CreatedAt), device)
}

// RevokeGrant implements store.GrantStore. Its tokens end with it: each use asks.
func (s *Store) RevokeGrant(ctx context.Context, grantID string, now time.Time, events ...store.Event) error {
	return s.updateToken(ctx,
		exec(`UPDATE grants SET revoked_at = $2 WHERE id = $1 AND revoked_at = 0`, grantID, ms(now)),
		record(events))
}

// RevokeAccessToken implements store.GrantStore.
func (s *Store) RevokeAccessToken(ctx context.Context, id string, secretHash []byte, events ...store.Event) error {
	return s.updateToken(ctx,
		must(store.ErrNotFound, `DELETE FROM access_tokens WHERE id = $1 AND secret_hash = $2`, id, secretHash),
		record(events))
}

package admin

import (
	"context"
	"fmt"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// AddClient registers a client and returns its secret, "" for one that is public or
// signs. The
// secret is not shown again. store.ErrExists if the id is taken.
func (a *Admin) AddClient(ctx context.Context, c *oidc.Client) (secret string, err error) {
	if c.HasSecret() {
		var hash []byte
		secret, hash = store.NewSecret()
		c.SecretHashes = [][]byte{hash}
	}
	if err := c.Validate(); err != nil {
		return "", fmt.Errorf("client %q: %w", c.ID, err)
	}
	return secret, a.Store.CreateClient(ctx, c, a.clientEvent(store.EventClientCreated, c.ID, c.Preset))
}

// RotateSecret gives a client a new secret and returns it; it is not shown again.
// The one before stays good beside it if keepOld is set, and everything older
// ends. store.ErrNotFound if there is no such client; an error for a public one.
// Of two who rotate at once the later one's secret is the client's.
func (a *Admin) RotateSecret(ctx context.Context, id string, keepOld bool) (secret string, err error) {
	c, err := a.Store.Client(ctx, id)
	if err != nil {
		return "", fmt.Errorf("client %q: %w", id, err)
	}
	if !c.HasSecret() {
		return "", fmt.Errorf("client %q is public or signs, and has no secret", id)
	}
	secret, hash := store.NewSecret()
	hashes := [][]byte{hash}
	if keepOld && len(c.SecretHashes) > 0 {
		hashes = append(hashes, c.SecretHashes[0])
	}
	c.SecretHashes = hashes
	detail := "the old one ended"
	if keepOld {
		detail = "the old one stays"
	}
	return secret, a.Store.UpdateClient(ctx, c, a.clientEvent(store.EventClientSecretRotated, id, detail))
}

// SetKeys replaces the public keys in which a client signs by these, or by those that are
// fetched from uri; one of the two is empty. Who holds an old one is the client no
// more. store.ErrNotFound if there is no such client.
func (a *Admin) SetKeys(ctx context.Context, id string, jwks []byte, uri string) error {
	c, err := a.Store.Client(ctx, id)
	if err != nil {
		return fmt.Errorf("client %q: %w", id, err)
	}
	c.JWKS, c.JWKSURI = jwks, uri
	if err := c.Validate(); err != nil {
		return fmt.Errorf("client %q: %w", id, err)
	}
	return a.Store.UpdateClient(ctx, c, a.clientEvent(store.EventClientKeysChanged, id, ""))
}

// EndOldSecrets ends all secrets of a client but its newest.
func (a *Admin) EndOldSecrets(ctx context.Context, id string) error {
	c, err := a.Store.Client(ctx, id)
	if err != nil {
		return fmt.Errorf("client %q: %w", id, err)
	}
	if len(c.SecretHashes) < 2 {
		return fmt.Errorf("client %q has no old secret", id)
	}
	c.SecretHashes = c.SecretHashes[:1]
	return a.Store.UpdateClient(ctx, c, a.clientEvent(store.EventClientSecretEnded, id, ""))
}

// RemoveClient forgets a client and ends what was issued to it.
func (a *Admin) RemoveClient(ctx context.Context, id string) error {
	err := a.Store.RemoveClient(ctx, id, a.Now(), a.clientEvent(store.EventClientRemoved, id, ""))
	if err != nil {
		return fmt.Errorf("client %q: %w", id, err)
	}
	return nil
}

// SetLogoutURI changes where a client is told of sessions that end; "" tells it no
// more. It takes effect with sign-ins from now on. store.ErrNotFound if there is no
// such client.
func (a *Admin) SetLogoutURI(ctx context.Context, id, uri string) error {
	c, err := a.Store.Client(ctx, id)
	if err != nil {
		return fmt.Errorf("client %q: %w", id, err)
	}
	before := c.BackchannelLogoutURI
	c.BackchannelLogoutURI = uri
	if err := c.Validate(); err != nil {
		return fmt.Errorf("client %q: %w", id, err)
	}
	return a.Store.UpdateClient(ctx, c, a.clientEvent(store.EventClientLogoutChanged, id, before+" → "+uri))
}

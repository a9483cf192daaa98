package admin

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// AddClient registers a client and returns its secret, "" for one that is public or
// signs with a key. The secret is not shown again. store.ErrExists if the id is taken.
func (a *Admin) AddClient(ctx context.Context, c *oidc.Client) (secret string, err error) {
	var sealed store.ClientSecret
	switch {
	case c.SignsWithSecret():
		if secret, sealed, err = a.newSealedSecret(c.ID); err != nil {
			return "", err
		}
		c.SealedSecrets = []string{sealed.ID}
	case c.HasSecret():
		var hash []byte
		secret, hash = store.NewSecret()
		c.SecretHashes = [][]byte{hash}
	}
	if err := c.Validate(); err != nil {
		return "", fmt.Errorf("client %q: %w", c.ID, err)
	}
	event := a.clientEvent(store.EventClientCreated, c.ID, c.Preset)
	if c.SignsWithSecret() {
		return secret, a.Store.CreateSealedClient(ctx, c, sealed, event)
	}
	return secret, a.Store.CreateClient(ctx, c, event)
}

// newSealedSecret is a secret in which a client signs: who checks that must read it.
func (a *Admin) newSealedSecret(clientID string) (secret string, sealed store.ClientSecret, err error) {
	if a.Sealer == nil {
		return "", sealed, errors.New("client_secret_jwt needs the master key")
	}
	secret, _ = store.NewSecret()
	sealed, err = a.Sealer.SealClientSecret(clientID, secret)
	return secret, sealed, err
}

// triesToChange bounds how often a change is made anew because somebody else was faster.
const triesToChange = 10

// changeClient changes a registered client as it is at that moment, so that of two who
// change it at once neither takes back what the other did. change says what the log is
// told; an event without a type is not recorded, and nothing changes. What the client is
// then is returned. store.ErrNotFound if there is no such client.
func (a *Admin) changeClient(ctx context.Context, id string, change func(c *oidc.Client) (store.Event, error)) (*oidc.Client, error) {
	return a.changeClientBy(ctx, id, change, a.Store.UpdateClient)
}

// changeClientBy does so by another verb of the store.
func (a *Admin) changeClientBy(ctx context.Context, id string, change func(c *oidc.Client) (store.Event, error),
	update func(ctx context.Context, old, c *oidc.Client, events ...store.Event) error) (*oidc.Client, error) {
	for range triesToChange {
		old, err := a.Store.Client(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("client %q: %w", id, err)
		}
		c := old.Clone()
		event, err := change(c)
		if err == nil {
			err = c.Validate()
		}
		if err != nil {
			return nil, fmt.Errorf("client %q: %w", id, err)
		}
		if event.Type == "" {
			return c, nil
		}
		if err = update(ctx, old, c, event); !errors.Is(err, store.ErrStale) {
			return c, err
		}
	}
	return nil, fmt.Errorf("client %q: %w", id, store.ErrStale)
}

// SetClient changes what a client is registered as, all at once, and returns it. Whoever
// was given something that it allows no more loses that at the next use. An error of
// change, or of what the client would be, says why nothing changed.
func (a *Admin) SetClient(ctx context.Context, id string, change func(c *oidc.Client) error) (*oidc.Client, error) {
	return a.changeClient(ctx, id, func(c *oidc.Client) (store.Event, error) {
		old := c.Clone()
		if err := change(c); err != nil {
			return store.Event{}, err
		}
		what := changes(old, c)
		if what == "" {
			return store.Event{}, nil
		}
		return a.clientEvent(store.EventClientChanged, id, what), nil
	})
}

// RotateSecret gives a client a new secret and returns it; it is not shown again.
// The one before stays good beside it if keepOld is set, and everything older
// ends. store.ErrNotFound if there is no such client; an error for a public one.
// Of two who rotate at once the later one's secret is the client's.
func (a *Admin) RotateSecret(ctx context.Context, id string, keepOld bool) (secret string, err error) {
	var sealed store.ClientSecret
	_, err = a.changeClientBy(ctx, id, func(c *oidc.Client) (store.Event, error) {
		detail := "the old one ended"
		if keepOld && c.Secrets() > 0 {
			detail = "the old one stays"
		}
		event := a.clientEvent(store.EventClientSecretRotated, id, detail)
		switch {
		case !c.HasSecret():
			return store.Event{}, errors.New("is public or signs with a key, and has no secret")
		case c.SignsWithSecret():
			var err error
			secret, sealed, err = a.newSealedSecret(id)
			c.SealedSecrets = newest(sealed.ID, c.SealedSecrets, keepOld)
			return event, err
		}
		var hash []byte
		secret, hash = store.NewSecret()
		c.SecretHashes = newest(hash, c.SecretHashes, keepOld)
		return event, nil
	}, func(ctx context.Context, old, c *oidc.Client, events ...store.Event) error {
		if c.SignsWithSecret() {
			return a.Store.UpdateSealedClient(ctx, old, c, sealed, events...)
		}
		return a.Store.UpdateClient(ctx, old, c, events...)
	})
	if err != nil {
		return "", err
	}
	return secret, nil
}

// newest is a list that begins with the new one, and has the newest of the old ones, too.
func newest[T any](fresh T, old []T, keepOld bool) []T {
	list := []T{fresh}
	if keepOld && len(old) > 0 {
		list = append(list, old[0])
	}
	return list
}

// SetKeys replaces the public keys in which a client signs by these, or by those that are
// fetched from uri; one of the two is empty. Who holds an old one is the client no
// more. store.ErrNotFound if there is no such client.
func (a *Admin) SetKeys(ctx context.Context, id string, jwks []byte, uri string) error {
	_, err := a.changeClient(ctx, id, func(c *oidc.Client) (store.Event, error) {
		c.JWKS, c.JWKSURI = jwks, uri
		return a.clientEvent(store.EventClientKeysChanged, id, ""), nil
	})
	return err
}

// EndOldSecrets ends all secrets of a client but its newest.
func (a *Admin) EndOldSecrets(ctx context.Context, id string) error {
	_, err := a.changeClient(ctx, id, func(c *oidc.Client) (store.Event, error) {
		if c.Secrets() < 2 {
			return store.Event{}, errors.New("has no old secret")
		}
		c.SecretHashes = c.SecretHashes[:min(1, len(c.SecretHashes))]
		c.SealedSecrets = c.SealedSecrets[:min(1, len(c.SealedSecrets))]
		return a.clientEvent(store.EventClientSecretEnded, id, ""), nil
	})
	return err
}

// RemoveClient forgets a client and ends what was issued to it.
func (a *Admin) RemoveClient(ctx context.Context, id string) error {
	err := a.Store.RemoveClient(ctx, id, a.Now(), a.clientEvent(store.EventClientRemoved, id, ""))
	if err != nil {
		return fmt.Errorf("client %q: %w", id, err)
	}
	return nil
}

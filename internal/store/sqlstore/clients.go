package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// mostDecoded bounds the memory that decoded clients take.
const mostDecoded = 512

// decoded remembers what the texts of clients mean. It is asked with a text that
// a query has just brought: a change is seen at once, on every node.
type decoded struct {
	mu      sync.Mutex
	clients map[string]*oidc.Client // by text; never handed out
}

// client returns what a text means, for the caller to keep.
func (d *decoded) client(text string) (*oidc.Client, error) {
	d.mu.Lock()
	c := d.clients[text]
	d.mu.Unlock()
	if c != nil {
		return c.Clone(), nil
	}
	c = &oidc.Client{}
	if err := json.Unmarshal([]byte(text), c); err != nil {
		return nil, err
	}
	d.remember(text, c.Clone())
	return c, nil
}

func (d *decoded) remember(text string, c *oidc.Client) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.clients == nil || len(d.clients) >= mostDecoded {
		d.clients = map[string]*oidc.Client{}
	}
	d.clients[text] = c
}

// clientText scans a client.
type clientText struct {
	*decoded
	into *oidc.Client
}

// Scan implements sql.Scanner.
func (t clientText) Scan(v any) error {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("a client is %T", v)
	}
	c, err := t.client(text)
	if err == nil {
		*t.into = *c
	}
	return err
}

// Client implements store.Clients.
func (s *Store) Client(ctx context.Context, id string) (*oidc.Client, error) {
	c := &oidc.Client{}
	if err := s.row(ctx, `SELECT body FROM clients WHERE id = $1`, []any{id}, clientText{&s.decoded, c}); err != nil {
		return nil, err
	}
	return c, nil
}

// Clients implements store.Clients.
func (s *Store) Clients(ctx context.Context) (list []*oidc.Client, err error) {
	err = s.read(ctx, `SELECT body FROM clients ORDER BY id`, nil, func(r *sql.Rows) error {
		c := &oidc.Client{}
		list = append(list, c)
		return r.Scan(clientText{&s.decoded, c})
	})
	return list, err
}

// CreateClient implements store.Clients.
func (s *Store) CreateClient(ctx context.Context, c *oidc.Client, events ...store.Event) error {
	return s.update(ctx, createClient(c), record(events))
}

// CreateSealedClient implements store.Clients.
func (s *Store) CreateSealedClient(ctx context.Context, c *oidc.Client, secret store.ClientSecret, events ...store.Event) error {
	return s.update(ctx, createClient(c), keepSecret(c.ID, secret), record(events))
}

func createClient(c *oidc.Client) step {
	return must(store.ErrExists, `INSERT INTO clients (id, body, born, hears_logout) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING`,
		c.ID, asJSON(c), store.NewID(), bit(c.BackchannelLogoutURI != ""))
}

func keepSecret(clientID string, secret store.ClientSecret) step {
	return exec(`INSERT INTO client_secrets (id, client_id, sealed) VALUES ($1, $2, $3)`, secret.ID, clientID, secret.Sealed)
}

// UpdateClient implements store.Clients.
func (s *Store) UpdateClient(ctx context.Context, old, c *oidc.Client, events ...store.Event) error {
	return s.update(ctx, s.updateClient(old, c), endSecrets(c), record(events))
}

// UpdateSealedClient implements store.Clients.
func (s *Store) UpdateSealedClient(ctx context.Context, old, c *oidc.Client, secret store.ClientSecret, events ...store.Event) error {
	return s.update(ctx, s.updateClient(old, c), keepSecret(c.ID, secret), endSecrets(c), record(events))
}

// updateClient compares what the texts mean, for another release may have written the one
// that is there, and then the texts, which decide between those who have all read the same.
func (s *Store) updateClient(old, c *oidc.Client) step {
	was, id, body, hears := old.Clone(), c.ID, asJSON(c), bit(c.BackchannelLogoutURI != "")
	return func(t *tx) error {
		var text string
		if err := t.row(`SELECT body FROM clients WHERE id = $1`, []any{id}, &text); err != nil {
			return err
		}
		if now, err := s.decoded.client(text); err != nil || !reflect.DeepEqual(now, was) {
			return errors.Join(err, store.ErrStale)
		}
		return must(store.ErrStale, `UPDATE clients SET body = $2, hears_logout = $3 WHERE id = $1 AND body = $4`, id, body, hears, text)(t)
	}
}

// endSecrets forgets the secrets that the client names no more: it has two at most.
func endSecrets(c *oidc.Client) step {
	named := append(slices.Clone(c.SealedSecrets), "", "")
	return exec(`DELETE FROM client_secrets WHERE client_id = $1 AND id <> $2 AND id <> $3`, c.ID, named[0], named[1])
}

// ClientSecrets implements store.Clients.
func (s *Store) ClientSecrets(ctx context.Context, c *oidc.Client) (list []store.ClientSecret, err error) {
	named := append(slices.Clone(c.SealedSecrets), "", "")
	err = s.read(ctx, `SELECT id, sealed FROM client_secrets WHERE client_id = $1 AND (id = $2 OR id = $3)`, []any{c.ID, named[0], named[1]}, func(r *sql.Rows) error {
		var secret store.ClientSecret
		err := r.Scan(&secret.ID, &secret.Sealed)
		list = append(list, secret)
		return err
	})
	return list, err
}

// RemoveClient implements store.Clients.
func (s *Store) RemoveClient(ctx context.Context, id string, now time.Time, events ...store.Event) error {
	return s.update(ctx,
		must(store.ErrNotFound, `DELETE FROM clients WHERE id = $1`, id),
		exec(`DELETE FROM client_secrets WHERE client_id = $1`, id),
		exec(`DELETE FROM interactions WHERE client_id = $1`, id),
		exec(`UPDATE grants SET revoked_at = $2 WHERE client_id = $1 AND revoked_at = 0`, id, ms(now)),
		exec(`DELETE FROM consents WHERE client_id = $1`, id),
		exec(`DELETE FROM device_codes WHERE client_id = $1`, id),
		exec(`DELETE FROM pushed_requests WHERE client_id = $1`, id),
		exec(`DELETE FROM session_clients WHERE client_id = $1`, id),
		exec(`DELETE FROM logouts WHERE client_id = $1`, id),
		record(events))
}

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

const (
	callback = "http://localhost:5999/callback"
	password = "lantern-otter-vowel-41" // everybody's
)

// person is somebody who has a TOTP.
type person struct {
	id, login string
	secret    []byte
	mu        sync.Mutex
	used      int64 // the last step that was shown
}

// code returns a TOTP code that the person has not used yet. A server accepts
// the step before this one and the one after it, too, and each once.
func (p *person) code() (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now().Unix() / 30
	if p.used = max(p.used+1, now); p.used > now+1 {
		return "", errors.New("a person signs in too often: there are too few for so fast a machine")
	}
	return authn.TOTPCode(p.secret, p.used, 6), nil
}

// people take turns.
type people struct {
	list []*person
	next atomic.Int64
}

func (p *people) take() *person {
	return p.list[int(p.next.Add(1)-1)%len(p.list)]
}

// signInsPerSecond is more than two cores can do; who signs in next is somebody
// who has not for a while.
const signInsPerSecond = 200

// The resource servers: the second one's tokens are JWTs.
const (
	api        = "https://api.example.com"
	signingAPI = "https://signing.example.com"
)

// clients are the applications, by what they are for.
type clients struct {
	rs256, es256 *oidc.Client // with a secret
	spa          *oidc.Client // without one: its refresh tokens rotate
	worker       *oidc.Client // asks for tokens for the APIs
	orders       *oidc.Client // is the APIs
	proving      *oidc.Client // asks, and signs who it is
	prover       *prover      // what it signs with
	secrets      map[string]string
}

// populate registers people and clients, before the server starts.
func (in *installation) populate(ctx context.Context, o options) (err error) {
	db, sealer, err := in.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	a := &admin.Admin{Store: db, Hasher: authn.NewHasher(authn.HasherConfig{}), Sealer: sealer, Now: time.Now}
	if in.clients, err = newClients(ctx, a); err != nil {
		return fmt.Errorf("clients: %w", err)
	}
	n := o.Clients + int(max(o.WarmUp+o.Duration, time.Second)/time.Second)*signInsPerSecond
	if in.people, err = newPeople(ctx, db, a, n); err != nil {
		return fmt.Errorf("people: %w", err)
	}
	return nil
}

func newClients(ctx context.Context, a *admin.Admin) (c clients, err error) {
	c = clients{
		rs256: admin.Web("rs256", "RS256", callback), es256: admin.Web("es256", "ES256", callback),
		spa: admin.SPA("spa", "SPA", callback), worker: admin.Machine("worker", "Worker"), orders: admin.Machine("orders", "Orders"),
		proving: admin.Machine("proving", "Proving"), secrets: map[string]string{},
	}
	c.es256.IDTokenAlg, c.spa.IDTokenAlg = "ES256", "ES256"
	if c.prover, err = newProver(); err != nil {
		return c, err
	}
	c.proving.AuthMethod = oidc.AuthPrivateKeyJWT
	if c.proving.JWKS, err = c.prover.public(); err != nil {
		return c, err
	}
	for _, r := range []*oidc.Resource{
		{URI: api, Name: "Orders", Scopes: []string{"read", "write"}},
		{URI: signingAPI, Name: "Orders, signed", Scopes: []string{"read"}, TokenFormat: oidc.FormatJWT, SigningAlg: "ES256"},
	} {
		if err := errors.Join(a.AddResource(ctx, r), a.Allow(ctx, c.worker, r.URI, "read"), a.Allow(ctx, c.proving, r.URI, "read"),
			a.AllowIntrospection(ctx, c.orders, r.URI)); err != nil {
			return c, err
		}
	}
	for _, client := range []*oidc.Client{c.rs256, c.es256, c.spa, c.worker, c.orders, c.proving} {
		if c.secrets[client.ID], err = a.AddClient(ctx, client); err != nil {
			return c, err
		}
	}
	return c, nil
}

// newPeople hashes one password for all: argon2id would take minutes. The first
// has everything that a person has, recovery codes included.
func newPeople(ctx context.Context, db *sqlstore.Store, a *admin.Admin, n int) (*people, error) {
	first, err := a.AddUser(ctx, admin.NewUser{Login: "p0", Name: "Person 0", Email: "p0@example.com", Password: password})
	if err != nil {
		return nil, err
	}
	secret, _, err := a.AddTOTP(ctx, first.ID)
	if err != nil {
		return nil, err
	}
	all := &people{list: make([]*person, n)}
	all.list[0] = &person{id: first.ID, login: first.Login, secret: secret}
	return all, together(n-1, 64, func(i int) (err error) {
		all.list[i+1], err = newPerson(ctx, db, a.Sealer, first, i+1)
		return err
	})
}

func newPerson(ctx context.Context, db *sqlstore.Store, sealer *keys.Sealer, like *store.User, i int) (*person, error) {
	u := *like
	u.ID, u.Login, u.LoginKey = store.NewID(), fmt.Sprintf("p%d", i), fmt.Sprintf("p%d", i)
	u.Name, u.Email = fmt.Sprintf("Person %d", i), u.Login+"@example.com"
	p := &person{id: u.ID, login: u.Login, secret: authn.NewTOTPSecret()}
	totp := store.Authenticator{ID: store.NewID(), UserID: u.ID, Kind: store.KindTOTP, CreatedAt: u.CreatedAt}
	sealed, err := sealer.Seal(p.secret, authn.SecretPlace(totp.ID, u.ID))
	if err != nil {
		return nil, err
	}
	totp.Secret = sealed
	return p, errors.Join(db.CreateUser(ctx, &u), db.CreateAuthenticator(ctx, totp, nil))
}

// together calls do for 0 to n-1, so many at once, and returns what went wrong.
func together(n, atOnce int, do func(i int) error) error {
	var next atomic.Int64
	errs := make([]error, min(atOnce, n))
	var wait sync.WaitGroup
	for w := range errs {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && errs[w] == nil; i = int(next.Add(1)) - 1 {
				errs[w] = do(i)
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

type apiCommands struct {
	Add    apiAddCmd    `cmd:"" help:"Register an API."`
	List   apiListCmd   `cmd:"" help:"List the APIs."`
	Show   apiShowCmd   `cmd:"" help:"Show all fields of one, and its clients."`
	Allow  apiAllowCmd  `cmd:"" help:"Let a client use one, or make it the API's own. For a new client: client add."`
	Deny   apiDenyCmd   `cmd:"" help:"Take that back; the tokens that the client has for it stop."`
	Remove apiRemoveCmd `cmd:"" help:"Forget one, and end the tokens for it."`
}

type apiAddCmd struct {
	configFlag
	outputFlag
	URI            string        `arg:"" help:"Its name in requests, and the audience of its tokens: an absolute URI without fragment."`
	Name           string        `help:"What people see; the URI if empty."`
	Scope          []string      `required:"" sep:"none" help:"A scope that it knows. May be repeated."`
	Format         string        `default:"opaque" enum:"opaque,jwt" help:"What its access tokens are: opaque (it asks what they are worth, and hears at once that they ended) or jwt (it checks them by itself, and takes them until they expire)."`
	SigningAlg     string        `default:"" enum:",RS256,ES256,EdDSA" help:"The algorithm of its JWTs; RS256 if not said."`
	AccessTokenTTL time.Duration `name:"access-token-ttl" placeholder:"TIME" help:"How long its access tokens live; if not said 10m, or 5m as a JWT, which is the most of one."`
	MinLevel       int           `placeholder:"LEVEL" help:"The least that a user must have proven for a token. 1: one factor, 2: two, 3: a passkey or a security key, 4: one of verified make, which cannot be copied."`
}

// Run registers the API.
func (c *apiAddCmd) Run() error {
	r := &oidc.Resource{URI: c.URI, Name: c.Name, Scopes: c.Scope, TokenFormat: c.Format, SigningAlg: c.SigningAlg, AccessTokenTTL: c.AccessTokenTTL, MinLevel: oidc.Level(c.MinLevel)}
	if r.Name == "" && len(c.URI) > 64 {
		return errors.New("--name is missing: the URI is too long to be shown to people")
	}
	if r.Name == "" {
		r.Name = c.URI
	}
	return c.operate(func(ctx context.Context, _ *sqlstore.Store, a *admin.Admin) error {
		if err := a.AddResource(ctx, r); err != nil {
			return fmt.Errorf("API %q: %w", c.URI, err)
		}
		s := shownAPI{Resource: r}
		return c.print(os.Stdout, s, s.print)
	})
}

// shownAPI is an API with the clients that know it.
type shownAPI struct {
	*oidc.Resource
	Clients     []string `json:"clients,omitempty"`     // may ask for its tokens
	Introspects []string `json:"introspects,omitempty"` // may ask about its tokens
}

func (s shownAPI) print(w io.Writer) error {
	return printLines(w, []line{
		{"resource", s.URI}, {"name", s.Name}, {"scopes", strings.Join(s.Scopes, " ")},
		{"token_format", s.TokenFormat}, {"token_signing_alg", s.SigningAlg}, {"access_token_ttl", ttlText(s.AccessTokenTTL)}, {"min_level", fmt.Sprint(int(s.MinLevel))},
		{"clients", strings.Join(s.Clients, " ")}, {"introspects", strings.Join(s.Introspects, " ")},
	})
}

func ttlText(d time.Duration) string {
	if d == 0 {
		return "default"
	}
	return d.String()
}

type apiListCmd struct {
	configFlag
	outputFlag
}

// Run lists the APIs.
func (c *apiListCmd) Run() error {
	return c.operate(func(ctx context.Context, db *sqlstore.Store, _ *admin.Admin) error {
		list, err := db.Resources(ctx)
		if err != nil {
			return err
		}
		if list == nil {
			list = []*oidc.Resource{}
		}
		return c.print(os.Stdout, list, func(w io.Writer) error {
			t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "RESOURCE\tNAME\tFORMAT\tLEVEL\tSCOPES")
			for _, r := range list {
				fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", r.URI, r.Name, r.TokenFormat, r.MinLevel, strings.Join(r.Scopes, " "))
			}
			return t.Flush()
		})
	})
}

type apiShowCmd struct {
	configFlag
	outputFlag
	URI string `arg:"" help:"The API's URI."`
}

// Run shows the API.
func (c *apiShowCmd) Run() error {
	return c.operate(func(ctx context.Context, db *sqlstore.Store, _ *admin.Admin) error {
		r, err := db.Resource(ctx, c.URI)
		if err != nil {
			return fmt.Errorf("API %q: %w", c.URI, err)
		}
		clients, err := db.Clients(ctx)
		if err != nil {
			return err
		}
		s := shownAPI{Resource: r}
		for _, client := range clients {
			if len(client.ScopesAt(r)) > 0 {
				s.Clients = append(s.Clients, client.ID)
			}
			if client.Introspects(r) {
				s.Introspects = append(s.Introspects, client.ID)
			}
		}
		return c.print(os.Stdout, s, s.print)
	})
}

type apiAllowCmd struct {
	configFlag
	URI        string   `arg:"" help:"The API's URI."`
	Client     string   `arg:"" help:"The client_id."`
	Scope      []string `sep:"none" xor:"what" help:"A scope that the client may ask for, in place of those that it had; all of the API's if none is said. May be repeated."`
	Introspect bool     `xor:"what" help:"The client is the API itself: it may ask what tokens for it are worth."`
}

// Run allows it.
func (c *apiAllowCmd) Run() error {
	return c.operate(func(ctx context.Context, _ *sqlstore.Store, a *admin.Admin) error {
		return a.AllowClient(ctx, c.Client, c.URI, c.Scope, c.Introspect)
	})
}

type apiDenyCmd struct {
	configFlag
	URI    string `arg:"" help:"The API's URI."`
	Client string `arg:"" help:"The client_id."`
}

// Run takes it back.
func (c *apiDenyCmd) Run() error {
	return c.operate(func(ctx context.Context, _ *sqlstore.Store, a *admin.Admin) error {
		return a.DenyClient(ctx, c.Client, c.URI)
	})
}

type apiRemoveCmd struct {
	configFlag
	yesFlag
	URI string `arg:"" help:"The API's URI."`
}

// Run removes the API.
func (c *apiRemoveCmd) Run() error {
	if err := c.check("ends the tokens for " + c.URI + " and what clients may do there"); err != nil {
		return err
	}
	return c.operate(func(ctx context.Context, _ *sqlstore.Store, a *admin.Admin) error {
		return a.RemoveResource(ctx, c.URI)
	})
}

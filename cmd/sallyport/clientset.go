package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

type clientSetCmd struct {
	configFlag
	outputFlag
	ID                    string         `arg:"" help:"The client_id."`
	Name                  *string        `help:"What people see."`
	RedirectURI           []string       `name:"redirect-uri" sep:"none" placeholder:"URI" help:"Where answers may go, in place of all before. May be repeated."`
	AddRedirectURI        []string       `name:"add-redirect-uri" sep:"none" placeholder:"URI" help:"Where answers may go, too. May be repeated."`
	RemoveRedirectURI     []string       `name:"remove-redirect-uri" sep:"none" placeholder:"URI" help:"Where answers may go no more. May be repeated."`
	AddPostLogoutURI      []string       `name:"add-post-logout-redirect-uri" sep:"none" placeholder:"URI" help:"Where people may go after signing out, too. May be repeated."`
	RemovePostLogoutURI   []string       `name:"remove-post-logout-redirect-uri" sep:"none" placeholder:"URI" help:"Where they may go no more. May be repeated."`
	BackchannelLogoutURI  *string        `name:"backchannel-logout-uri" placeholder:"URI" help:"Where it is told of sessions that end, from the next sign-in on; empty: nowhere."`
	AddScope              []string       `placeholder:"SCOPE" help:"A scope that it may ask for: profile, email, address, phone, groups or offline_access. May be repeated."`
	RemoveScope           []string       `placeholder:"SCOPE" help:"One that it may ask for no more; what it has of it ends. May be repeated."`
	MinLevel              *int           `placeholder:"LEVEL" help:"The floor under the policy, as of client add. What it was given for less ends."`
	RequireACR            *bool          `name:"require-acr" negatable:"" help:"What it asks for in acr_values must be met: there is no answer for less."`
	AccessTokenTTL        *time.Duration `name:"access-token-ttl" placeholder:"TIME" help:"How long its access tokens live, from the next one on; 0s: as the server says."`
	RefreshTokenTTL       *time.Duration `name:"refresh-token-ttl" placeholder:"TIME" help:"How long it may refresh after a sign-in, from the next one on; 0s likewise."`
	RefreshTokenIdle      *time.Duration `name:"refresh-token-idle" placeholder:"TIME" help:"How long a refresh token lives that is not used, from its next use on; 0s likewise."`
	Device                *bool          `negatable:"" help:"It may also ask for people on devices without a browser (RFC 8628)."`
	DPoP                  *bool          `name:"dpop" negatable:"" help:"Its access tokens are bound to a key of its own, always (RFC 9449)."`
	DPoPNonce             *bool          `name:"dpop-nonce" negatable:"" help:"Its proofs need the server's nonce, too."`
	RequirePAR            *bool          `name:"require-par" negatable:"" help:"It must send its requests ahead (RFC 9126)."`
	RequireSignedRequest  *bool          `name:"require-signed-request" negatable:"" help:"It must sign its requests (RFC 9101)."`
	AskConsent            *bool          `negatable:"" help:"Ask people whether they allow it."`
	TokenEndpointAudience *bool          `name:"insecure-token-endpoint-audience" negatable:"" help:"What it signs may be addressed to the token endpoint, too."`
	OptionalPKCE          *bool          `name:"insecure-optional-pkce" negatable:"" help:"It may leave PKCE out, for libraries that do not know it."`
	Disabled              *bool          `negatable:"" help:"It is refused everywhere, and what it has is worth nothing, until that is taken back."`
}

// Run changes the client, all at once or not at all.
func (c *clientSetCmd) Run() error {
	return c.operate(func(ctx context.Context, db *sqlstore.Store, a *admin.Admin) error {
		client, err := a.SetClient(ctx, c.ID, c.change)
		if errors.Is(err, store.ErrStale) {
			err = fmt.Errorf("client %q: others are changing it; look, and try again", c.ID)
		}
		if err != nil {
			return err
		}
		if err := leaveOutGone(ctx, db, client); err != nil {
			return err
		}
		s := shown(client)
		return c.print(os.Stdout, s, s.print)
	})
}

// change makes of the client what the flags say. Validate judges the whole.
func (c *clientSetCmd) change(client *oidc.Client) error {
	if client.Machine() && c.ofPeople() {
		return errors.New("signs nobody in: it has no redirect URIs, level, consent, device, refresh tokens or scopes of people")
	}
	if err := c.changeURIs(client); err != nil {
		return err
	}
	if err := c.changeScopes(client); err != nil {
		return err
	}
	if l := c.MinLevel; l != nil {
		if client.MinLevel = oidc.Level(*l); client.MinLevel < oidc.Level1FA || client.MinLevel > oidc.LevelPHRH {
			return errors.New("--min-level must be 1 to 4")
		}
	}
	if c.Device != nil {
		client.GrantTypes = without(client.GrantTypes, oidc.GrantDeviceCode)
		if *c.Device {
			client.GrantTypes = append(client.GrantTypes, oidc.GrantDeviceCode)
		}
	}
	if c.AskConsent != nil {
		client.SkipConsent = !*c.AskConsent
	}
	set(&client.Name, c.Name)
	set(&client.BackchannelLogoutURI, c.BackchannelLogoutURI)
	set(&client.AccessTokenTTL, c.AccessTokenTTL)
	set(&client.RefreshTokenTTL, c.RefreshTokenTTL)
	set(&client.RefreshTokenIdle, c.RefreshTokenIdle)
	set(&client.EssentialACR, c.RequireACR)
	set(&client.DPoPBound, c.DPoP)
	set(&client.RequireDPoPNonce, c.DPoPNonce)
	set(&client.RequirePushed, c.RequirePAR)
	set(&client.RequireSigned, c.RequireSignedRequest)
	set(&client.InsecureTokenEndpointAudience, c.TokenEndpointAudience)
	set(&client.InsecureOptionalPKCE, c.OptionalPKCE)
	set(&client.Disabled, c.Disabled)
	return nil
}

// ofPeople: a flag is about what only clients have that sign people in.
func (c *clientSetCmd) ofPeople() bool {
	for _, list := range [][]string{c.RedirectURI, c.AddRedirectURI, c.AddPostLogoutURI, c.AddScope} {
		if len(list) > 0 {
			return true
		}
	}
	for _, flag := range []*bool{c.RequireACR, c.Device, c.RequirePAR, c.RequireSignedRequest, c.AskConsent, c.OptionalPKCE} {
		if flag != nil {
			return true
		}
	}
	return c.MinLevel != nil || c.RefreshTokenTTL != nil || c.RefreshTokenIdle != nil
}

func (c *clientSetCmd) changeURIs(client *oidc.Client) (err error) {
	if len(c.RedirectURI) > 0 {
		client.RedirectURIs = c.RedirectURI
	}
	if client.RedirectURIs, err = edited(client.RedirectURIs, c.AddRedirectURI, c.RemoveRedirectURI); err != nil {
		return fmt.Errorf("redirect URIs: %w", err)
	}
	if client.PostLogoutRedirectURIs, err = edited(client.PostLogoutRedirectURIs, c.AddPostLogoutURI, c.RemovePostLogoutURI); err != nil {
		return fmt.Errorf("redirect URIs after the logout: %w", err)
	}
	return nil
}

// changeScopes leaves openid and the scopes of APIs alone.
func (c *clientSetCmd) changeScopes(client *oidc.Client) (err error) {
	may := []string{oidc.ScopeProfile, oidc.ScopeEmail, oidc.ScopeAddress, oidc.ScopePhone, oidc.ScopeGroups, oidc.ScopeOfflineAccess}
	for _, scope := range slices.Concat(c.AddScope, c.RemoveScope) {
		if !slices.Contains(may, scope) {
			return fmt.Errorf("scope %s: profile, email, address, phone, groups and offline_access may be changed; scopes at APIs by \"api allow\"", scope)
		}
	}
	if client.Scopes, err = edited(client.Scopes, c.AddScope, c.RemoveScope); err != nil {
		return fmt.Errorf("scopes: %w", err)
	}
	client.DefaultScope = without(client.DefaultScope, c.RemoveScope...)
	return nil
}

// edited is a list with what is added and without what is removed, which must be there.
func edited(list, add, remove []string) ([]string, error) {
	for _, word := range remove {
		if !slices.Contains(list, word) {
			return nil, fmt.Errorf("%s is none of them", word)
		}
	}
	list = without(list, remove...)
	for _, word := range add {
		if !slices.Contains(list, word) {
			list = append(list, word)
		}
	}
	return list, nil
}

// without is nil if nothing is left, as in a registration that never had any.
func without(list []string, words ...string) []string {
	var left []string
	for _, word := range list {
		if !slices.Contains(words, word) {
			left = append(left, word)
		}
	}
	return left
}

// set gives a field the value of a flag that was given.
func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

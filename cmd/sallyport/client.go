package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

type clientCommands struct {
	Add          clientAddCmd    `cmd:"" help:"Register an application; prints its secret, once."`
	List         clientListCmd   `cmd:"" help:"List the applications."`
	Show         clientShowCmd   `cmd:"" help:"Show all fields of one."`
	Set          clientSetCmd    `cmd:"" help:"Change one: its name, where answers may go, what a sign-in must prove."`
	SetKeys      clientKeysCmd   `cmd:"" help:"Replace the public keys in which one signs."`
	TestLogout   testLogoutCmd   `cmd:"" help:"Tell one of a session that there is not, now, and say what came back."`
	Logouts      logoutsCmd      `cmd:"" help:"List what they are still to be told of sessions that have ended."`
	RotateSecret clientRotateCmd `cmd:"" help:"Give one a new secret; prints it, once."`
	Remove       clientRemoveCmd `cmd:"" help:"Forget one, and end what was issued to it."`
}

type clientAddCmd struct {
	configFlag
	outputFlag
	ID                    string        `arg:"" help:"The client_id: letters, digits, - and _."`
	Preset                string        `default:"web" enum:"web,fapi2,spa,native,device,machine,tutorial" help:"Where its fields begin: web (a server that keeps a secret), fapi2 (one that signs with a key, sends its requests ahead and binds its tokens: needs --auth-alg, and --jwks or --jwks-uri), spa (script in a browser), native (phone or desktop), device (a television or a terminal, without a browser: its user types a code elsewhere), machine (a program that acts for itself, and signs nobody in), tutorial (a program that looks for nothing but an access token: level 2 each time, on this machine only)."`
	Name                  string        `help:"What people see; the id if empty."`
	RedirectURI           []string      `name:"redirect-uri" placeholder:"URI" help:"Where answers may go; needed by all but machines and devices. May be repeated."`
	PostLogoutRedirectURI []string      `name:"post-logout-redirect-uri" placeholder:"URI" help:"Where people may go after signing out. May be repeated."`
	BackchannelLogoutURI  string        `name:"backchannel-logout-uri" placeholder:"URI" help:"Where it is told of sessions that end."`
	Scope                 []string      `placeholder:"SCOPE" help:"A further scope that it may ask for: address, phone or groups. May be repeated."`
	MinLevel              int           `placeholder:"LEVEL" help:"The floor under the policy. 1: one factor, 2: two, 3: a passkey or a security key, 4: one of verified make, which cannot be copied."`
	API                   []string      `name:"api" sep:"none" placeholder:"URI" help:"An API that it may use with all of its scopes, or with those that follow: 'URI read write'. May be repeated."`
	Introspect            []string      `name:"introspect" sep:"none" placeholder:"URI" help:"An API that it is: it may ask what tokens for it are worth. May be repeated."`
	AccessTokenTTL        time.Duration `name:"access-token-ttl" placeholder:"TIME" help:"How long its access tokens live; if not said 10m."`
	RefreshTokenTTL       time.Duration `name:"refresh-token-ttl" placeholder:"TIME" help:"How long it may refresh after a sign-in; if not said 2160h, which is 90 days."`
	RefreshTokenIdle      time.Duration `name:"refresh-token-idle" placeholder:"TIME" help:"How long a refresh token lives that is not used; if not said 720h, which is 30 days."`
	Device                bool          `help:"It may also ask for people on devices without a browser (RFC 8628)."`
	DPoP                  bool          `name:"dpop" help:"Its access tokens are bound to a key of its own, always (RFC 9449); without it, when it sends a proof."`
	DPoPNonce             bool          `name:"dpop-nonce" help:"Its proofs need the server's nonce, too."`
	AuthMethod            string        `default:"" enum:",client_secret_jwt" placeholder:"METHOD" help:"client_secret_jwt: it has a secret, and signs who it is with that, in HS256, in place of sending it. A key is better: --jwks."`
	JWKS                  string        `name:"jwks" xor:"keys" type:"existingfile" placeholder:"FILE" help:"Its public keys, a JWK Set: it signs who it is (private_key_jwt), and has no secret."`
	JWKSURI               string        `name:"jwks-uri" xor:"keys" placeholder:"URL" help:"Where its public keys are, in place of --jwks: the server fetches them, and looks again for one that it does not know. See outbound_allow."`
	AuthAlg               string        `name:"auth-alg" placeholder:"ALG" help:"The only algorithm in which it signs who it is: ES256, EdDSA, PS256 or RS256; if not said, that of its keys."`
	TokenEndpointAudience bool          `name:"insecure-token-endpoint-audience" help:"What it signs may be addressed to the token endpoint, too, for libraries that know no better: another server could ask it for that."`
	RequirePAR            bool          `name:"require-par" help:"It must send its requests ahead (RFC 9126): nothing that a browser brings begins a sign-in."`
	RequireSignedRequest  bool          `name:"require-signed-request" help:"It must sign its requests (RFC 9101), in one of its keys."`
	SubjectType           string        `default:"public" enum:"public,pairwise" help:"What it knows people by: public (a sub that all clients know) or pairwise (one that no client of another sector knows)."`
	SectorIdentifier      string        `placeholder:"HOST" help:"Its sector, if pairwise: clients of one sector share their people's subs. If not said the host of its redirect URIs; it is fixed from now on."`
	AskConsent            bool          `help:"Ask people whether they allow it: for applications that are not your own."`
}

// addedClient is what is printed once.
type addedClient struct {
	shownClient
	Secret string `json:"client_secret,omitempty"`
}

// shownClient is a client without what its secret is checked by.
type shownClient struct {
	*oidc.Client
	Secrets  int      `json:"secrets"` // how many are good
	Warnings []string `json:"warnings,omitempty"`
}

func shown(c *oidc.Client) shownClient {
	without := *c
	without.SecretHashes, without.SealedSecrets = nil, nil
	return shownClient{&without, c.Secrets(), warnings(c)}
}

// Run registers the client.
func (c *clientAddCmd) Run() error {
	client, err := c.client()
	if err != nil {
		return err
	}
	return c.operate(func(ctx context.Context, _ *sqlstore.Store, a *admin.Admin) error {
		if err := c.allow(ctx, a, client); err != nil {
			return err
		}
		if client.SignsWithSecret() {
			if a.Sealer, err = c.sealer(); err != nil {
				return err
			}
		}
		secret, err := a.AddClient(ctx, client)
		if err != nil {
			return fmt.Errorf("client %q: %w", c.ID, err)
		}
		added := addedClient{shown(client), secret}
		return c.print(os.Stdout, added, func(w io.Writer) error {
			if err := added.print(w); err != nil {
				return err
			}
			return printSecret(w, client, secret)
		})
	})
}

// allow gives the client what it may do at APIs.
func (c *clientAddCmd) allow(ctx context.Context, a *admin.Admin, client *oidc.Client) error {
	for _, api := range c.API {
		words := append(strings.Fields(api), "")
		if err := a.Allow(ctx, client, words[0], words[1:len(words)-1]...); err != nil {
			return err
		}
	}
	for _, uri := range c.Introspect {
		if err := a.AllowIntrospection(ctx, client, uri); err != nil {
			return err
		}
	}
	return nil
}

// client is the preset with what the flags change in it.
func (c *clientAddCmd) client() (*oidc.Client, error) {
	made, err := c.made()
	if err != nil {
		return nil, err
	}
	if err := c.subjects(made); err != nil {
		return nil, err
	}
	return made, c.sign(made)
}

// subjects says what the client will know people by.
func (c *clientAddCmd) subjects(made *oidc.Client) (err error) {
	if c.SubjectType == oidc.SubjectPairwise {
		made.SubjectType = c.SubjectType
	}
	if made.Sector = c.SectorIdentifier; !made.Pairwise() || made.Sector != "" {
		return nil
	}
	if made.Sector, err = oidc.SectorOf(made.RedirectURIs); err != nil {
		return fmt.Errorf("--sector-identifier is missing: %w", err)
	}
	return nil
}

// made is the client without its subjects and keys.
func (c *clientAddCmd) made() (*oidc.Client, error) {
	name := c.Name
	if name == "" {
		name = c.ID
	}
	if c.Preset == "machine" {
		if len(c.RedirectURI)+len(c.PostLogoutRedirectURI) > 0 || c.BackchannelLogoutURI != "" || c.MinLevel != 0 || c.AskConsent || len(c.Scope) > 0 || c.RefreshTokenTTL != 0 || c.RefreshTokenIdle != 0 || c.Device || c.RequirePAR || c.RequireSignedRequest {
			return nil, errors.New("the preset machine signs nobody in: it has no redirect URIs, level, consent, device, refresh tokens or scopes of people")
		}
		made := admin.Machine(c.ID, name)
		made.AccessTokenTTL, made.DPoPBound, made.RequireDPoPNonce = c.AccessTokenTTL, c.DPoP, c.DPoPNonce
		return made, nil
	}
	if len(c.RedirectURI) == 0 && c.Preset != "device" {
		return nil, errors.New("--redirect-uri is missing: where may answers go?")
	}
	var made *oidc.Client
	switch c.Preset {
	case "web":
		made = admin.Web(c.ID, name, c.RedirectURI...)
	case "fapi2":
		if c.JWKS+c.JWKSURI == "" || c.AuthAlg == "" {
			return nil, errors.New("the preset fapi2 signs who it is: it needs --auth-alg, and --jwks or --jwks-uri")
		}
		made = admin.FAPI2(c.ID, name, c.AuthAlg, c.RedirectURI...)
	case "spa":
		made = admin.SPA(c.ID, name, c.RedirectURI...)
	case "native":
		made = admin.Native(c.ID, name, c.RedirectURI...)
	case "device":
		if len(c.RedirectURI)+len(c.PostLogoutRedirectURI) > 0 {
			return nil, errors.New("the preset device has no browser, and no redirect URIs: for an application that has both, there is --device")
		}
		made = admin.Device(c.ID, name)
	case "tutorial":
		if len(c.RedirectURI) != 1 {
			return nil, errors.New("the preset tutorial has one redirect URI")
		}
		made = admin.Tutorial(c.ID, name, c.RedirectURI[0])
	}
	if c.Device && c.Preset != "device" {
		made.GrantTypes = append(made.GrantTypes, oidc.GrantDeviceCode)
	}
	made.DPoPBound, made.RequirePushed = made.DPoPBound || c.DPoP, made.RequirePushed || c.RequirePAR
	made.RequireDPoPNonce, made.RequireSigned = c.DPoPNonce, c.RequireSignedRequest
	made.PostLogoutRedirectURIs, made.BackchannelLogoutURI = c.PostLogoutRedirectURI, c.BackchannelLogoutURI
	if c.MinLevel != 0 {
		made.MinLevel = oidc.Level(c.MinLevel)
	}
	if made.MinLevel > oidc.LevelPHRH || made.MinLevel < oidc.Level1FA {
		return nil, errors.New("--min-level must be 1 to 4")
	}
	made.AccessTokenTTL, made.RefreshTokenTTL, made.RefreshTokenIdle = c.AccessTokenTTL, c.RefreshTokenTTL, c.RefreshTokenIdle
	for _, scope := range c.Scope {
		if !slices.Contains([]string{oidc.ScopeAddress, oidc.ScopePhone, oidc.ScopeGroups}, scope) {
			return nil, fmt.Errorf("--scope %s: address, phone and groups may be added; scopes at APIs come with --api", scope)
		}
		made.Scopes = append(made.Scopes, scope)
	}
	if c.AskConsent {
		made.SkipConsent = false
	}
	return made, nil
}

// sign gives the client its keys, with which it proves itself.
func (c *clientAddCmd) sign(made *oidc.Client) (err error) {
	made.AssertionAlg, made.InsecureTokenEndpointAudience = c.AuthAlg, c.TokenEndpointAudience
	if c.AuthMethod != "" {
		if c.JWKS+c.JWKSURI+c.AuthAlg != "" || made.Public() {
			return errors.New("--auth-method client_secret_jwt is for web and machine, without --jwks, --jwks-uri and --auth-alg")
		}
		made.AuthMethod = c.AuthMethod
		return nil
	}
	if c.JWKS+c.JWKSURI == "" {
		return nil
	}
	if made.Public() {
		return fmt.Errorf("the preset %s is for clients that prove nothing, and keep no key: --jwks and --jwks-uri are for web and machine", c.Preset)
	}
	made.AuthMethod, made.JWKSURI = oidc.AuthPrivateKeyJWT, c.JWKSURI
	made.JWKS, err = readJWKS(c.JWKS)
	return err
}

// readJWKS reads a JWK Set, for Validate to judge; "" is none.
func readJWKS(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var one bytes.Buffer
	if _, err := oidc.ParseClientKeys(text); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	err = json.Compact(&one, text)
	return one.Bytes(), err
}

func printSecret(w io.Writer, c *oidc.Client, secret string) error {
	if secret == "" && !c.Public() {
		_, err := fmt.Fprintln(w, "\nIt has no secret: it signs who it is.")
		return err
	}
	if secret == "" {
		_, err := fmt.Fprintln(w, "\nIt has no secret: it is public, and must use PKCE.")
		return err
	}
	_, err := fmt.Fprintf(w, "\nclient_secret  %s\n               shown now and never again\n", secret)
	return err
}

// print writes every field that says something.
func (s shownClient) print(w io.Writer) error {
	c := s.Client
	method := c.AuthMethod
	if method == "" {
		method = oidc.AuthBasic
	}
	lines := []line{
		{"client_id", c.ID}, {"name", c.Name}, {"preset", c.Preset}, {"warning", strings.Join(s.Warnings, "; ")},
		{"redirect_uris", strings.Join(c.RedirectURIs, " ")}, {"post_logout_redirect_uris", strings.Join(c.PostLogoutRedirectURIs, " ")},
		{"backchannel_logout_uri", c.BackchannelLogoutURI},
		{"authentication", method}, {"secrets", fmt.Sprint(s.Secrets)},
		{"jwks", string(c.JWKS)}, {"jwks_uri", c.JWKSURI}, {"token_endpoint_auth_signing_alg", c.AssertionAlg},
		{"grant_types", strings.Join(c.GrantTypes, " ")}, {"response_modes", strings.Join(c.ResponseModes, " ")},
		{"scopes", strings.Join(c.Scopes, " ")}, {"default_scope", strings.Join(c.DefaultScope, " ")},
	}
	for _, a := range c.Resources {
		lines = append(lines, line{"api", accessText(a)})
	}
	if c.Pairwise() {
		lines = append(lines, line{"subject_type", c.SubjectType}, line{"sector_identifier", c.Sector})
	}
	lines = append(lines, line{"access_token_ttl", ttlText(c.AccessTokenTTL)})
	if c.Refreshes() {
		lines = append(lines, line{"refresh_token_ttl", ttlText(c.RefreshTokenTTL)}, line{"refresh_token_idle", ttlText(c.RefreshTokenIdle)})
	}
	if !c.Machine() {
		lines = append(lines, line{"min_level", fmt.Sprint(int(c.MinLevel))}, line{"asks_consent", yesNo(!c.SkipConsent)},
			line{"requires_pkce", yesNo(!c.InsecureOptionalPKCE)}, line{"native_app", yesNo(c.NativeApp)})
	}
	if c.RequirePushed {
		lines = append(lines, line{"require_pushed_authorization_requests", "yes"})
	}
	if c.RequireSigned {
		lines = append(lines, line{"require_signed_request_object", "yes"})
	}
	if c.DPoPBound {
		lines = append(lines, line{"dpop_bound_access_tokens", "yes"})
	}
	if c.RequireDPoPNonce {
		lines = append(lines, line{"require_dpop_nonce", "yes"})
	}
	return printLines(w, append(lines, line{"disabled", yesNo(c.Disabled)}))
}

// accessText is an API with what the client may do there.
func accessText(a oidc.ResourceAccess) string {
	words := append([]string{a.URI}, a.Scopes...)
	if a.Introspect {
		words = append(words, "(introspects)")
	}
	return strings.Join(words, " ")
}

// line is a field and what it says.
type line struct{ name, value string }

// printLines writes the lines that say something.
func printLines(w io.Writer, lines []line) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, l := range lines {
		if l.value != "" {
			fmt.Fprintf(t, "%s\t%s\n", l.name, l.value)
		}
	}
	return t.Flush()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// warnings are what an operator should know about a client at a glance.
func warnings(c *oidc.Client) (list []string) {
	if c.Preset == "tutorial" {
		list = append(list, "tutorial: takes any access token as proof, for trying out")
	}
	if c.InsecureOptionalPKCE {
		list = append(list, "may leave PKCE out")
	}
	if c.InsecureTokenEndpointAudience {
		list = append(list, "may sign for the token endpoint")
	}
	if c.Secrets() > 1 {
		list = append(list, "an old secret is still good")
	}
	if c.Disabled {
		list = append(list, "disabled")
	}
	return list
}

type clientListCmd struct {
	configFlag
	outputFlag
}

// Run lists the clients.
func (c *clientListCmd) Run() error {
	return c.operate(func(ctx context.Context, db *sqlstore.Store, _ *admin.Admin) error {
		clients, err := db.Clients(ctx)
		if err != nil {
			return err
		}
		if err := leaveOutGone(ctx, db, clients...); err != nil {
			return err
		}
		list := []shownClient{}
		for _, client := range clients {
			list = append(list, shown(client))
		}
		return c.print(os.Stdout, list, func(w io.Writer) error {
			t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "CLIENT_ID\tNAME\tPRESET\tLEVEL\tWARNING")
			for _, l := range list {
				fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", l.ID, l.Name, l.Preset, l.MinLevel, strings.Join(l.Warnings, "; "))
			}
			return t.Flush()
		})
	})
}

type clientShowCmd struct {
	configFlag
	outputFlag
	ID string `arg:"" help:"The client_id."`
}

// Run shows the client.
func (c *clientShowCmd) Run() error {
	return c.operate(func(ctx context.Context, db *sqlstore.Store, _ *admin.Admin) error {
		client, err := db.Client(ctx, c.ID)
		if err != nil {
			return fmt.Errorf("client %q: %w", c.ID, err)
		}
		if err := leaveOutGone(ctx, db, client); err != nil {
			return err
		}
		s := shown(client)
		return c.print(os.Stdout, s, s.print)
	})
}

// leaveOutGone takes what clients may do at APIs that are gone out of what is shown.
func leaveOutGone(ctx context.Context, db *sqlstore.Store, clients ...*oidc.Client) error {
	apis, err := db.Resources(ctx)
	if err != nil {
		return err
	}
	for _, c := range clients {
		c.Resources = slices.DeleteFunc(c.Resources, func(a oidc.ResourceAccess) bool {
			return !slices.ContainsFunc(apis, func(r *oidc.Resource) bool { return r.ID == a.ResourceID })
		})
	}
	return nil
}

type clientRotateCmd struct {
	configFlag
	outputFlag
	ID      string `arg:"" help:"The client_id."`
	KeepOld bool   `xor:"old" help:"Let the newest old secret be good beside the new one, until --end-old."`
	EndOld  bool   `xor:"old" help:"Make no new secret; end all but the newest."`
}

// Run rotates the secret.
func (c *clientRotateCmd) Run() error {
	return c.operate(func(ctx context.Context, db *sqlstore.Store, a *admin.Admin) error {
		if c.EndOld {
			return a.EndOldSecrets(ctx, c.ID)
		}
		client, err := db.Client(ctx, c.ID)
		if err != nil {
			return fmt.Errorf("client %q: %w", c.ID, err)
		}
		if client.SignsWithSecret() {
			if a.Sealer, err = c.sealer(); err != nil {
				return err
			}
		}
		secret, err := a.RotateSecret(ctx, c.ID, c.KeepOld)
		if err != nil {
			return err
		}
		rotated := map[string]string{"client_id": c.ID, "client_secret": secret}
		return c.print(os.Stdout, rotated, func(w io.Writer) error { return printSecret(w, &oidc.Client{}, secret) })
	})
}

type clientKeysCmd struct {
	configFlag
	ID   string `arg:"" help:"The client_id."`
	JWKS string `name:"jwks" xor:"keys" required:"" type:"existingfile" placeholder:"FILE" help:"Its public keys from now on, a JWK Set: to change a key without an interruption, first the old and the new one, then the new one alone."`
	URI  string `name:"jwks-uri" xor:"keys" required:"" placeholder:"URL" help:"Where they are from now on."`
}

// Run replaces the keys.
func (c *clientKeysCmd) Run() error {
	jwks, err := readJWKS(c.JWKS)
	if err != nil {
		return err
	}
	return c.operate(func(ctx context.Context, _ *sqlstore.Store, a *admin.Admin) error {
		return a.SetKeys(ctx, c.ID, jwks, c.URI)
	})
}

type clientRemoveCmd struct {
	configFlag
	yesFlag
	ID string `arg:"" help:"The client_id."`
}

// Run removes the client.
func (c *clientRemoveCmd) Run() error {
	if err := c.check("ends the tokens of " + c.ID + " and forgets it"); err != nil {
		return err
	}
	return c.operate(func(ctx context.Context, _ *sqlstore.Store, a *admin.Admin) error { return a.RemoveClient(ctx, c.ID) })
}

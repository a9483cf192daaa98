package e2e

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	httphelper "github.com/zitadel/oidc/v3/pkg/http"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"
)

// TestZitadelRP: a Go program made of zitadel/oidc's rp gets somebody's tokens for a device;
// another, with its handlers, signs the same in, refreshes, revokes and signs out.
func TestZitadelRP(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	in := install(t)
	b := newBrowser(t, "en")
	key := in.setUp(b, "sora")
	mux := http.NewServeMux()
	app := httptest.NewServer(mux)
	t.Cleanup(app.Close)
	origin := strings.Replace(app.URL, "127.0.0.1", "localhost", 1)
	var made struct {
		Secret string `json:"client_secret"`
	}
	in.decode(&made, "client", "add", "zitadel", "--redirect-uri", origin+"/callback", "--post-logout-redirect-uri", origin+"/bye", "--output", "json")

	ctx := t.Context()
	cookies := httphelper.NewCookieHandler([]byte("only for this test, 32 bytes of."), nil, httphelper.WithUnsecure())
	party, err := rp.NewRelyingPartyOIDC(ctx, in.issuer, "zitadel", made.Secret, origin+"/callback",
		[]string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeOfflineAccess}, rp.WithPKCE(cookies), rp.WithCookieHandler(cookies), rp.WithAuthStyle(oauth2.AuthStyleInHeader))
	if err != nil {
		t.Fatal(err)
	}
	type arrival struct {
		tokens *oidc.Tokens[*oidc.IDTokenClaims]
		info   *oidc.UserInfo
	}
	arrivals := make(chan arrival, 1)
	say := func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><html lang="en"><title>Program</title><link rel="icon" href="data:,"><h1>Program</h1>`)
	}
	mux.HandleFunc("/bye", func(w http.ResponseWriter, _ *http.Request) { say(w) })
	mux.Handle("/login", rp.AuthURLHandler(func() string { return "of the program" }, party))
	mux.Handle("/callback", rp.CodeExchangeHandler(rp.UserinfoCallback(
		func(w http.ResponseWriter, _ *http.Request, tokens *oidc.Tokens[*oidc.IDTokenClaims], _ string, _ rp.RelyingParty, info *oidc.UserInfo) {
			arrivals <- arrival{tokens, info}
			say(w)
		}), party))

	in.sallyport("client", "add", "tv", "--preset", "device", "--config", in.config())
	tv, err := rp.NewRelyingPartyOIDC(ctx, in.issuer, "tv", "", "", []string{oidc.ScopeOpenID, oidc.ScopeProfile})
	if err != nil {
		t.Fatal(err)
	}
	asked, err := rp.DeviceAuthorization(ctx, []string{oidc.ScopeOpenID, oidc.ScopeProfile}, tv, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.open(asked.VerificationURI)
	b.fill("#user_code", asked.UserCode)
	b.press("#continue")
	b.password("sora", "quiet lantern otter")
	b.code(totp(t, key, 1))
	b.mustStep("consent")
	b.press("#allow")
	b.mustText("The device is connected")
	tokens, err := rp.DeviceAccessToken(ctx, asked.DeviceCode, time.Duration(asked.Interval)*time.Second, tv)
	if err != nil {
		t.Fatal(err)
	}
	told, err := rp.VerifyTokens[*oidc.IDTokenClaims](ctx, tokens.AccessToken, tokens.IDToken, tv.IDTokenVerifier())
	if err != nil || told.AuthenticationContextClassReference != "urn:sallyport:acr:2fa" {
		t.Errorf("the device hears of %+v, %v", told, err)
	}

	b.open(origin + "/login") // in the session of that sign-in
	b.mustBeAt(origin + "/callback")
	got := <-arrivals
	claims := got.tokens.IDTokenClaims
	if claims.AuthenticationContextClassReference != "urn:sallyport:acr:2fa" || !slices.Equal(claims.AuthenticationMethodsReferences, []string{"pwd", "otp", "mfa"}) ||
		claims.Subject != told.Subject || got.info.Subject != claims.Subject || got.info.PreferredUsername != "sora" {
		t.Errorf("the program hears of %+v, %+v", claims, got.info)
	}
	fresh, err := rp.RefreshTokens[*oidc.IDTokenClaims](ctx, party, got.tokens.RefreshToken, "", "")
	if err != nil || fresh.AccessToken == got.tokens.AccessToken {
		t.Fatalf("refreshed: the same token, or %v", err)
	}
	if err := rp.RevokeToken(ctx, party, got.tokens.RefreshToken, "refresh_token"); err != nil {
		t.Error(err)
	}
	if _, err := rp.RefreshTokens[*oidc.IDTokenClaims](ctx, party, got.tokens.RefreshToken, "", ""); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("refreshed with a revoked token: %v", err)
	}

	end, err := rp.EndSession(ctx, party, got.tokens.IDToken, origin+"/bye", "gone", "", nil)
	if err != nil || end == nil {
		t.Fatalf("end session: %v, %v", end, err)
	}
	b.open(end.String())
	b.mustBeAt(origin + "/bye")
	b.open(origin + "/login")
	b.mustStep("login")
}

// TestZitadelRPSigns: with a key in the place of a secret. The library puts the audience of
// what it signs into a list, which we refuse (docs/adr/0022-client-assertions.md); it takes
// what the program signs.
func TestZitadelRPSigns(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	in := install(t)
	b := newBrowser(t, "en")
	key := in.setUp(b, "sora")
	dir := t.TempDir()
	in.sallyport("client", "add", "signing", "--jwks", writeKeys(t, dir), "--redirect-uri", in.callback, "--config", in.config())
	private, err := os.ReadFile(filepath.Join(dir, "private.pem"))
	if err != nil {
		t.Fatal(err)
	}

	ctx := t.Context()
	party, err := rp.NewRelyingPartyOIDC(ctx, in.issuer, "signing", "", in.callback, []string{oidc.ScopeOpenID, oidc.ScopeOfflineAccess},
		rp.WithJWTProfile(rp.SignerFromKeyAndKeyID(private, "")), rp.WithAuthStyle(oauth2.AuthStyleInParams))
	if err != nil {
		t.Fatal(err)
	}
	assertion := func() string {
		t.Helper()
		text, err := jwt.Signed(party.Signer()).Claims(jwt.Claims{
			Issuer: "signing", Subject: "signing", Audience: jwt.Audience{in.issuer}, ID: rand.Text(), Expiry: jwt.NewNumericDate(time.Now().Add(time.Minute)),
		}).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	verifier := oauth2.GenerateVerifier()
	b.open(rp.AuthURL("of the program", party, rp.WithCodeChallenge(oauth2.S256ChallengeFromVerifier(verifier))))
	b.password("sora", "quiet lantern otter")
	b.code(totp(t, key, 1))
	b.mustBeAt(in.callback)
	tokens, err := rp.CodeExchange[*oidc.IDTokenClaims](ctx, mustURL(t, b.url()).Query().Get("code"), party, rp.WithCodeVerifier(verifier), rp.WithClientAssertionJWT(assertion()))
	if err != nil {
		t.Fatal(err)
	}
	if got := tokens.IDTokenClaims.AuthenticationContextClassReference; got != "urn:sallyport:acr:2fa" {
		t.Errorf("acr: got %q", got)
	}
	if _, err := rp.RefreshTokens[*oidc.IDTokenClaims](ctx, party, tokens.RefreshToken, "", ""); err == nil || !strings.Contains(err.Error(), "invalid_client") {
		t.Errorf("what the library signs is answered with %v", err)
	}
	fresh, err := rp.RefreshTokens[*oidc.IDTokenClaims](ctx, party, tokens.RefreshToken, assertion(), oidc.ClientAssertionTypeJWTAssertion)
	if err != nil || fresh.AccessToken == tokens.AccessToken {
		t.Errorf("refreshed: the same token, or %v", err)
	}
}

package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/oidc"
)

// addExamples registers the API of examples/, the shop and the program for the
// command line that call it, and writes what they need to know into a file that a
// shell can read.
func (d *devCmd) addExamples(ctx context.Context, a *admin.Admin, info *devInfo) error {
	self := strings.TrimSuffix(d.Shop, "/")
	api := &oidc.Resource{URI: self + "/api/", Name: "Orders", Scopes: []string{"orders:read", "orders:write"}, TokenFormat: oidc.FormatJWT}
	if err := a.AddResource(ctx, api); err != nil {
		return fmt.Errorf("--shop: %w", err)
	}
	shop := admin.Web("shop", "Shop", self+"/callback")
	shop.PostLogoutRedirectURIs, shop.BackchannelLogoutURI = []string{self + "/"}, self+"/backchannel-logout"
	tool := admin.Native("shop-cli", "Shop on the command line", "http://127.0.0.1/callback")
	tool.GrantTypes = append(tool.GrantTypes, oidc.GrantDeviceCode)
	secrets := map[string]string{}
	for _, client := range []*oidc.Client{shop, tool} {
		if err := a.Allow(ctx, client, api.URI); err != nil {
			return err
		}
		secret, err := a.AddClient(ctx, client)
		if err != nil {
			return fmt.Errorf("--shop: %w", err)
		}
		secrets[client.ID] = secret
	}
	cookieKey := make([]byte, 32)
	rand.Read(cookieKey)
	dir, err := filepath.Abs(info.Dir) // it is read in another directory
	if err != nil {
		return err
	}
	info.Examples = filepath.Join(dir, "examples.env")
	return os.WriteFile(info.Examples, fmt.Appendf(nil, `SHOP_ISSUER=%[1]s
SHOP_CLIENT_ID=shop
SHOP_CLIENT_SECRET=%[2]s
SHOP_REDIRECT_URL=%[3]s/callback
SHOP_COOKIE_KEY=%[4]s
CLI_ISSUER=%[1]s
CLI_CLIENT_ID=shop-cli
CLI_RESOURCE=%[5]s
TUTORIAL_ISSUER=%[1]s
TUTORIAL_CLIENT_ID=%[6]s
TUTORIAL_CLIENT_SECRET=%[7]s
TUTORIAL_REDIRECT_URL=%[8]s
TUTORIAL_COOKIE_KEY=%[4]s
`, info.Issuer, secrets["shop"], self, base64.StdEncoding.EncodeToString(cookieKey), api.URI,
		info.Tutorial.ClientID, info.Tutorial.ClientSecret, info.Tutorial.RedirectURI), 0o600)
}

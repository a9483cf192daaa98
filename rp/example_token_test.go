package rp_test

import (
	"context"
	"crypto"
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	"golang.org/x/oauth2"

	"github.com/sallyport-id/sallyport/rp"
)

// A job that is known by its certificate, which is renewed in its files while it runs.
func ExampleConfig_certificate() {
	ctx := context.Background()
	job, err := rp.New(ctx, rp.Config{
		Issuer: "https://id.example.com", ClientID: "nightly", AuthMethod: rp.AuthTLS,
		Certificate: func() (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair("/etc/nightly/tls.crt", "/etc/nightly/tls.key")
			return &pair, err
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	api := job.HTTPClient(job.ClientCredentials(ctx, "https://orders.example.com/", "orders:read"))
	res, err := api.Get("https://orders.example.com/today") // shows the certificate, too
	if err != nil {
		log.Fatal(err)
	}
	res.Body.Close()
}

// An API calls a second one for its caller, with a token of the caller's that is for
// the second alone.
func ExampleClient_Exchange() {
	var orders *rp.Client                              // from rp.New
	_ = func(w http.ResponseWriter, r *http.Request) { // behind rs.Protect
		_, callers, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		token, err := orders.Exchange(r.Context(), rp.ExchangeRequest{
			SubjectToken: callers, Resource: []string{"https://stock.example.com/"}, Scope: []string{"stock:read"},
		})
		if err != nil {
			http.Error(w, "The stock cannot be had just now.", http.StatusBadGateway)
			return
		}
		res, err := orders.HTTPClient(oauth2.StaticTokenSource(token.Token)).Get("https://stock.example.com/items")
		if err != nil {
			http.Error(w, "The stock cannot be had just now.", http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		io.Copy(w, res.Body)
	}
}

// A program asks whether a token is still good, to end its work early.
func ExampleClient_Introspect() {
	var shop *rp.Client // from rp.New
	var token string
	about, err := shop.Introspect(context.Background(), token)
	switch {
	case err != nil:
		log.Print(err) // nobody knows: it may be good
	case !about.Active:
		log.Print("the token is worth nothing any more")
	default:
		log.Print("good until ", about.Expiry, " for ", about.Scope)
	}
}

// A program that each customer installs registers itself once, at the customer's server.
func ExampleRegister() {
	ctx := context.Background()
	var key crypto.Signer // made at the installation
	config := rp.Config{
		Issuer: "https://id.customer.example", PrivateKey: key, KeyID: "1",
		RedirectURL: "https://shop.customer.example/callback", CookieKey: []byte(os.Getenv("COOKIE_KEY")),
	}
	registered, err := rp.Register(ctx, config, map[string]any{"client_name": "Shop"}, os.Getenv("INITIAL_ACCESS_TOKEN"))
	if err != nil {
		log.Fatal(err)
	}
	// Keep these three, as secrets; the next time only config.ClientID is needed.
	_, _, _ = registered.Config.ClientID, registered.URI, registered.AccessToken
	shop, err := rp.New(ctx, registered.Config)
	if err != nil {
		log.Fatal(err)
	}
	log.Print(shop)
}

package rp_test

import (
	"context"
	"crypto/tls"
	"log"

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

package rp_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"strings"

	"github.com/sallyport-id/sallyport/rp"
)

// Several servers, each by its name, and each configured by the environment:
// COMPANY_ISSUER, PARTNER_ISSUER and so on.
func ExampleConfigFromEnv() {
	clients := map[string]*rp.Client{}
	for _, name := range []string{"company", "partner"} {
		config, err := rp.ConfigFromEnv(strings.ToUpper(name) + "_")
		if err != nil {
			log.Fatal(err)
		}
		config.Require = rp.MFA
		if clients[name], err = rp.New(context.Background(), config); err != nil {
			log.Fatal(fmt.Errorf("%s: %w", name, err))
		}
	}
	for name, client := range clients {
		http.HandleFunc("GET /login/"+name, func(w http.ResponseWriter, r *http.Request) { client.Login(w, r) })
		http.HandleFunc("GET /callback/"+name, func(w http.ResponseWriter, r *http.Request) {
			id, err := client.Callback(w, r)
			if err != nil {
				http.Error(w, rp.Reason(err), http.StatusForbidden)
				return
			}
			log.Print("signed in: ", id) // id.Issuer says by whom
		})
	}
}

package rp_test

import (
	"context"
	"log"
	"net/http"

	"github.com/sallyport-id/sallyport/rp"
)

// One server, and configured by the environment.
func ExampleConfigFromEnv() {
	config, err := rp.ConfigFromEnv("SHOP_")
	if err != nil {
		log.Fatal(err)
	}
	config.Require = rp.MFA
	shop, err := rp.New(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) { shop.Login(w, r) })
}

// Several servers, each by its name:
//
//	SHOP_PROVIDERS="company partner"
//	SHOP_COMPANY_ISSUER=https://id.example.com
//	SHOP_COMPANY_REDIRECT_URL=https://shop.example.com/callback/company
//
// and so on. Who has no session chooses one first.
func ExampleRegistry() {
	configs, err := rp.ConfigsFromEnv("SHOP_")
	if err != nil {
		log.Fatal(err)
	}
	providers, err := rp.NewRegistry(context.Background(), configs)
	if err != nil {
		log.Fatal(err)
	}
	signIn := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		choose(w, providers.Names(), r.URL.RequestURI())
	})
	sessions, err := providers.Sessions(rp.SessionConfig{SignIn: signIn})
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("GET /login/{provider}", func(w http.ResponseWriter, r *http.Request) {
		providers.Login(w, r, rp.ReturnTo(r.FormValue("to")))
	})
	http.HandleFunc("GET /callback/{provider}", func(w http.ResponseWriter, r *http.Request) {
		id, err := providers.Callback(w, r)
		if err == nil {
			err = sessions.Begin(w, r, id) // id.Issuer says by whom
		}
		if err != nil {
			http.Error(w, rp.Reason(err), http.StatusForbidden)
			return
		}
		http.Redirect(w, r, id.ReturnTo, http.StatusSeeOther)
	})
	http.Handle("/", sessions.RequireSession(http.NotFoundHandler()))
}

// choose writes a page with a link /login/NAME?to=PATH for each provider.
func choose(w http.ResponseWriter, names []string, path string) {}

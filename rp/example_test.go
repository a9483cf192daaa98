package rp_test

import (
	"context"
	"crypto"
	"errors"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/sallyport-id/sallyport/rp"
)

// An application that lets nobody in without a second factor.
func Example() {
	shop, err := rp.New(context.Background(), rp.Config{
		Issuer: "https://id.example.com", ClientID: "shop", ClientSecret: os.Getenv("CLIENT_SECRET"),
		RedirectURL: "https://shop.example.com/callback", CookieKey: []byte(os.Getenv("COOKIE_KEY")),
		Require: rp.MFA, // ask for a second factor, and refuse a login without one
	})
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		shop.Login(w, r, rp.ReturnTo(r.FormValue("next")))
	})
	http.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		id, err := shop.Callback(w, r) // state, iss, nonce, PKCE, signature, acr, amr, auth_time
		if err != nil {
			log.Print(err)
			http.Error(w, rp.Reason(err), http.StatusForbidden)
			return
		}
		log.Print("signed in: ", id) // start a session for id.Issuer and id.Subject here
		http.Redirect(w, r, id.ReturnTo, http.StatusSeeOther)
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}

// A payment needs a phishing-resistant login of the last five minutes.
func ExampleRequirement() {
	_ = rp.Config{
		// Issuer, ClientID, …
		Require: rp.Requirement{
			ACR:    []string{rp.ACRPHR, rp.ACRPHRH},
			AMR:    []string{"mfa"},
			MaxAge: 5 * time.Minute,
		},
	}
}

// A handler calls an API as who is signed in, with a token that is fresh. Each
// process makes a source for each session; the session's row is the TokenStore.
func ExampleClient_TokenSource() {
	var shop *rp.Client                                      // from rp.New
	var session func(*http.Request) *rp.Identity             // Issuer, Subject, AuthTime
	var row func(*http.Request) rp.TokenStore                // UPDATE … SET tokens = next WHERE id = … AND tokens = old
	var signInAgain func(http.ResponseWriter, *http.Request) // ends the session
	http.HandleFunc("GET /orders", func(w http.ResponseWriter, r *http.Request) {
		api := shop.HTTPClient(shop.TokenSource(r.Context(), session(r), row(r)))
		res, err := api.Get("https://orders.example.com/")
		if errors.Is(err, rp.ErrEnded) {
			signInAgain(w, r)
			return
		}
		if err != nil {
			http.Error(w, "The orders cannot be had just now.", http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		io.Copy(w, res.Body)
	})
}

// A terminal on a server signs its user in elsewhere.
func ExampleClient_Poll() {
	ctx := context.Background()
	tool, err := rp.New(ctx, rp.Config{Issuer: "https://id.example.com", ClientID: "tool", AuthMethod: rp.AuthNone, Require: rp.MFA})
	if err != nil {
		log.Fatal(err)
	}
	device, err := tool.DeviceAuthorization(ctx)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("Go to %s and type %s.", device.VerificationURI, device.UserCode)
	id, err := tool.Poll(ctx, device)
	if err != nil {
		log.Fatal(rp.Reason(err))
	}
	log.Print("signed in: ", id)
}

// A nightly job signs who it is and binds its tokens to a second key.
func ExampleClient_ClientCredentials() {
	ctx := context.Background()
	var signing, proving crypto.Signer // from files, or from hardware
	job, err := rp.New(ctx, rp.Config{Issuer: "https://id.example.com", ClientID: "nightly", PrivateKey: signing, KeyID: "2026", DPoPKey: proving})
	if err != nil {
		log.Fatal(err)
	}
	api := job.HTTPClient(job.ClientCredentials(ctx, "https://orders.example.com/", "orders:read"))
	res, err := api.Get("https://orders.example.com/today")
	if err != nil {
		log.Fatal(err)
	}
	res.Body.Close()
}

package rp_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/sallyport-id/sallyport/rp"
)

// An application with sessions: everybody signs in, a payment needs a second factor
// of the last ten minutes.
func ExampleSessions() {
	shop, err := rp.New(context.Background(), rp.Config{
		Issuer: "https://id.example.com", ClientID: "shop", ClientSecret: os.Getenv("CLIENT_SECRET"),
		RedirectURL: "https://shop.example.com/callback", CookieKey: []byte(os.Getenv("COOKIE_KEY")),
	})
	if err != nil {
		log.Fatal(err)
	}
	sessions, err := shop.Sessions(rp.SessionConfig{})
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		id, err := shop.Callback(w, r)
		if err == nil {
			err = sessions.Begin(w, r, id)
		}
		if err != nil { // do not redirect from here: that would go in circles
			log.Print(err)
			http.Error(w, rp.Reason(err), http.StatusForbidden)
			return
		}
		http.Redirect(w, r, id.ReturnTo, http.StatusSeeOther)
	})

	cart := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello", rp.FromContext(r.Context()).Subject)
	})
	payment := cart // and so on
	recently := rp.MFA
	recently.MaxAge = 10 * time.Minute
	http.Handle("/", sessions.RequireSession(cart))
	http.Handle("/payment", sessions.StepUp(payment, recently))
	http.HandleFunc("/logout", sessions.Logout) // <form method="post" action="/logout">
	log.Fatal(http.ListenAndServe(":8080", nil))
}

// The server tells the application when a session is over, which takes a store.
func ExampleSessions_BackchannelLogout() {
	var shop *rp.Client // as above
	sessions, err := shop.Sessions(rp.SessionConfig{
		Store:       new(rp.MemoryStore), // of one process; else a database
		AfterLogout: "https://shop.example.com/",
	})
	if err != nil {
		log.Fatal(err)
	}
	handler, err := sessions.BackchannelLogout()
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("POST /backchannel-logout", handler)
}

// A page that shows what an API says. Where the API takes a stronger or more recent
// sign-in, the user is asked for it and comes back to the page.
func ExampleSessions_StepUpFor() {
	var shop *rp.Client // as above, with Config.Resource
	sessions, err := shop.Sessions(rp.SessionConfig{Tokens: tokensOf})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("GET /orders", sessions.RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		res, err := sessions.HTTPClient(r.Context()).Get("https://orders.example.com/")
		if sessions.StepUpFor(w, r, err) {
			return
		}
		if err != nil {
			http.Error(w, "The orders are not available.", http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		io.Copy(w, res.Body)
	})))
}

// tokensOf is the row of a database where the tokens of a session are.
func tokensOf(session *rp.Session) rp.TokenStore { return &row{} }

// Command shop is a small shop, made with net/http: a page that asks who is there, a
// page that wants a second factor of the last minutes, an API that is called for the
// user, and signing out, here and at the server.
//
// The settings are those of rp.ConfigFromEnv with the prefix SHOP_; SHOP_LISTEN is the
// address, localhost:8080 if not said.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/examples/orders"
	"github.com/sallyport-id/sallyport/examples/pages"
	"github.com/sallyport-id/sallyport/examples/tokens"
	"github.com/sallyport-id/sallyport/rp"
)

func main() {
	config, err := rp.ConfigFromEnv("SHOP_")
	if err != nil {
		log.Fatal(err)
	}
	handler, err := newShop(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: cmp.Or(os.Getenv("SHOP_LISTEN"), "localhost:8080"), Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Print("the shop is at ", strings.TrimSuffix(config.RedirectURL, "callback"))
	log.Fatal(server.ListenAndServe())
}

type shop struct {
	login    *rp.Client
	sessions *rp.Sessions
	api      string
}

func newShop(ctx context.Context, config rp.Config) (http.Handler, error) {
	self := strings.TrimSuffix(config.RedirectURL, "/callback")
	config.Require = rp.MFA // ask for a second factor, and refuse a login without one
	config.Scopes = []string{"openid", "profile", "orders:read", "orders:write"}
	config.Resource = self + "/api/" // the access token is for the API
	config.UserInfo = true           // the name, too
	config.ErrorPage = pages.Problem
	login, err := rp.New(ctx, config)
	if err != nil {
		return nil, err
	}
	// A store, so that the server can end sessions; with several processes, a database.
	sessions, err := login.Sessions(rp.SessionConfig{Store: new(rp.MemoryStore), Tokens: new(tokens.Tokens).Of, AfterLogout: self + "/"})
	if err != nil {
		return nil, err
	}
	ended, err := sessions.BackchannelLogout()
	if err != nil {
		return nil, err
	}
	api, err := orders.New(ctx, config.Issuer, config.Resource) // elsewhere, in real life
	if err != nil {
		return nil, err
	}
	s := &shop{login: login, sessions: sessions, api: config.Resource}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("GET /callback", s.callback)
	mux.HandleFunc("POST /logout", sessions.Logout)
	mux.Handle("POST /backchannel-logout", ended)
	mux.Handle("GET /orders", sessions.RequireSession(http.HandlerFunc(s.orders)))
	mux.Handle("GET /orders/{id}/refund", sessions.RequireFresh(http.HandlerFunc(s.askRefund), 5*time.Minute))
	mux.Handle("POST /orders/{id}/refund", sessions.RequireFresh(http.HandlerFunc(s.refund), 10*time.Minute)) // who read for a while
	mux.Handle("/api/", api)
	mux.Handle("/.well-known/", api)
	return http.NewCrossOriginProtection().Handler(mux), nil // no forms of other sites
}

func (s *shop) home(w http.ResponseWriter, r *http.Request) { pages.Show(w, r, pages.Page{}) }

// callback finishes a login that RequireSession or RequireFresh began.
func (s *shop) callback(w http.ResponseWriter, r *http.Request) {
	id, err := s.login.Callback(w, r) // state, iss, nonce, PKCE, signature, acr, amr, auth_time
	if err == nil {
		err = s.sessions.Begin(w, r, id)
	}
	if err != nil { // no second factor, no session
		log.Print(err)
		pages.Problem(w, r, err)
		return
	}
	http.Redirect(w, r, id.ReturnTo, http.StatusSeeOther) // the code does not stay in the address bar
}

func (s *shop) orders(w http.ResponseWriter, r *http.Request) {
	var list []orders.Order
	if err := s.call(r, http.MethodGet, "orders", &list); err != nil {
		s.problem(w, r, err)
		return
	}
	pages.Show(w, r, pages.Page{Session: rp.FromContext(r.Context()), Orders: list})
}

func (s *shop) askRefund(w http.ResponseWriter, r *http.Request) {
	pages.Show(w, r, pages.Page{Refund: r.PathValue("id")})
}

func (s *shop) refund(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if strings.Trim(id, "0123456789") != "" { // dots lead elsewhere at the API
		http.NotFound(w, r)
		return
	}
	var order orders.Order
	if err := s.call(r, http.MethodPost, "orders/"+id+"/refund", &order); err != nil {
		s.problem(w, r, err)
		return
	}
	pages.Show(w, r, pages.Page{Refunded: &order})
}

// call asks the API as who is signed in, with a token that never leaves this process.
func (s *shop) call(r *http.Request, method, path string, into any) error {
	req, err := http.NewRequestWithContext(r.Context(), method, s.api+path, nil)
	if err != nil {
		return err
	}
	res, err := s.sessions.HTTPClient(r.Context()).Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: the API answers %s", method, path, res.Status)
	}
	return json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(into)
}

// problem says that something is not as it should be. Who sees a page signs in again,
// where the API takes a better or newer sign-in (RFC 9470), or the tokens have ended.
func (s *shop) problem(w http.ResponseWriter, r *http.Request, err error) {
	if s.sessions.StepUpFor(w, r, err) {
		return
	}
	if errors.Is(err, rp.ErrEnded) && r.Method == http.MethodGet {
		s.login.Login(w, r, rp.ReturnTo(r.URL.RequestURI()))
		return
	}
	log.Print(err)
	pages.Problem(w, r, err)
}

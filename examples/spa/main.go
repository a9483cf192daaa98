// Command spa is a single-page application with its backend (backend for frontend):
// the page is static, its script asks this program, and this program has the session
// and calls the API. No token is ever in the browser, where any script could take it.
//
// The settings are those of rp.ConfigFromEnv with the prefix SHOP_; SHOP_LISTEN is the
// address, localhost:8080 if not said.
package main

import (
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/examples/orders"
	"github.com/sallyport-id/sallyport/examples/tokens"
	"github.com/sallyport-id/sallyport/rp"
)

//go:embed static
var static embed.FS

func main() {
	config, err := rp.ConfigFromEnv("SHOP_")
	if err != nil {
		log.Fatal(err)
	}
	handler, err := newApp(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: cmp.Or(os.Getenv("SHOP_LISTEN"), "localhost:8080"), Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Print("the application is at ", strings.TrimSuffix(config.RedirectURL, "callback"))
	log.Fatal(server.ListenAndServe())
}

type app struct {
	login    *rp.Client
	sessions *rp.Sessions
	api      *url.URL
}

func newApp(ctx context.Context, config rp.Config) (http.Handler, error) {
	self := strings.TrimSuffix(config.RedirectURL, "/callback")
	config.Require = rp.MFA // ask for a second factor, and refuse a login without one
	config.Scopes = []string{"openid", "profile", "orders:read", "orders:write"}
	config.Resource = self + "/api/" // the access token is for the API
	config.UserInfo = true           // the name, too
	login, err := rp.New(ctx, config)
	if err != nil {
		return nil, err
	}
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
	a := &app{login: login, sessions: sessions}
	if a.api, err = url.Parse(config.Resource); err != nil {
		return nil, err
	}
	files, err := fs.Sub(static, "static")
	if err != nil {
		return nil, err
	}

	mux := http.NewServeMux()
	mux.Handle("/", policed(config.Issuer, http.FileServerFS(files)))
	// Where the page sends people.
	mux.Handle("GET /login", sessions.RequireSession(http.RedirectHandler("/", http.StatusSeeOther)))
	mux.Handle("GET /fresh", sessions.RequireFresh(http.HandlerFunc(a.fresh), 5*time.Minute))
	mux.HandleFunc("GET /callback", a.callback)
	mux.HandleFunc("POST /logout", sessions.Logout)
	mux.Handle("POST /backchannel-logout", ended)
	// What its script asks for: these, and nothing else that the API might have.
	mux.Handle("GET /my/session", sessions.RequireSession(http.HandlerFunc(a.session)))
	for _, route := range []string{"GET /my/orders", "POST /my/orders/{id}/refund"} {
		mux.Handle(route, sessions.RequireSession(http.StripPrefix("/my/", http.HandlerFunc(a.proxy))))
	}
	mux.Handle("/api/", api)
	return http.NewCrossOriginProtection().Handler(mux), nil // no requests of other sites
}

// policed lets the page use its own files and this program, and nothing else. Forms,
// of which there is one to sign out, lead to the server and back.
func policed(issuer string, h http.Handler) http.Handler {
	policy := "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
		"form-action 'self' " + issuer + "; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		h.ServeHTTP(w, r)
	})
}

// callback finishes a login. The page says why there is none.
func (a *app) callback(w http.ResponseWriter, r *http.Request) {
	id, err := a.login.Callback(w, r) // state, iss, nonce, PKCE, signature, acr, amr, auth_time
	if err == nil {
		err = a.sessions.Begin(w, r, id)
	}
	if err != nil { // no second factor, no session
		log.Print(err)
		http.Redirect(w, r, "/#"+rp.ReasonCode(err), http.StatusSeeOther)
		return
	}
	http.Redirect(w, r, id.ReturnTo, http.StatusSeeOther)
}

// fresh is where the page sends who has to prove more for an order, and who comes back
// to it then.
func (a *app) fresh(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/#order-"+url.QueryEscape(r.FormValue("order")), http.StatusSeeOther)
}

func (a *app) session(w http.ResponseWriter, r *http.Request) {
	s := rp.FromContext(r.Context())
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"name": cmp.Or(s.Name, s.Subject), "acr": s.ACR, "amr": s.AMR})
}

// proxy asks the API for the page's script: with the user's token, and with nothing
// that the browser sent but the body.
func (a *app) proxy(w http.ResponseWriter, r *http.Request) {
	if strings.Trim(r.PathValue("id"), "0123456789") != "" { // dots lead elsewhere
		http.NotFound(w, r)
		return
	}
	proxy := httputil.ReverseProxy{
		Transport: a.sessions.HTTPClient(r.Context()).Transport,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL, p.Out.Host = a.api.JoinPath(p.In.URL.EscapedPath()), ""
			p.Out.Header = http.Header{"Accept": {"application/json"}, "Content-Type": p.In.Header["Content-Type"]}
		},
		ModifyResponse: func(res *http.Response) error { // it is data, whatever the API says
			res.Header.Del("Set-Cookie")
			res.Header.Set("X-Content-Type-Options", "nosniff")
			res.Header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			switch {
			case a.sessions.StepUpFor(w, r, err): // 401, and what the session lacks for the API (RFC 9470)
			case errors.Is(err, rp.ErrEnded): // as RequireSession says it
				w.Header().Set("WWW-Authenticate", `Session error="no_session"`)
				w.WriteHeader(http.StatusUnauthorized)
			default:
				log.Print(err)
				w.WriteHeader(http.StatusBadGateway)
			}
		},
	}
	proxy.ServeHTTP(w, r)
}

package main

import (
	"context"
	"crypto/rand"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/sallyport-id/sallyport/rp"
)

// newDemo is an application that signs people in with Sallyport and insists on
// a second factor. It is what a program of your own would look like.
func newDemo(ctx context.Context, issuer, clientID, secret, self string) (http.Handler, error) {
	cookieKey := make([]byte, 32)
	rand.Read(cookieKey)
	login, err := rp.New(ctx, rp.Config{
		Issuer: issuer, ClientID: clientID, ClientSecret: secret,
		RedirectURL: self + "/callback", CookieKey: cookieKey,
		UserInfo: true,   // the name is there
		Require:  rp.MFA, // ask for a second factor, and refuse a login without one
	})
	if err != nil {
		return nil, err
	}
	var sessions sync.Map // cookie value → *rp.Identity
	mux := http.NewServeMux()

	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		login.Login(w, r)
	})

	session := func(r *http.Request) *rp.Identity {
		c, err := r.Cookie("demo")
		if err != nil {
			return nil
		}
		id, _ := sessions.Load(c.Value)
		identity, _ := id.(*rp.Identity)
		return identity
	}

	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		if id := session(r); id != nil && r.URL.RawQuery == "" {
			show(w, r, http.StatusOK, demoPage{Identity: id})
			return
		}
		id, err := login.Callback(w, r)
		if err != nil { // no second factor, no session
			show(w, r, http.StatusForbidden, demoPage{Problem: err})
			return
		}
		value := rand.Text()
		sessions.Store(value, id)
		http.SetCookie(w, &http.Cookie{Name: "demo", Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		http.Redirect(w, r, "/callback", http.StatusSeeOther) // the code does not stay in the address bar
	})

	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		show(w, r, http.StatusOK, demoPage{Home: true, Identity: session(r)})
	})

	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		end := url.Values{"post_logout_redirect_uri": {self + "/"}, "client_id": {clientID}}
		if c, err := r.Cookie("demo"); err == nil {
			if id, ok := sessions.LoadAndDelete(c.Value); ok {
				end.Set("id_token_hint", id.(*rp.Identity).IDToken)
			}
		}
		http.SetCookie(w, &http.Cookie{Name: "demo", Path: "/", MaxAge: -1})
		http.Redirect(w, r, issuer+"/end_session?"+end.Encode(), http.StatusSeeOther)
	})

	return http.NewCrossOriginProtection().Handler(mux), nil
}

// demoPage is one page of the demo application.
type demoPage struct {
	Korean, Home bool
	Identity     *rp.Identity
	Problem      error
}

// Reason says why nobody was signed in.
func (p demoPage) Reason() string {
	if korean := koreanReasons[rp.ReasonCode(p.Problem)]; p.Korean && korean != "" {
		return korean
	}
	return rp.Reason(p.Problem)
}

func show(w http.ResponseWriter, r *http.Request, status int, p demoPage) {
	p.Korean = strings.HasPrefix(strings.ToLower(r.Header.Get("Accept-Language")), "ko")
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:")
	w.WriteHeader(status)
	_ = demoTemplate.Execute(w, p)
}

var demoTemplate = template.Must(template.New("demo").Parse(demoHTML))

package main

import (
	"context"
	"crypto/rand"
	"html/template"
	"net/http"
	"strings"

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
	// Kept here and not in the cookie, so that the server can end them.
	sessions, err := login.Sessions(rp.SessionConfig{Store: new(rp.MemoryStore), AfterLogout: self + "/"})
	if err != nil {
		return nil, err
	}
	ended, err := sessions.BackchannelLogout()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()

	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		login.Login(w, r, rp.ReturnTo("/callback"))
	})

	mux.Handle("GET /callback", sessions.WithSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if session := rp.FromContext(r.Context()); session != nil && r.URL.RawQuery == "" {
			show(w, r, http.StatusOK, demoPage{Session: session})
			return
		}
		id, err := login.Callback(w, r)
		if err == nil {
			err = sessions.Begin(w, r, id)
		}
		if err != nil { // no second factor, no session
			show(w, r, http.StatusForbidden, demoPage{Problem: err})
			return
		}
		http.Redirect(w, r, id.ReturnTo, http.StatusSeeOther) // the code does not stay in the address bar
	})))

	mux.Handle("GET /{$}", sessions.WithSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		show(w, r, http.StatusOK, demoPage{Home: true, Session: rp.FromContext(r.Context())})
	})))

	mux.HandleFunc("POST /logout", sessions.Logout)
	mux.Handle("POST /backchannel-logout", ended)

	return http.NewCrossOriginProtection().Handler(mux), nil
}

// demoPage is one page of the demo application.
type demoPage struct {
	Korean, Home bool
	Session      *rp.Session
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

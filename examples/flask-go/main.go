// Command flask-go is ../flask/app.py in Go: the same three routes and the same texts,
// and a difference. The Python program believes that a second factor happened if an
// access token comes back; this one asks for the factor, and looks.
//
// The settings are those of rp.ConfigFromEnv with the prefix TUTORIAL_.
package main

import (
	"cmp"
	"context"
	"fmt"
	"html"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/rp"
)

const (
	done   = "2FA 인증이 완료되었습니다."
	failed = "2FA 인증이 실패하였습니다."
)

func main() {
	config, err := rp.ConfigFromEnv("TUTORIAL_")
	if err != nil {
		log.Fatal(err)
	}
	handler, err := newApp(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: cmp.Or(os.Getenv("TUTORIAL_LISTEN"), "localhost:8000"), Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Print("the program is at ", strings.TrimSuffix(config.RedirectURL, "callback"))
	log.Fatal(server.ListenAndServe())
}

func newApp(ctx context.Context, config rp.Config) (http.Handler, error) {
	config.Require = rp.MFA // ask for a second factor, and refuse a login without one
	client, err := rp.New(ctx, config)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		page(w, http.StatusOK, "Go + rp", `<a href="/login" id="login">로그인</a>`)
	})
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		client.Login(w, r)
	})
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		id, err := client.Callback(w, r) // state, iss, nonce, PKCE, signature, acr, amr, auth_time
		if err != nil {
			log.Print(err)
			page(w, http.StatusForbidden, failed, html.EscapeString(rp.Reason(err)))
			return
		}
		page(w, http.StatusOK, done, html.EscapeString(fmt.Sprintf("acr: %s, amr: %s", id.ACR, strings.Join(id.AMR, " "))))
	})
	return mux, nil
}

func page(w http.ResponseWriter, status int, sentence, detail string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprint(w, `<!doctype html><html lang=ko><meta charset=utf-8>`,
		`<meta name=viewport content="width=device-width,initial-scale=1"><meta name=color-scheme content="light dark">`,
		`<link rel=icon href="data:,"><title>2FA</title>`,
		"<h1>", sentence, "</h1><p>", detail, "</p>")
}

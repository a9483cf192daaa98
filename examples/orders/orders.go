// Package orders is an API of its own, a resource server: it knows nothing of
// sessions and pages, and takes access tokens from whoever has them.
package orders

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/sallyport-id/sallyport/rs"
)

// Order is something that was bought.
type Order struct {
	ID    string `json:"id"`
	What  string `json:"what"`
	Price int    `json:"price"` // won
}

// Me is what the API knows of who asks.
type Me struct {
	Subject  string   `json:"sub"`
	Scope    []string `json:"scope"`
	ACR      string   `json:"acr"`
	AMR      []string `json:"amr"`
	AuthTime int64    `json:"auth_time"` // Unix seconds
}

var all = []Order{{"1001", "Lantern", 32000}, {"1002", "Rope", 9000}}

// New makes the API. resource is its URL, under which it is registered with the
// server with the scopes orders:read and orders:write, and with JWTs:
//
//	sallyport api add https://shop.example.com/api/ --scope orders:read --scope orders:write --format jwt
func New(ctx context.Context, issuer, resource string) (http.Handler, error) {
	u, err := url.Parse(resource)
	if err != nil {
		return nil, err
	}
	api, err := rs.New(ctx, rs.Config{Issuer: issuer, Resource: resource, Scopes: []string{"orders:read", "orders:write"}})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+u.Path+"me", api.Protect(http.HandlerFunc(me)))
	mux.Handle("GET "+u.Path+"orders", api.Protect(http.HandlerFunc(list), rs.Scope("orders:read")))
	// Money goes out: two factors, and no longer than ten minutes ago. Whoever has less
	// is told what to ask for (RFC 9470).
	mux.Handle("POST "+u.Path+"orders/{id}/refund", api.Protect(http.HandlerFunc(refund),
		rs.Scope("orders:write"), rs.ACR(rs.ACR2FA, 10*time.Minute)))
	mux.Handle(api.Metadata())
	return mux, nil
}

func me(w http.ResponseWriter, r *http.Request) {
	token := rs.FromContext(r.Context())
	m := Me{Subject: token.Subject, Scope: token.Scope, ACR: token.ACR, AMR: token.AMR}
	if !token.AuthTime.IsZero() {
		m.AuthTime = token.AuthTime.Unix()
	}
	answer(w, http.StatusOK, m)
}

func list(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, all) }

func refund(w http.ResponseWriter, r *http.Request) {
	for _, order := range all {
		if order.ID == r.PathValue("id") {
			answer(w, http.StatusOK, order) // and pay
			return
		}
	}
	answer(w, http.StatusNotFound, map[string]string{"error": "no such order"})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

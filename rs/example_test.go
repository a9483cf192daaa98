package rs_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rs"
	"github.com/sallyport-id/sallyport/rs/rstest"
)

// An API that lets nobody refund an order without a second factor of the last ten
// minutes.
func Example() {
	api, err := rs.New(context.Background(), rs.Config{
		Issuer: "https://id.example.com", Resource: "https://orders.example.com/",
		ClientID: "orders-api", ClientSecret: os.Getenv("CLIENT_SECRET"), // for tokens that are no JWTs
	})
	if err != nil {
		log.Fatal(err)
	}
	list := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "the orders of", rs.FromContext(r.Context()).Subject)
	})
	refund := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})
	http.Handle("GET /orders", api.Protect(list, rs.Scope("orders:read")))
	http.Handle("POST /refunds", api.Protect(refund, rs.Scope("orders:write"), rs.ACR(rs.ACR2FA, 10*time.Minute)))
	http.Handle(api.Metadata())
	log.Fatal(http.ListenAndServe(":8080", nil))
}

// A token of this morning does for reading. For a refund the application is told
// what to ask its user for.
func ExampleServer_Protect() {
	t := new(testing.T) // in a test it is there
	server := rstest.NewIssuer(t)
	api, err := rs.New(context.Background(), server.Config("https://orders.example.com/"))
	if err != nil {
		log.Fatal(err)
	}
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello, ", rs.FromContext(r.Context()).Subject)
	})
	claims := server.Claims("https://orders.example.com/", "orders:read orders:write")
	claims["auth_time"] = server.Now().Add(-4 * time.Hour).Unix()
	request := httptest.NewRequest("GET", "/", nil)
	request.Header.Set("Authorization", "Bearer "+server.JWT(claims))

	for _, handler := range []http.Handler{
		api.Protect(hello, rs.Scope("orders:read")),
		api.Protect(hello, rs.Scope("orders:write"), rs.ACR(rs.ACR2FA, 10*time.Minute)),
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, request)
		fmt.Println(w.Code, w.Body.String())
		for param := range strings.SplitSeq(w.Header().Get("WWW-Authenticate"), ", ") {
			fmt.Println(param)
		}
	}
	// Output:
	// 200 hello, 248289761001
	//
	// 401 {"error":"insufficient_user_authentication","error_description":"this takes a more recent sign-in"}
	//
	// Bearer error="insufficient_user_authentication"
	// error_description="this takes a more recent sign-in"
	// acr_values="urn:sallyport:acr:2fa"
	// max_age="600"
	// resource_metadata="https://orders.example.com/.well-known/oauth-protected-resource"
}

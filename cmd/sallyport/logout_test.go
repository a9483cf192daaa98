package main

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptApplication starts an application at $APPLICATION that takes every logout
// token. Its page /last has the claims of the last one.
func scriptApplication(ts *testscript.TestScript, _ bool, _ []string) {
	var mu sync.Mutex
	var last []byte
	mux := http.NewServeMux()
	mux.HandleFunc("POST /backchannel", func(w http.ResponseWriter, r *http.Request) {
		parts := strings.Split(r.PostFormValue("logout_token"), ".")
		if len(parts) != 3 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		last, _ = base64.RawURLEncoding.DecodeString(parts[1])
	})
	mux.HandleFunc("GET /last", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Write(last)
	})
	server := httptest.NewServer(mux)
	ts.Defer(server.Close)
	ts.Setenv("APPLICATION", server.URL)
}

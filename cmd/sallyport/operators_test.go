package main

import (
	"io"
	"net/http"
	"testing"
)

// TestProfilesArePrivate: the private listener has them, and under none of their
// names does the public one.
func TestProfilesArePrivate(t *testing.T) {
	t.Parallel()
	s, _ := installed(t)
	serving(t, s, io.Discard)
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/symbol", "/debug/pprof/heap", "/debug/pprof/goroutine?debug=2",
		"/debug/pprof/profile?seconds=1", "/debug/pprof/trace?seconds=0.01", "/metrics"} {
		for base, want := range map[string]int{"http://" + s.PrivateListen: http.StatusOK, s.Issuer: http.StatusNotFound} {
			resp, err := http.Get(base + path)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s: got %d, want %d", base+path, resp.StatusCode, want)
			}
		}
	}
}

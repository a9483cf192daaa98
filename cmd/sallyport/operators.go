package main

import (
	"net/http"
	"net/http/pprof"
)

// forOperators answers on the private listener: the health of the process, what it
// does, and what it spends its time and memory on. The profiles are added by name:
// their package adds itself to the default mux, which nothing here serves.
func (r *running) forOperators() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", r.health())
	mux.Handle("GET /metrics", r.metrics)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

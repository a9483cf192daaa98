package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/sallyport-id/sallyport"
)

// health answers on the private listener: /livez says whether the process is to
// be left alone, /readyz whether it is to be sent requests.
func (r *running) health() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		answerHealth(w, r.problem())
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, req *http.Request) {
		ctx, cancel := context.WithTimeout(req.Context(), 2*time.Second)
		defer cancel()
		problem := r.problem()
		switch {
		case problem != "":
		case r.draining.Load():
			problem = "draining"
		default:
			if err := r.readyWithin(ctx); err != nil {
				r.log.Error("not ready", "error", err)
				problem = notReady(err)
			}
		}
		answerHealth(w, problem)
	})
	return mux
}

// readyWithin does not wait longer than ctx lives, whatever the database does.
func (r *running) readyWithin(ctx context.Context) error {
	answer := make(chan error, 1)
	go func() { answer <- r.ready(ctx) }()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// notReady says no more than what to look at; the log has the rest.
func notReady(err error) string {
	switch {
	case errors.Is(err, sallyport.ErrClock):
		return "the clock is not the database's"
	case errors.Is(err, sallyport.ErrSigningKeys):
		return "the signing keys cannot be read"
	case errors.Is(err, sallyport.ErrPolicy):
		return "the rules of the policy cannot be read"
	}
	return "the database does not answer"
}

// problem is why the process must be replaced, "" if it need not.
func (r *running) problem() string {
	select {
	case <-r.failed:
		return "the store has failed"
	default:
		return ""
	}
}

func answerHealth(w http.ResponseWriter, problem string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if problem != "" {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, problem+"\n")
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

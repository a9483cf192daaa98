package web

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

const (
	// mostAtOnce is how many requests are worked on at once: more than wait for
	// their hash at most, so that others have room beside a flood of sign-ins.
	mostAtOnce = 512
	// patience is how long a request waits for its turn and for the database: less
	// than a server waits for the answer to be taken.
	patience = 10 * time.Second
)

// inTurn lets a request wait until it can be worked on. To begin all that come at
// once would take the memory of all and make none faster. Its body is read before,
// so that a slow peer is in nobody's way.
func (s *server) inTurn(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := holdBody(w, r); errors.Is(err, os.ErrDeadlineExceeded) {
			return shown(http.StatusRequestTimeout, "invalid_request", "the body did not arrive in time")
		}
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		select {
		case s.turns <- struct{}{}:
			defer func() { <-s.turns }()
			return h(w, r.WithContext(ctx))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// holdBody reads the body, at most as much as any form may have. Whoever reads it
// then gets the same error.
func holdBody(w http.ResponseWriter, r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	held, err := io.ReadAll(http.MaxBytesReader(w, r.Body, largestForm))
	r.Body = &heldBody{bytes.NewReader(held), err}
	return err
}

// heldBody is what was read of a body, and how that ended.
type heldBody struct {
	held *bytes.Reader
	err  error // nil: it was read to its end
}

// Read implements io.Reader.
func (b *heldBody) Read(p []byte) (int, error) {
	n, err := b.held.Read(p)
	if err == io.EOF && b.err != nil {
		err = b.err
	}
	return n, err
}

// Close implements io.Closer.
func (b *heldBody) Close() error { return nil }

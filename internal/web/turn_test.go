package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
)

// TestRule21TurnsAreBounded: whoever comes while all are worked on waits, though not
// for ever, and nobody's turn is lost.
func TestRule21TurnsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{turns: make(chan struct{}, 1)}
		began, release := 0, make(chan struct{})
		handle := s.inTurn(func(http.ResponseWriter, *http.Request) error {
			began++
			<-release
			return nil
		})
		send := func() <-chan error {
			answer := make(chan error, 1)
			go func() { answer <- handle(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)) }()
			synctest.Wait()
			return answer
		}
		first, second := send(), send()
		if err := <-second; !errors.Is(err, context.DeadlineExceeded) || began != 1 {
			t.Errorf("who waited in vain: got %v and %d begun, want %v and 1", err, began, context.DeadlineExceeded)
		}
		third := send()
		close(release)
		if err := errors.Join(<-first, <-third); err != nil || began != 2 {
			t.Errorf("got %v and %d begun, want both", err, began)
		}
	})
}

// TestRule21SlowBodyTakesNoTurn.
func TestRule21SlowBodyTakesNoTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{turns: make(chan struct{}, 1)}
		body, slowly := io.Pipe()
		got := make(chan string, 1)
		handle := s.inTurn(func(_ http.ResponseWriter, r *http.Request) error {
			text, err := io.ReadAll(r.Body)
			got <- string(text)
			return err
		})
		go func() { _ = handle(httptest.NewRecorder(), httptest.NewRequest("POST", "/", body)) }()
		synctest.Wait()
		if n := len(s.turns); n != 0 {
			t.Errorf("got %d turns taken, want none", n)
		}
		_, _ = io.WriteString(slowly, "whole")
		_ = slowly.Close()
		if text := <-got; text != "whole" {
			t.Errorf("got %q, want the whole body", text)
		}
	})
}

// TestHeldBodyKeepsItsError: what is too large is known to be so afterwards.
func TestHeldBodyKeepsItsError(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("x", largestForm+1)))
	want := holdBody(httptest.NewRecorder(), r)
	text, err := io.ReadAll(r.Body)
	if tooLarge := (*http.MaxBytesError)(nil); !errors.As(err, &tooLarge) || err != want || len(text) != largestForm {
		t.Errorf("got %d bytes and %v, want %d and %v", len(text), err, largestForm, want)
	}
}

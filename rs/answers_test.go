package rs

import (
	"context"
	"crypto/sha256"
	"errors"
	"strconv"
	"testing"
	"time"
)

// TestAnswersAreBounded: tokens that are made up neither fill the memory nor push
// out those that are good.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	asked := 0
	good := verdict{token: &Token{Expiry: now.Add(time.Hour)}}
	worth := good
	a := newAnswers(func() time.Time { return now }, longestCache)
	get := func(token string) {
		t.Helper()
		_, err := a.get(t.Context(), token, func(context.Context, string) (verdict, error) {
			asked++
			return worth, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	get("good")
	worth = verdict{refused: invalid("no")}
	for i := range 2 * mostAnswers {
		get(strconv.Itoa(i))
	}
	if len(a.known) != mostAnswers {
		t.Errorf("%d are remembered, want %d", len(a.known), mostAnswers)
	}
	before := asked
	get("good")
	if asked != before {
		t.Error("a good token was pushed out")
	}
	worth = good
	get("another")
	if before = asked; len(a.known) != mostAnswers {
		t.Errorf("%d are remembered, want %d", len(a.known), mostAnswers)
	}
	get("another")
	if asked != before {
		t.Error("there was no room for another good token")
	}
	now = now.Add(longestCache)
	get("later")
	if len(a.known) != 1 {
		t.Errorf("%d are remembered after all ended", len(a.known))
	}
}

// TestLeavingTakesNothingFromTheOthers: the request that asked may go away; those
// that wait for the answer get it.
func TestLeavingTakesNothingFromTheOthers(t *testing.T) {
	t.Parallel()
	a := newAnswers(time.Now, longestCache)
	asking, release := make(chan struct{}), make(chan struct{})
	ask := func(ctx context.Context, _ string) (verdict, error) {
		close(asking)
		<-release
		return verdict{token: &Token{}}, ctx.Err()
	}
	gone, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := a.get(gone, "token", ask)
		left <- err
	}()
	<-asking
	a.mu.Lock()
	others := a.flights[sha256.Sum256([]byte("token"))]
	a.mu.Unlock()
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	close(release)
	if <-others.done; others.err != nil {
		t.Errorf("the others got %v", others.err)
	}
}

// TestQuestionsAreBounded: who comes when too many wait is sent away, and not
// refused.
func TestQuestionsAreBounded(t *testing.T) {
	t.Parallel()
	a := newAnswers(time.Now, longestCache)
	for i := range mostFlights {
		a.flights[name(i)] = &flight{done: make(chan struct{})}
	}
	if _, err := a.get(t.Context(), "one more", nil); err == nil {
		t.Error("one more was asked")
	}
}

// TestAnswerIsAsOldAsItsQuestion: a server that takes long does not prolong what it
// said.
func TestAnswerIsAsOldAsItsQuestion(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	asked := 0
	a := newAnswers(func() time.Time { return now }, longestCache)
	for range 2 {
		_, err := a.get(t.Context(), "token", func(context.Context, string) (verdict, error) {
			asked++
			now = now.Add(longestCache)
			return verdict{token: &Token{Expiry: now.Add(time.Hour)}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times, want twice", asked)
	}
}

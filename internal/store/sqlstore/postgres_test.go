package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// TestMigrateFour: of four processes that start at once one makes the tables, and
// the others wait for it.
func TestMigrateFour(t *testing.T) {
	t.Parallel()
	c := postgresConfig(t)
	var done sync.WaitGroup
	var stores [4]*Store
	var errs [4]error
	for i := range errs {
		done.Go(func() { stores[i], errs[i] = Open(t.Context(), c) })
	}
	done.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("process %d: %v", i, err)
		}
		if err := errors.Join(stores[i].SetMeta(t.Context(), fmt.Sprint(i), "v"), stores[i].Close()); err != nil {
			t.Errorf("process %d: %v", i, err)
		}
	}
}

// meet is a verb of two writes, the second of which waits for whoever else is
// between the two: in opposite orders they are a deadlock, once.
func meet(first, second string, both *sync.WaitGroup, runs *atomic.Int64) step {
	var once sync.Once
	set := func(name string) step {
		return exec(`UPDATE meta SET value = value || '+' WHERE name = $1`, name)
	}
	return all(set(first), func(*tx) error {
		runs.Add(1)
		once.Do(func() { both.Done(); both.Wait() })
		return nil
	}, set(second))
}

// TestDeadlockRunsAgain: the verb that the server takes back runs again, and
// what it wrote is there once.
func TestDeadlockRunsAgain(t *testing.T) {
	t.Parallel()
	s := openStore(t, postgresConfig(t))
	for _, name := range []string{"a", "b"} {
		if err := s.SetMeta(t.Context(), name, ""); err != nil {
			t.Fatal(err)
		}
	}
	var both, done sync.WaitGroup
	var runs atomic.Int64
	both.Add(2)
	var errs [2]error
	done.Go(func() { errs[0] = s.update(t.Context(), meet("a", "b", &both, &runs)) })
	done.Go(func() { errs[1] = s.update(t.Context(), meet("b", "a", &both, &runs)) })
	done.Wait()
	if errs[0] != nil || errs[1] != nil || runs.Load() != 3 {
		t.Errorf("got %v, %v after %d runs, want success of both after 3", errs[0], errs[1], runs.Load())
	}
	for _, name := range []string{"a", "b"} {
		if value, err := s.Meta(t.Context(), name); value != "++" || err != nil {
			t.Errorf("%s: got %q, %v, want ++", name, value, err)
		}
	}
}

// TestLostConnectionRunsOnce: whether it was committed is not known then, so the
// verb fails; the next one has another connection.
func TestLostConnectionRunsOnce(t *testing.T) {
	t.Parallel()
	s := openStore(t, postgresConfig(t))
	runs := 0
	err := s.update(t.Context(), set(1), func(t *tx) error {
		runs++
		_, _ = t.count(`SELECT pg_terminate_backend(pg_backend_pid())`)
		return nil // a verb that hides it
	})
	if err == nil || runs != 1 {
		t.Errorf("got %v after %d runs, want an error after 1", err, runs)
	}
	if value, err := s.Meta(t.Context(), "n1"); value != "" || err != nil {
		t.Errorf("its row: got %q, %v, want none", value, err)
	}
	if err := s.update(t.Context(), set(1)); err != nil {
		t.Errorf("the next verb: %v", err)
	}
	_ = s.Close()
	if err := s.update(t.Context(), set(2)); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: got %v, want %v", err, ErrClosed)
	}
}

// TestFailedVerbLeavesNothing: neither a row nor a transaction, whatever happened.
func TestFailedVerbLeavesNothing(t *testing.T) {
	t.Parallel()
	s := openStore(t, postgresConfig(t))
	own := errors.New("its own")
	for name, last := range map[string]step{
		"refused":      func(*tx) error { return own },
		"panic":        func(*tx) error { panic("on purpose") },
		"error hidden": func(tx *tx) error { _ = set(1)(tx); return nil },
	} {
		for range 2 * postgresConns {
			if err := s.update(t.Context(), set(1), last); err == nil {
				t.Fatalf("%s: want an error", name)
			}
		}
		if value, err := s.Meta(t.Context(), "n1"); value != "" || err != nil {
			t.Errorf("%s: got %q, %v, want no row", name, value, err)
		}
	}
}

// TestStatementTimeout: a statement that takes too long ends, and its verb with it.
func TestStatementTimeout(t *testing.T) {
	t.Parallel()
	c := postgresConfig(t)
	c.URL += "&statement_timeout=200ms"
	s := openStore(t, c)
	err := s.update(t.Context(), exec(`SELECT pg_sleep(20)`))
	if got := sqlState(err); got != "57014" {
		t.Errorf("got %v, want query_canceled", err)
	}
}

// TestGivingUpInLine: who gives up while waiting for a connection has done nothing.
func TestGivingUpInLine(t *testing.T) {
	t.Parallel()
	s := openStore(t, postgresConfig(t))
	var holding, done sync.WaitGroup
	release := make(chan struct{})
	holding.Add(postgresConns)
	for range postgresConns {
		done.Go(func() {
			_ = s.update(t.Context(), func(*tx) error { holding.Done(); <-release; return nil })
		})
	}
	holding.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := s.update(ctx, set(1))
	close(release)
	done.Wait()
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
	if value, err := s.Meta(t.Context(), "n1"); value != "" || err != nil {
		t.Errorf("got %q, %v, want no row", value, err)
	}
}

// TestConnectionSettings: what the server is told, and what the URL may change.
func TestConnectionSettings(t *testing.T) {
	t.Parallel()
	c := postgresConfig(t)
	c.URL += "&statement_timeout=7s"
	c.URL += "&default_transaction_isolation=serializable"
	s := openStore(t, c)
	for name, want := range map[string]string{
		"application_name": "sallyport", "statement_timeout": "7s",
		"idle_in_transaction_session_timeout": "30s", "transaction_isolation": "read committed",
	} {
		var got string
		err := s.update(t.Context(), func(tx *tx) error {
			return tx.row(`SELECT current_setting($1)`, []any{name}, &got)
		})
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
}

// TestUnstorableTextIsNotFound: PostgreSQL holds no zero byte and nothing but
// UTF-8, and what a stranger sends may have both.
func TestUnstorableTextIsNotFound(t *testing.T) {
	t.Parallel()
	for name, c := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openStore(t, c(t))
			for _, text := range []string{"a\x00b", "\xff", strings.Repeat("x", 1<<20)} {
				_, err := s.Client(t.Context(), text)
				_, err2 := s.UserByLogin(t.Context(), text)
				if !errors.Is(err, store.ErrNotFound) || !errors.Is(err2, store.ErrNotFound) {
					t.Errorf("%.9q: got %v, %v, want %v", text, err, err2, store.ErrNotFound)
				}
			}
		})
	}
}

// TestURLPasswordStaysSecret: whatever is wrong with the URL, no error has its
// password.
func TestURLPasswordStaysSecret(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"postgres://user:s3cret@127.0.0.1:1/db",                       // nobody there
		"postgres://user:s3cret@nowhere.invalid/db",                   // no such host
		"postgres://user@127.0.0.1:1/db?password=s3cret",              // as an option
		"postgres://user:s3cret@127.0.0.1:1/db?sslmode=none",          // no such mode
		"postgres://user:s3cret@127.0.0.1:1/db?sslmode=require&%zz",   // broken escape
		"postgres://user:s3cret@127.0.0.1:1/db?connect_timeout=never", // no number
		"postgres://user:s3cret@127.0.0.1:port/db",
		"postgres://user:x/s3cret@127.0.0.1:1/db", // a slash
		"postgres://user:1/s3cret@127.0.0.1:1/db", // looks like a host and a port
		"postgres://user:x?s3cret@127.0.0.1:1/db", // a question mark
		"postgres://user:1?s3cret@127.0.0.1:1/db",
		"postgres://user:1#s3cret@127.0.0.1:1/db", // a number sign
		"postgres://user:%s3cret@127.0.0.1:1/db",  // a percent sign
		"postgresql://user:s3cret@127.0.0.1:1/%zz",
		"postgress://user:s3cret@127.0.0.1:1/db",
		"mysql://user:s3cret@127.0.0.1:1/db",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		s, err := Open(ctx, At(address))
		if err == nil {
			_ = s.Close()
			t.Errorf("%s: want an error", address)
			continue
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			if text := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(e.Error(), "s3cret") {
				t.Errorf("%s: got %s", address, text)
			}
		}
	}
}

// TestCertificateChecked unless the server is on this machine, or the URL says so.
func TestCertificateChecked(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"postgres://u@db.example/n":                      "db.example",
		"postgres://u@db.example/n?sslmode=disable":      "",
		"postgres://u@127.0.0.1/n":                       "-",
		"postgres://u@localhost/n":                       "-",
		"postgres:///n?host=/run/postgresql":             "",
		"postgres://u@db.example/n?host=/run/postgresql": "",
		"postgres://u@localhost/n?host=db.example":       "db.example",
	} {
		config, err := parseURL(address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		got := ""
		if tls := config.TLSConfig; tls != nil && !tls.InsecureSkipVerify {
			got = tls.ServerName
		} else if tls != nil {
			got = "-"
		}
		if got != want {
			t.Errorf("%s: the certificate is checked for %q, want %q", address, got, want)
		}
	}
}

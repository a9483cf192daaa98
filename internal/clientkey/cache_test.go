package clientkey_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/internal/clientkey"
	"github.com/sallyport-id/sallyport/internal/fetch"
	"github.com/sallyport-id/sallyport/internal/oidc"
)

// bench is a cache, and the server of a client's whose keys it asks for.
type bench struct {
	*clientkey.Cache
	*testing.T
	client *oidc.Client
	log    bytes.Buffer

	mu       sync.Mutex
	now      time.Time
	keys     []byte
	status   int
	header   http.Header
	hold     chan struct{} // nil: it answers at once
	came     chan struct{} // one for each request
	requests int
}

func newBench(t *testing.T, allow ...netip.Prefix) *bench {
	t.Helper()
	b := &bench{T: t, now: time.Unix(1_800_000_000, 0), status: http.StatusOK, header: http.Header{}, came: make(chan struct{}, 10_000)}
	s := httptest.NewTLSServer(b)
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	client := fetch.New(fetch.Config{Allow: allow, RootCAs: pool})
	t.Cleanup(client.Close)
	b.client = &oidc.Client{ID: "shop", JWKSURI: s.URL + "/keys"}
	b.Cache = &clientkey.Cache{Fetch: client, Log: slog.New(slog.NewTextHandler(&b.log, nil)), Now: b.clock}
	b.publish("1")
	return b
}

func here() netip.Prefix { return netip.MustParsePrefix("127.0.0.0/8") }

// ServeHTTP is the client's server.
func (b *bench) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	b.mu.Lock()
	b.requests++
	keys, status, hold := b.keys, b.status, b.hold
	for name := range b.header {
		w.Header().Set(name, b.header.Get(name))
	}
	b.mu.Unlock()
	b.came <- struct{}{}
	if hold != nil {
		<-hold
	}
	w.WriteHeader(status)
	_, _ = w.Write(keys)
}

func (b *bench) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

func (b *bench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bench) advance(d time.Duration) { b.set(func() { b.now = b.now.Add(d) }) }

// publish gives the client new keys of these ids.
func (b *bench) publish(kids ...string) {
	b.Helper()
	set := jose.JSONWebKeySet{}
	for _, kid := range kids {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: kid, Use: "sig"})
	}
	text, err := json.Marshal(set)
	if err != nil {
		b.Fatal(err)
	}
	b.set(func() { b.keys = text })
}

// mustAsk asks for a key that must be known or not, and says how many requests the
// client's server has seen till then.
func (b *bench) mustAsk(kid string, known bool, requests int) {
	b.Helper()
	keys, err := b.Of(b.Context(), b.client, kid)
	if err != nil {
		b.Errorf("key %s: %v", kid, err)
	} else if keys.Has(kid) != known {
		b.Errorf("key %s: known %t, want %t", kid, !known, known)
	}
	b.mustHave(requests)
}

func (b *bench) mustHave(requests int) {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.requests != requests {
		b.Errorf("%d requests have come, want %d", b.requests, requests)
	}
}

func (b *bench) mustLack(kid string, requests int) {
	b.Helper()
	if _, err := b.Of(b.Context(), b.client, kid); !errors.Is(err, clientkey.ErrUnavailable) {
		b.Errorf("got %v, want ErrUnavailable", err)
	}
	b.mustHave(requests)
}

// TestKeysAreFetchedOnce: by one for all who ask, and again when they are old.
func TestKeysAreFetchedOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, here())
	hold := make(chan struct{})
	b.hold = hold
	var all sync.WaitGroup
	ask := func() { all.Go(func() { b.mustAskQuietly("1") }) }
	ask()
	<-b.came
	for range clientkey.MostWaitingAt {
		ask()
	}
	b.untilWaiting(clientkey.MostWaitingAt)
	close(hold)
	all.Wait()
	b.mustHave(1)
	b.set(func() { b.hold = nil })
	b.advance(time.Hour - time.Second)
	b.mustAsk("1", true, 1)
	b.mustAsk("", true, 1)
	b.advance(time.Second)
	b.mustAsk("1", true, 2)
	if s := b.Stats(); s != (clientkey.Stats{Fetched: 2}) {
		t.Errorf("got %+v", s)
	}
}

func (b *bench) mustAskQuietly(kid string) {
	if keys, err := b.Of(b.Context(), b.client, kid); err != nil || !keys.Has(kid) {
		b.Errorf("key %s: %v", kid, err)
	}
}

func (b *bench) untilWaiting(n int) {
	for b.Waiting() != n {
		runtime.Gosched()
	}
}

// TestNewKeyIsFetched: a key that is not known is looked for; the old one, which was
// taken away, is worth nothing from then on (OpenID Connect Core §10.1.1).
func TestNewKeyIsFetched(t *testing.T) {
	t.Parallel()
	b := newBench(t, here())
	b.mustAsk("1", true, 1)
	b.publish("2")
	b.advance(14 * time.Second)
	b.mustAsk("2", false, 1)
	b.advance(time.Second)
	b.mustAsk("2", true, 2)
	b.mustAsk("1", false, 2)
	b.client.JWKSURI += "?moved"
	b.mustAsk("2", true, 3)
}

// TestNobodyMakesTheServerHammer: whoever names a client can name any key, as often as
// they like. A client's server sees one request in 15 seconds, whatever it answers.
func TestNobodyMakesTheServerHammer(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"it answers": http.StatusOK, "it does not": http.StatusInternalServerError} {
		b := newBench(t, here())
		b.status = status
		for second := range 60 {
			var all sync.WaitGroup
			for n := range 16 {
				all.Go(func() { _, _ = b.Of(t.Context(), b.client, fmt.Sprint("made up ", second, n)) })
			}
			all.Wait()
			b.advance(time.Second)
		}
		if b.requests != 4 {
			t.Errorf("%s: %d requests in a minute, want 4", name, b.requests)
		}
	}
}

// TestWaitersAreBounded: where a client's server is slow, few wait for it, and whoever
// needs nothing from it does not wait. What was begun is ended, though who began it leaves.
func TestWaitersAreBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t, here())
	hold := make(chan struct{})
	b.hold = hold
	first, leave := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { _, _ = b.Of(first, b.client, "1") })
	<-b.came
	for range clientkey.MostWaitingAt {
		all.Go(func() { b.mustAskQuietly("1") })
	}
	b.untilWaiting(clientkey.MostWaitingAt)
	b.mustLack("1", 1) // without waiting
	leave()
	close(hold)
	all.Wait()
	b.mustAsk("1", true, 1)

	hold = make(chan struct{})
	b.set(func() { b.hold = hold })
	b.advance(time.Minute)
	all.Go(func() { _, _ = b.Of(t.Context(), b.client, "made up") })
	<-b.came
	b.mustAsk("1", true, 2)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Of(gone, b.client, "another"); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that left: got %v", err)
	}
	close(hold)
	all.Wait()
}

// TestFetchesAreBounded: slow servers of many clients keep few requests of ours open;
// whoever comes then hears at once that there are no keys now.
func TestFetchesAreBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t, here())
	hold := make(chan struct{})
	b.hold = hold
	var all sync.WaitGroup
	for n := range clientkey.MostFetches {
		client := &oidc.Client{ID: fmt.Sprint("client", n), JWKSURI: b.client.JWKSURI}
		all.Go(func() {
			if _, err := b.Of(t.Context(), client, "1"); err != nil {
				t.Error(err)
			}
		})
	}
	for range clientkey.MostFetches {
		<-b.came
	}
	b.mustLack("1", clientkey.MostFetches)
	close(hold)
	all.Wait()
	b.mustAsk("1", true, clientkey.MostFetches+1)
}

// TestOutage: keys of before are gone by for a day, and then nothing is.
func TestOutage(t *testing.T) {
	t.Parallel()
	b := newBench(t, here())
	b.mustAsk("1", true, 1)
	good := b.keys
	b.set(func() { b.status = http.StatusServiceUnavailable })
	b.advance(2 * time.Hour)
	b.mustAsk("1", true, 2)
	b.mustAsk("1", true, 2)
	b.advance(15 * time.Second)
	b.mustAsk("1", true, 3)
	if n := strings.Count(b.log.String(), "cannot be fetched"); n != 1 || !strings.Contains(b.log.String(), "503") || strings.Contains(b.log.String(), "/keys") {
		t.Errorf("the log says it %d times: %s", n, &b.log)
	}
	for _, wrong := range []string{"", "<html>", `{"keys":[]}`, `{"keys":[{"kty":"oct","k":"AA"}]}`, strings.Repeat(" ", 65<<10) + string(good)} {
		b.set(func() { b.status, b.keys = http.StatusOK, []byte(wrong) })
		b.advance(15 * time.Second)
		b.mustAskQuietly("1")
	}
	b.advance(22 * time.Hour)
	b.mustLack("1", 9)
	b.mustLack("1", 9)
	b.set(func() { b.keys = good })
	b.advance(15 * time.Second)
	b.mustAsk("1", true, 10)
	if s := b.Stats(); s != (clientkey.Stats{Fetched: 2, Failed: 8}) || !strings.Contains(b.log.String(), "fetched again") {
		t.Errorf("got %+v, log %s", s, &b.log)
	}
}

// TestForbiddenAddressIsForTheLog: who asks hears nothing of it.
func TestForbiddenAddressIsForTheLog(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mustLack("1", 0)
	if !strings.Contains(b.log.String(), "outbound_allow") || !strings.Contains(b.log.String(), "client_id=shop") {
		t.Errorf("the log says %s", &b.log)
	}
}

// TestRoomIsBounded: clients without number take no memory without number, and
// forgetting one is no way to ask for it more often.
func TestRoomIsBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t, here())
	for n := range clientkey.MostClients {
		b.client.ID = fmt.Sprint("client", n)
		b.mustAskQuietly("1")
	}
	b.client.ID = "one-more"
	b.mustLack("1", clientkey.MostClients)
	b.client.ID = "client0"
	b.mustAsk("2", false, clientkey.MostClients)
	b.advance(15 * time.Second)
	b.client.ID = "one-more"
	b.mustAsk("1", true, clientkey.MostClients+1)
}

// TestFreshFor: as long as the answer says, within bounds.
func TestFreshFor(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "1h0m0s", "public": "1h0m0s", "max-age=600": "10m0s", `public, Max-Age="7200"`: "2h0m0s", "max-age=0": "5m0s", "max-age=10": "5m0s",
		"max-age=31536000": "24h0m0s", "no-store": "5m0s", "no-cache, max-age=7200": "5m0s", "max-age=-1": "5m0s", "max-age=soon": "5m0s",
		"max-age=99999999999999999999": "5m0s", "s-maxage=7200": "1h0m0s",
	} {
		if got := clientkey.FreshFor(http.Header{"Cache-Control": {text}}); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

// TestRegisteredKeysAreReadOnce: and anew when the registration changes.
func TestRegisteredKeysAreReadOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := &oidc.Client{ID: "shop", JWKS: b.keys}
	first, err := b.Of(t.Context(), c, "1")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := b.Of(t.Context(), c, "unknown"); err != nil || again != first {
		t.Errorf("got %p %v, want %p", again, err, first)
	}
	b.publish("2")
	c.JWKS = b.keys
	if changed, err := b.Of(t.Context(), c, "2"); err != nil || !changed.Has("2") || changed.Has("1") {
		t.Errorf("after a change: got %v", err)
	}
	c.JWKS = []byte("{}")
	if _, err := b.Of(t.Context(), c, "2"); err == nil || errors.Is(err, clientkey.ErrUnavailable) {
		t.Errorf("no keys: got %v", err)
	}
	b.mustHave(0)
}

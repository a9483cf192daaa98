package authn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/authn"
)

// cheap hashes in microseconds.
var cheap = authn.HasherConfig{Memory: 64, Time: 1}

func hash(t testing.TB, h *authn.Hasher, password string) string {
	t.Helper()
	phc, err := h.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	return phc
}

func TestHashAndVerify(t *testing.T) {
	t.Parallel()
	h := authn.NewHasher(cheap)
	long := strings.Repeat("x", 80)
	for _, c := range []struct {
		name, password, typed string
		want                  bool
	}{
		{"same", "correct horse", "correct horse", true},
		{"other", "correct horse", "correct horsf", false},
		{"other case", "correct horse", "Correct horse", false},
		{"space counts", "correct horse", "correct horse ", false},
		{"empty", "correct horse", "", false},
		{"end of a long one counts", long + "a", long + "b", false},
		{"NUL does not end it", "a\x00b", "a\x00c", false},
		{"composed and decomposed", "caf\u00e9 \uac00", "cafe\u0301 \u1100\u1161", true},
	} {
		ok, rehash, err := h.Verify(t.Context(), hash(t, h, c.password), c.typed, false)
		if ok != c.want || rehash || err != nil {
			t.Errorf("%s: Verify = %v, %v, %v; want %v, false, nil", c.name, ok, rehash, err, c.want)
		}
	}
	if hash(t, h, "same") == hash(t, h, "same") {
		t.Error("two hashes of one password are the same; want a salt each")
	}
}

// TestDefaultCost: OWASP Password Storage, Argon2id.
func TestDefaultCost(t *testing.T) {
	t.Parallel()
	if got, want := hash(t, authn.NewHasher(authn.HasherConfig{}), "x"), "$argon2id$v=19$m=19456,t=2,p=1$"; !strings.HasPrefix(got, want) {
		t.Errorf("Hash = %s, want %s…", got, want)
	}
	wild := authn.NewHasher(authn.HasherConfig{Memory: 1, Time: 1, Threads: 200, Concurrent: -1, Queue: -1})
	if ok, _, err := wild.Verify(t.Context(), hash(t, wild, "x"), "x", false); !ok || err != nil {
		t.Errorf("a cost out of bounds: %v, %v; want it brought within", ok, err)
	}
}

// TestVerifyForeignHash: made by the reference implementation
// (argon2 somesalt -id -t 2 -m 16 -p 1, with RFC 9106's version 0x13).
func TestVerifyForeignHash(t *testing.T) {
	t.Parallel()
	h := authn.NewHasher(authn.HasherConfig{})
	const phc = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if ok, rehash, err := h.Verify(t.Context(), phc, "password", false); !ok || rehash || err != nil {
		t.Errorf("Verify = %v, %v, %v; want true, false, nil", ok, rehash, err)
	}
}

func TestRehashWhenTheCostRises(t *testing.T) {
	t.Parallel()
	old := hash(t, authn.NewHasher(authn.HasherConfig{Memory: 64, Time: 2}), "x")
	for _, c := range []struct {
		today authn.HasherConfig
		want  bool
	}{
		{authn.HasherConfig{Memory: 64, Time: 2}, false},
		{authn.HasherConfig{Memory: 32, Time: 1}, false},
		{authn.HasherConfig{Memory: 65, Time: 2}, true},
		{authn.HasherConfig{Memory: 64, Time: 3}, true},
	} {
		ok, rehash, err := authn.NewHasher(c.today).Verify(t.Context(), old, "x", true)
		if !ok || rehash != c.want || err != nil {
			t.Errorf("today %+v: Verify = %v, %v, %v; want true, %v, nil", c.today, ok, rehash, err, c.want)
		}
	}
}

// TestRule21DummyHash: who does not exist costs one hash, like who does.
func TestRule21DummyHash(t *testing.T) {
	t.Parallel()
	h := authn.NewHasher(cheap)
	phc := hash(t, h, "x")
	before := h.Calls()
	if _, _, err := h.Verify(t.Context(), phc, "wrong", false); err != nil {
		t.Fatal(err)
	}
	real := h.Calls() - before
	if err := h.VerifyDummy(t.Context(), "wrong", false); err != nil {
		t.Fatal(err)
	}
	if dummy := h.Calls() - before - real; real != 1 || dummy != 1 {
		t.Errorf("a wrong password costs %d hashes, an unknown user %d; want 1 and 1", real, dummy)
	}
}

func TestGivingUpCostsNoHash(t *testing.T) {
	t.Parallel()
	h := authn.NewHasher(cheap)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Hash(ctx, "x"); !errors.Is(err, context.Canceled) || h.Calls() != 0 {
		t.Errorf("Hash for a caller who has gone: %v after %d hashes; want context.Canceled after 0", err, h.Calls())
	}
}

func TestParsePHCIsStrictAndBounded(t *testing.T) {
	t.Parallel()
	salt, tag := "AAAAAAAAAAAAAAAAAAAAAA", strings.Repeat("A", 43)
	good := "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + tag
	p, err := authn.ParsePHC(good)
	if err != nil || p.String() != good {
		t.Fatalf("ParsePHC(%s) = %s, %v", good, p, err)
	}
	cost := func(cost string) string { return "$argon2id$v=19$" + cost + "$" + salt + "$" + tag }
	for _, text := range []string{
		"", "$", "$$$$$", "password", good + "$", " " + good, good + "\n", strings.ToUpper(good),
		strings.Replace(good, "argon2id", "argon2i", 1), strings.Replace(good, "v=19", "v=16", 1),
		cost("m=4194304,t=2,p=1"), cost("m=4294967295,t=1,p=1"), cost("m=131073,t=1,p=1"), cost("m=99999999999999999999,t=1,p=1"),
		cost("m=19456,t=11,p=1"), cost("m=19456,t=4294967295,p=1"), cost("m=19456,t=0,p=1"),
		cost("m=19456,t=2,p=0"), cost("m=19456,t=2,p=17"), cost("m=19456,t=2,p=257"), cost("m=7,t=2,p=1"),
		cost("m=-1,t=2,p=1"), cost("m=+19456,t=2,p=1"), cost("m=019456,t=2,p=1"), cost("m=0x40,t=2,p=1"),
		cost("t=2,m=19456,p=1"), cost("m=19456,t=2"), cost("m=19456,t=2,p=1,x=1"), cost(""),
		"$argon2id$v=19$m=19456,t=2,p=1$$" + tag, "$argon2id$v=19$m=19456,t=2,p=1$AAAA$" + tag,
		"$argon2id$v=19$m=19456,t=2,p=1$" + strings.Repeat("A", 200) + "$" + tag,
		"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + tag[:22], "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + tag + "=",
		"$argon2id$v=19$m=19456,t=2,p=1$" + salt[:21] + "B$" + tag, // bits left over
	} {
		if got, err := authn.ParsePHC(text); err == nil {
			t.Errorf("ParsePHC(%q) = %s; want an error", text, got)
		}
	}
	h := authn.NewHasher(cheap)
	if _, _, err := h.Verify(t.Context(), cost("m=4194304,t=2,p=1"), "x", false); err == nil || h.Calls() != 0 {
		t.Errorf("Verify of a hash that costs 4 GiB: %v after %d hashes; want an error after 0", err, h.Calls())
	}
}

func TestHashIsNotLogged(t *testing.T) {
	t.Parallel()
	p, err := authn.ParsePHC(hash(t, authn.NewHasher(cheap), "x"))
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("user", "hash", p)
	if !strings.Contains(log.String(), "[redacted]") {
		t.Errorf("log line: %s", log.String())
	}
}

func FuzzParsePHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$" + strings.Repeat("A", 43))
	f.Add("$argon2id$v=19$m=4294967295,t=4294967295,p=255$c29tZXNhbHQ$" + strings.Repeat("A", 43))
	f.Add("$2b$12$abc")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := authn.ParsePHC(text)
		if err != nil {
			return
		}
		if got := p.String(); got != text {
			t.Errorf("ParsePHC(%q) is written as %q", text, got)
		}
		var m, passes, threads int
		if _, err := fmt.Sscanf(text, "$argon2id$v=19$m=%d,t=%d,p=%d$", &m, &passes, &threads); err != nil || m > 128<<10 || passes > 10 || threads > 16 {
			t.Errorf("ParsePHC(%q) takes %d KiB, %d passes, %d threads: %v", text, m, passes, threads, err)
		}
	})
}

func BenchmarkHash(b *testing.B) {
	h := authn.NewHasher(authn.HasherConfig{})
	b.ReportAllocs()
	for b.Loop() {
		hash(b, h, "correct horse battery staple")
	}
}

func BenchmarkVerify(b *testing.B) {
	h := authn.NewHasher(authn.HasherConfig{})
	phc := hash(b, h, "correct horse battery staple")
	b.ReportAllocs()
	for b.Loop() {
		if ok, _, err := h.Verify(b.Context(), phc, "correct horse battery staple", true); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

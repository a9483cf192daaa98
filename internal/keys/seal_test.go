package keys_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/keys"
)

var home = keys.Place{Table: "authenticators", Column: "secret", Row: "a1", Owner: "u1"}

func sealer(t testing.TB, current keys.MasterKey, old ...keys.MasterKey) *keys.Sealer {
	t.Helper()
	s, err := keys.NewSealer(current, old...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func seal(t testing.TB, s *keys.Sealer, plain string, where keys.Place) []byte {
	t.Helper()
	sealed, err := s.Seal([]byte(plain), where)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestSealedValueOpensOnlyAtItsPlace(t *testing.T) {
	t.Parallel()
	s := sealer(t, keys.NewMasterKey())
	sealed := seal(t, s, "secret", home)
	got, err := s.Open(sealed, home)
	if err != nil || string(got) != "secret" {
		t.Fatalf("Open at its place = %q, %v; want it back", got, err)
	}
	for name, where := range map[string]keys.Place{
		"table":           {"clients", "secret", "a1", "u1"},
		"column":          {"authenticators", "label", "a1", "u1"},
		"row":             {"authenticators", "secret", "a2", "u1"},
		"owner":           {"authenticators", "secret", "a1", "u2"},
		"no owner":        {"authenticators", "secret", "a1", ""},
		"shifted to left": {"authenticators", "secret", "a1u", "1"},
		"shifted to row":  {"authenticators", "secreta", "1", "u1"},
	} {
		if got, err := s.Open(sealed, where); !errors.Is(err, keys.ErrSealed) {
			t.Errorf("another %s: Open = %q, %v; want ErrSealed", name, got, err)
		}
	}
}

func TestChangedSealedValueDoesNotOpen(t *testing.T) {
	t.Parallel()
	s := sealer(t, keys.NewMasterKey())
	sealed := seal(t, s, "secret", home)
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if got, err := s.Open(changed, home); err == nil {
			t.Errorf("byte %d changed: Open = %q; want an error", i, got)
		}
		if got, err := s.Open(sealed[:i], home); err == nil {
			t.Errorf("cut after %d bytes: Open = %q; want an error", i, got)
		}
	}
	if bytes.Equal(sealed, seal(t, s, "secret", home)) {
		t.Error("two seals of one value are the same bytes; want a new nonce each")
	}
}

func TestMasterKeyRotation(t *testing.T) {
	t.Parallel()
	first, second := keys.NewMasterKey(), keys.NewMasterKey()
	before, after, forgotten := sealer(t, first), sealer(t, second, first), sealer(t, second)
	sealed := seal(t, before, "secret", home)

	if got, err := after.Open(sealed, home); err != nil || string(got) != "secret" {
		t.Errorf("Open under an old key = %q, %v; want it back", got, err)
	}
	if !after.Outdated(sealed) || before.Outdated(sealed) {
		t.Errorf("Outdated = %v after, %v before the change; want true, false", after.Outdated(sealed), before.Outdated(sealed))
	}
	if resealed := seal(t, after, "secret", home); after.Outdated(resealed) {
		t.Error("a new value is sealed under an old key")
	}
	if _, err := forgotten.Open(sealed, home); !errors.Is(err, keys.ErrMasterKey) {
		t.Errorf("Open without its key: %v; want ErrMasterKey", err)
	}
}

func TestNewSealerRefusesOtherSizes(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := keys.NewSealer(make([]byte, n)); err == nil {
			t.Errorf("a master key of %d bytes is taken", n)
		}
		if _, err := keys.NewSealer(keys.NewMasterKey(), make([]byte, n)); err == nil {
			t.Errorf("an old master key of %d bytes is taken", n)
		}
	}
}

func TestDerivedKeys(t *testing.T) {
	t.Parallel()
	master := keys.NewMasterKey()
	s := sealer(t, master, keys.NewMasterKey())
	csrf, throttle := s.Derive("csrf"), s.Derive("throttle")
	if len(csrf) != 32 || bytes.Equal(csrf, throttle) || bytes.Equal(csrf, master) {
		t.Errorf("derived keys are %x and %x; want two of 32 bytes", csrf, throttle)
	}
	if again := sealer(t, master).Derive("csrf"); !bytes.Equal(csrf, again) {
		t.Errorf("the same purpose gives %x, then %x", csrf, again)
	}
}

// TestSecretsPrintRedacted: under no verb, in no log line and no JSON.
func TestSecretsPrintRedacted(t *testing.T) {
	t.Parallel()
	master := keys.MasterKey(bytes.Repeat([]byte{0xAB}, keys.MasterKeySize))
	key := generate(t, keys.ES256)
	for name, secret := range map[string]any{
		"MasterKey": master, "Sealer": sealer(t, master), "Key": key, "Key value": *key,
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %v"} {
			args := []any{secret, secret}[:strings.Count(verb, "%")]
			if got := fmt.Sprintf(verb, args...); !strings.HasSuffix(got, "[redacted]") {
				t.Errorf("%s: Sprintf(%q) = %q; want [redacted]", name, verb, got)
			}
		}
		for handler, logger := range map[string]func(*bytes.Buffer) slog.Handler{
			"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
			"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		} {
			var log bytes.Buffer
			slog.New(logger(&log)).Info("start", "secret", secret)
			if !strings.Contains(log.String(), "[redacted]") {
				t.Errorf("%s: %s log says %q; want [redacted]", name, handler, log.String())
			}
		}
		if got, err := json.Marshal(struct{ Secret any }{secret}); err != nil || string(got) != `{"Secret":"[redacted]"}` {
			t.Errorf("%s: JSON = %s, %v; want [redacted]", name, got, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	s := sealer(f, bytes.Repeat([]byte{1}, keys.MasterKeySize))
	f.Add(seal(f, s, "secret", home)[:20])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if got, err := s.Open(sealed, home); err == nil {
			t.Errorf("Open(%x) = %q; want an error: it was not sealed here", sealed, got)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	s := sealer(b, keys.NewMasterKey())
	secret := make([]byte, 20)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Seal(secret, home); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	s := sealer(b, keys.NewMasterKey())
	sealed := seal(b, s, "12345678901234567890", home)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Open(sealed, home); err != nil {
			b.Fatal(err)
		}
	}
}

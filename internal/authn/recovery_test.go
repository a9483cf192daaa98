package authn_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
)

func recoveryCodes(t testing.TB, n int) []string {
	t.Helper()
	codes, err := authn.NewRecoveryCodes(n)
	if err != nil {
		t.Fatal(err)
	}
	return codes
}

// TestRecoveryCodesHave80Bits: sixteen characters of an alphabet of 32, each of
// them anywhere, and no letter that is read for another (security.md's rule 18).
func TestRule18RecoveryCodesHave80Bits(t *testing.T) {
	t.Parallel()
	seen, used := map[string]bool{}, map[rune]int{}
	for _, code := range recoveryCodes(t, 2000) {
		if len(code) != 19 || code[4] != '-' || code[9] != '-' || code[14] != '-' || seen[code] {
			t.Fatalf("code %q; want a new one of four groups of four", code)
		}
		seen[code] = true
		for _, r := range strings.ReplaceAll(code, "-", "") {
			used[r]++
		}
	}
	if len(used) != 32 {
		t.Errorf("%d different characters, want 32", len(used))
	}
	for r, n := range used {
		if n < 700 || n > 1300 || strings.ContainsRune("oilu", r) { // 1000 expected, σ = 31
			t.Errorf("%q stands %d times in 32,000 characters", r, n)
		}
	}
}

func TestParseRecoveryCode(t *testing.T) {
	t.Parallel()
	const want = "0v1k-9z7c-m2h4-pqrs"
	for _, typed := range []string{
		want, "0V1K-9Z7C-M2H4-PQRS", "0v1k9z7cm2h4pqrs", " 0v1k 9z7c\tm2h4 pqrs\n", "ovik-9z7c-m2h4-pqrs", "OUlk-9z7c-m2h4-pqrs",
		"０ｖ１ｋ－９ｚ７ｃ－ｍ２ｈ４－ｐｑｒｓ", "0v1k–9z7c—m2h4‐pqrs",
	} {
		if got, err := authn.ParseRecoveryCode(typed); err != nil || got != want {
			t.Errorf("ParseRecoveryCode(%q) = %q, %v; want %q", typed, got, err, want)
		}
	}
	for _, typed := range []string{
		"", "123456", want[:18], want + "0", "0v1k-9z7c-m2h4-pqr!", "0v1k-9z7c-m2h4-pqrа" /* Cyrillic */, "0v1k_9z7c_m2h4_pqrs",
		strings.Repeat("-", 300) + want, want + "\x00",
	} {
		if got, err := authn.ParseRecoveryCode(typed); err == nil {
			t.Errorf("ParseRecoveryCode(%q) = %q; want an error", typed, got)
		}
	}
	for _, code := range recoveryCodes(t, 100) {
		if got, err := authn.ParseRecoveryCode(code); err != nil || got != code {
			t.Errorf("ParseRecoveryCode(%q) = %q, %v; want itself", code, got, err)
		}
	}
}

// TestLookingUpARecoveryCodeCostsOneHash, however many codes the set has.
func TestLookingUpARecoveryCodeCostsOneHash(t *testing.T) {
	t.Parallel()
	h := authn.NewHasher(cheap)
	turn, err := h.Turn(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer turn.End()
	salt, codes := authn.NewSalt(), recoveryCodes(t, 10)
	var set [][]byte
	for _, code := range codes {
		set = append(set, turn.HashRecovery(salt, code))
	}
	before := h.Calls()
	got := turn.HashRecovery(salt, codes[7])
	if len(got) != 32 || !bytes.Equal(got, set[7]) || h.Calls() != before+1 {
		t.Errorf("HashRecovery: %d bytes, the stored ones: %v, %d hashes; want 32, true, 1", len(got), bytes.Equal(got, set[7]), h.Calls()-before)
	}
	if other := turn.HashRecovery(authn.NewSalt(), codes[7]); bytes.Equal(other, got) {
		t.Error("under another set's salt it is the same hash")
	}
}

// TestNewRecoverySetTakesOneTurn: it waits once, and not when nobody may.
func TestNewRecoverySetTakesOneTurn(t *testing.T) {
	t.Parallel()
	c := cheap
	c.Concurrent, c.Queue = 1, -1
	h := authn.NewHasher(c)
	codes, set, hashes, err := h.NewRecoverySet(t.Context(), "u", time.Now())
	if err != nil || len(codes) != 10 || len(hashes) != 10 || set.CodesLeft != 10 {
		t.Fatalf("got %d codes, %d hashes, %+v, %v", len(codes), len(hashes), set, err)
	}
	turn, err := h.Turn(t.Context(), false)
	if err != nil {
		t.Fatalf("the turn was not given back: %v", err)
	}
	defer turn.End()
	if _, _, _, err := h.NewRecoverySet(t.Context(), "u", time.Now()); !errors.Is(err, authn.ErrBusy) {
		t.Errorf("while another hashes and nobody may wait: got %v, want %v", err, authn.ErrBusy)
	}
}

func FuzzParseRecoveryCode(f *testing.F) {
	f.Add("0v1k-9z7c-m2h4-pqrs")
	f.Add("OUlk 9Z7C")
	f.Fuzz(func(t *testing.T, typed string) {
		code, err := authn.ParseRecoveryCode(typed)
		if err != nil {
			return
		}
		if len(code) != 19 {
			t.Errorf("ParseRecoveryCode(%q) = %q; want four groups of four", typed, code)
		}
		if again, err := authn.ParseRecoveryCode(code); err != nil || again != code {
			t.Errorf("ParseRecoveryCode(%q) = %q, %v; want itself", code, again, err)
		}
	})
}

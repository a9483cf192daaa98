package authn_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

func aMailCode() store.MailCode {
	return store.MailCode{ID: "m", For: store.MailCodeProof, UserID: "u", Address: "mina@example.com"}
}

// TestMailCode: the code is the mail's, the purpose's, the address's and the
// interaction's; with another key, or for anything else, it is another.
func TestMailCode(t *testing.T) {
	t.Parallel()
	key, c := authn.MailKey("a key"), aMailCode()
	code := key.Code(c.ID, c.For, c.Address, "i")
	if !key.Is(c, "i", authn.FormatMailCode(code)) || !key.Is(c, "i", " "+code[:4]+"-"+code[4:]) {
		t.Errorf("%q is not the code", code)
	}
	others := map[string]string{
		"another key":         authn.MailKey("another").Code(c.ID, c.For, c.Address, "i"),
		"another mail":        key.Code("n", c.For, c.Address, "i"),
		"another purpose":     key.Code(c.ID, store.MailCodeEnroll, c.Address, "i"),
		"another address":     key.Code(c.ID, c.For, "joon@example.com", "i"),
		"another interaction": key.Code(c.ID, c.For, c.Address, "j"),
	}
	for name, other := range others {
		if other == code || key.Is(c, "i", other) {
			t.Errorf("%s has the same code", name)
		}
	}
	void := *(&c).Void()
	for _, typed := range []string{"", code[:7], code + "0", "abcdefgh"} {
		if key.Is(c, "i", typed) {
			t.Errorf("%q is taken for the code", typed)
		}
	}
	if key.Is(void, "i", key.Code("", void.For, void.Address, "i")) {
		t.Error("a void code is good")
	}
}

// TestMailCodesAreSpread: each digit is drawn as often as any other, at each place,
// zeros in front included.
func TestMailCodesAreSpread(t *testing.T) {
	t.Parallel()
	const n = 20_000
	var seen [8][10]int
	for i := range n {
		code := authn.MailKey("k").Code(strings.Repeat("x", i%7)+time.Unix(int64(i), 0).String(), store.MailCodeProof, "a@b.example", "i")
		if len(code) != 8 {
			t.Fatalf("got %q, want eight digits", code)
		}
		for place, r := range code {
			seen[place][r-'0']++
		}
	}
	for place := range seen {
		for digit, times := range seen[place] {
			if times < n/10*8/10 || times > n/10*12/10 {
				t.Errorf("at place %d the digit %d came %d times of %d", place, digit, times, n)
			}
		}
	}
}

// TestMailsAreBounded: an address gets so many codes in an hour, and what strangers ask
// for takes nothing from its owner.
func TestMailsAreBounded(t *testing.T) {
	t.Parallel()
	s := newCheckRig(t)
	ask := func(kind store.MailKind, address string, from netip.Addr) int {
		for n := range 100 {
			var throttled *authn.ThrottledError
			err := s.MayMail(t.Context(), kind, address, from)
			if errors.As(err, &throttled) {
				if throttled.RetryAt.IsZero() {
					t.Error("time does not help")
				}
				return n
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		return 100
	}
	from := netip.MustParseAddr("192.0.2.1")
	if n := ask("stranger", "mina@example.com", from); n != 3 {
		t.Errorf("a stranger brought %d mails, want 3", n)
	}
	if n := ask("stranger", "MINA@example.com", netip.MustParseAddr("198.51.100.1")); n != 0 {
		t.Errorf("another, from elsewhere, brought %d more", n)
	}
	if n := ask(store.MailCodeProof, "mina@example.com", netip.Addr{}); n != 10 {
		t.Errorf("the owner got %d codes, want 10", n)
	}
	s.now = s.now.Add(time.Hour)
	if n := ask(store.MailCodeProof, "mina@example.com", netip.Addr{}); n != 10 {
		t.Errorf("an hour later %d, want 10", n)
	}
}

// TestCheckMailCode: every guess counts against the user's authenticator, and only the
// one of the address and the user that the code is for.
func TestCheckMailCode(t *testing.T) {
	t.Parallel()
	s := newCheckRig(t)
	c := aMailCode()
	code := s.MailKey.Code(c.ID, c.For, c.Address, "i")
	list := []store.Authenticator{{ID: "a", UserID: "u", Kind: store.KindEmail, Secret: []byte(c.Address)}}
	check := func(change func(a *store.Authenticator), typed string) error {
		a := list[0]
		if change != nil {
			change(&a)
		}
		_, _, err := s.CheckMailCode(t.Context(), []store.Authenticator{a}, c, "i", typed)
		return err
	}
	if err := check(nil, code); err != nil {
		t.Errorf("the right code: %v", err)
	}
	for name, change := range map[string]func(a *store.Authenticator){
		"another's":         func(a *store.Authenticator) { a.UserID = "v" },
		"another address":   func(a *store.Authenticator) { a.Secret = []byte("joon@example.com") },
		"a disabled one":    func(a *store.Authenticator) { a.Disabled = true },
		"one of other kind": func(a *store.Authenticator) { a.Kind = store.KindTOTP },
	} {
		if err := check(change, code); !errors.Is(err, authn.ErrCode) {
			t.Errorf("%s: got %v, want %v", name, err, authn.ErrCode)
		}
	}
	var throttled *authn.ThrottledError
	for i := range 4 {
		if err := check(nil, "00000000"); !errors.Is(err, authn.ErrCode) {
			t.Errorf("wrong code %d: got %v", i, err)
		}
	}
	if err := check(nil, code); !errors.As(err, &throttled) {
		t.Errorf("after the fifth attempt: got %v, want a wait", err)
	}
}

func FuzzParseMailCode(f *testing.F) {
	f.Add("1234 5678")
	f.Add("１２３４-５６７８")
	f.Fuzz(func(t *testing.T, typed string) {
		code, err := authn.ParseMailCode(typed)
		if err != nil {
			return
		}
		if len(code) != 8 || strings.Trim(code, "0123456789") != "" {
			t.Errorf("ParseMailCode(%q) = %q; want eight digits", typed, code)
		}
		if again, err := authn.ParseMailCode(authn.FormatMailCode(code)); err != nil || again != code {
			t.Errorf("ParseMailCode(%q) = %q, %v; want itself", code, again, err)
		}
	})
}

// TestRule3EmailProofsCountOnlyWhereSaid: a proof by a mailed code is worth nothing
// unless whoever judges says that mail does not reset the password, too.
func TestRule3EmailProofsCountOnlyWhereSaid(t *testing.T) {
	t.Parallel()
	e := authn.Evidence{UserID: "u", At: noon, Proofs: []store.Proof{
		{Method: store.MethodPassword, UserID: "u", At: noon}, {Method: store.MethodEmail, UserID: "u", At: noon, Authenticator: "e"},
	}}
	if got := authn.Judge(e); got.Level != oidc.Level1FA || len(got.AMR) != 1 {
		t.Errorf("got %+v, want the password alone", got)
	}
	e.MailCodes = true
	if got := authn.Judge(e); got.Level != oidc.Level2FA {
		t.Errorf("got %+v, want two factors", got)
	}
	e.Valid = map[string]bool{"e": false}
	if got := authn.Judge(e); got.Level != oidc.Level1FA {
		t.Errorf("of no use: got %+v", got)
	}
}

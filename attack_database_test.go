package sallyport_test

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/store"
)

// TestAttackReadsTheDatabase: whoever has the files, of now or of a backup, finds
// nothing in them that signs in, in any of the ways in which one would write it.
func TestAttackReadsTheDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := newRig(t, func(c *sallyport.Config) { c.Database = filepath.Join(dir, "read.db") }) // a file, whatever the others have
	secrets := map[string]string{"password": r.mina.password, "TOTP secret": string(r.mina.totp), "client secret": r.secret["web"]}
	for _, code := range r.mina.recovery {
		secrets["recovery code "+code[:4]] = code
		secrets["recovery code without hyphens "+code[:4]] = strings.ReplaceAll(code, "-", "")
	}
	secretOf := func(token string) string {
		_, secret, _ := strings.Cut(token, ".")
		return secret
	}
	b := r.browser()
	code := b.signIn(r.mina, b.authorize("web")).mustCode()
	secrets["authorization code"] = secretOf(code)
	got := r.redeem("web", code)
	secrets["access token"], secrets["refresh token"] = secretOf(got.Access), secretOf(got.Refresh)
	secrets["session cookie"] = secretOf(b.session().Value)
	in := r.invite("sora")
	secrets["invitation"] = secretOf(in.path)
	waiting := b.atEnroll(r.joon, "prompt", "login")
	secrets["TOTP secret under enrolment"] = string(shownKey(t, waiting))
	waiting = b.answer(waiting, "enroll", "code", r.code(shownKey(t, waiting), 0)).mustStep("save_codes", 200)
	for _, code := range recoveryCodeOnPage.FindAllString(waiting.body, -1) {
		secrets["recovery code that is shown "+code[:4]] = code
	}
	files, err := filepath.Glob(filepath.Join(dir, "read.db*"))
	r.must(err)
	var all []byte
	for _, name := range files {
		part, err := os.ReadFile(name)
		r.must(err)
		all = append(all, part...)
	}
	if !bytes.Contains(all, []byte("mina@example.com")) {
		t.Fatal("the files are not the database")
	}
	for what, secret := range secrets {
		if len(secret) < 10 {
			t.Fatalf("%s: there is nothing to look for", what)
		}
		for _, form := range []string{
			secret, base32.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret)),
			base64.RawStdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
		} {
			if bytes.Contains(all, []byte(form)) {
				t.Errorf("%s is in the database", what)
			}
		}
	}
}

// TestAttackMovedSecret: whoever can write to the database gives the victim a copy of
// his own authenticator; it does not open there.
func TestAttackMovedSecret(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	own := r.joonWithTOTP()
	list, err := r.Store().Authenticators(t.Context(), own.id)
	r.must(err)
	for _, a := range list {
		if a.Kind != store.KindTOTP {
			continue
		}
		a.ID, a.UserID, a.CreatedAt = store.NewID(), r.mina.id, time.Now()
		r.must(r.Store().CreateAuthenticator(t.Context(), a, nil))
	}
	b := r.browser()
	if got := b.answer(b.atSecondFactor(r.mina, "web"), "totp", "code", r.code(own.totp, 0)); got.location != nil {
		t.Errorf("got %v, want no answer to the client", got.location)
	}
}

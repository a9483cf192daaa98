package main

import (
	"context"
	"io"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

// TestOperateWhileServing: whom the CLI has just registered signs in, and when
// the CLI disables her, that is over at once.
func TestOperateWhileServing(t *testing.T) {
	t.Parallel()
	s, config := installed(t)
	s.Enrollment = "password"
	serving(t, s, io.Discard)
	operate := func(do func(context.Context, *sqlstore.Store, *admin.Admin) error) {
		t.Helper()
		if err := (configFlag{config}).operate(do); err != nil {
			t.Fatal(err)
		}
	}
	const password = "lantern-otter-vowel-41"
	operate(func(ctx context.Context, _ *sqlstore.Store, a *admin.Admin) error {
		_, err := a.AddUser(ctx, admin.NewUser{Login: "mina", Password: password})
		return err
	})
	operate(func(ctx context.Context, _ *sqlstore.Store, a *admin.Admin) error {
		_, err := a.AddClient(ctx, admin.Web("shop", "Shop", "http://localhost:1/callback"))
		return err
	})
	authorize := s.Issuer + "/authorize?" + url.Values{
		"client_id": {"shop"}, "redirect_uri": {"http://localhost:1/callback"}, "response_type": {"code"}, "scope": {"openid"},
		"code_challenge_method": {"S256"}, "code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"},
	}.Encode()
	p := newPerson(t, "en")
	at, body := p.do("GET", authorize, nil)
	at, body = p.fill(at, body, "password", "username", "mina", "password", password)
	if at.StatusCode != 200 || !strings.Contains(body, `/enroll"`) {
		t.Fatalf("after the password: got %d, want enrolment\n%s", at.StatusCode, body)
	}
	operate(func(ctx context.Context, _ *sqlstore.Store, a *admin.Admin) error {
		u, err := a.UserByLogin(ctx, "mina")
		if err != nil {
			return err
		}
		return a.DisableUser(ctx, u.ID)
	})
	if at, body = p.do("GET", at.Request.URL.String(), nil); strings.Contains(body, `/enroll"`) {
		t.Errorf("after disabling: got %d and enrolment", at.StatusCode)
	}
	at, body = newPerson(t, "en").do("GET", authorize, nil)
	if at, body = p.fill(at, body, "password", "username", "mina", "password", password); strings.Contains(body, `/enroll"`) {
		t.Errorf("a disabled user got past the password: %d", at.StatusCode)
	}
}

// TestPasswordIsOneLine: of standard input.
func TestPasswordIsOneLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"secret\n": "secret", "secret\r\n": "secret", "secret": "secret", " with spaces \nmore\n": " with spaces ", "비밀\n": "비밀",
		"": "", "\n": "",
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteString(text); err != nil {
			t.Fatal(err)
		}
		w.Close()
		got, err := readNewPassword(r, io.Discard)
		r.Close()
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q %v, want %q", text, got, err, want)
		}
	}
}

// TestRule17FirstAccountIsAnInvitation: a new installation has no page that makes
// an account and no account; the first one is a link that the command prints.
func TestRule17FirstAccountIsAnInvitation(t *testing.T) {
	t.Parallel()
	s, config := installed(t)
	log := &lockedBuffer{}
	serving(t, s, log)
	var in admin.Invitation
	err := (configFlag{config}).operate(func(ctx context.Context, db *sqlstore.Store, a *admin.Admin) error {
		if users, err := db.Users(ctx, "", 1); err != nil || len(users) != 0 {
			t.Errorf("a new installation has users: %v, %v", users, err)
		}
		var err error
		_, in, err = a.InviteUser(ctx, admin.NewUser{Login: "mina"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p := newPerson(t, "en")
	for _, path := range []string{"/register", "/signup", "/setup", "/admin", "/invitation", "/invitation/"} {
		if at, _ := p.do("GET", s.Issuer+path, nil); at.StatusCode != 404 && at.StatusCode != 410 {
			t.Errorf("%s: got %d, want no such page", path, at.StatusCode)
		}
	}
	at, body := p.do("GET", in.URL, nil)
	if at, body = p.fill(at, body, "password", "password", "lantern-otter-vowel-41", "again", "lantern-otter-vowel-41"); !strings.Contains(body, `/enroll"`) {
		t.Errorf("with the invitation: got %d, want enrolment\n%s", at.StatusCode, body)
	}
	_, secret, _ := strings.Cut(in.URL, ".")
	if strings.Contains(log.String(), secret) {
		t.Errorf("the log has the invitation")
	}
}

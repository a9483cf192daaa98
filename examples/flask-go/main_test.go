package main

import (
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/examples/internal/trial"
	"github.com/sallyport-id/sallyport/rp"
)

func TestMain(m *testing.M) { trial.Main(m) }

// TestFlaskInGo: two factors lead to the tutorial's page, one does not, and whoever
// makes up an answer gets the page of failure.
func TestFlaskInGo(t *testing.T) {
	listener, app := trial.Listen(t)
	s := trial.Start(t, "--tutorial-redirect", app+"/callback")
	config, err := rp.ConfigFromEnv("TUTORIAL_")
	if err != nil {
		t.Fatal(err)
	}
	handler, err := newApp(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	trial.Serve(t, listener, handler)

	p := trial.NewPerson(t)
	p.Open(app + "/")
	p.Follow("login")
	if asked := p.Went[0]; !strings.Contains(asked, url.QueryEscape(rp.ACR2FA)) {
		t.Errorf("no second factor is asked for: %s", asked)
	}
	p.Password(s)
	p.MustBeAt(s.Issuer)
	p.Press("cancel")
	p.MustSee(403, failed)
	p.Open(app + "/login")
	p.Code(s) // the password is remembered, and is not enough
	p.MustSee(200, done, "acr: "+rp.ACR2FA+", amr: pwd otp mfa")
	p.Open(p.URL.String())
	p.MustSee(403, failed) // that answer was used
	p.Open(app + "/callback?code=x&state=y")
	p.MustSee(403, failed)
	if strings.Contains(p.Body, done) {
		t.Error("a made up answer is believed")
	}
}

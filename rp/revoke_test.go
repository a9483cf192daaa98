package rp_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rp"
	"github.com/sallyport-id/sallyport/rp/rptest"
)

func TestRevoke(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	a, id := signedIn(t, p, nil)
	for range 2 { // what is revoked already is no error
		if err := a.client.Revoke(t.Context(), id.Token); err != nil {
			t.Fatal(err)
		}
	}
	p.Advance(5 * time.Minute)
	if _, err := a.client.TokenSource(t.Context(), id, nil).Token(); !errors.Is(err, rp.ErrEnded) {
		t.Errorf("refreshing revoked tokens: got %v, want that they ended", err)
	}
	if _, err := a.client.UserInfo(t.Context(), id); err == nil {
		t.Error("the access token is still good")
	}

	_, alone := signedIn(t, p, nil)
	alone.Token.RefreshToken = ""
	if err := a.client.Revoke(t.Context(), alone.Token); err != nil {
		t.Fatal(err)
	}
	if _, err := a.client.UserInfo(t.Context(), alone); err == nil {
		t.Error("the access token alone is still good")
	}
}

func TestRevokeSaysWhatWentWrong(t *testing.T) {
	t.Parallel()
	p := rptest.NewProvider(t)
	_, id := signedIn(t, p, nil)
	wrong := newApp(t, p, func(c *rp.Config) { c.ClientSecret = "wrong" })
	if err := wrong.client.Revoke(t.Context(), id.Token); about(err) != "invalid_client" {
		t.Errorf("wrong secret: got %v", err)
	}
	p.Misbehave(rptest.Down)
	var unavailable *rp.UnavailableError
	if err := wrong.client.Revoke(t.Context(), id.Token); !errors.As(err, &unavailable) {
		t.Errorf("server down: got %v", err)
	}
	poor := rptest.NewProvider(t)
	poor.Misbehave(rptest.NoRevocation)
	a, id := signedIn(t, poor, nil)
	if err := a.client.Revoke(t.Context(), id.Token); !errors.As(err, &unavailable) {
		t.Errorf("no endpoint: got %v", err)
	}
}

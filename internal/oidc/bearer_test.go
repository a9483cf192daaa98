package oidc_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

func TestParseBearer(t *testing.T) {
	t.Parallel()
	body := url.Values{"access_token": {"mF_9.B5f-4.1JqM"}}
	for _, tt := range []struct {
		name   string
		header []string
		form   url.Values
		token  string
		code   string
		status int
	}{
		{"RFC 6750 §2.1", header("Bearer mF_9.B5f-4.1JqM"), nil, "mF_9.B5f-4.1JqM", "", 0},
		{"RFC 6750 §2.2", nil, body, "mF_9.B5f-4.1JqM", "", 0},
		{"scheme in any case", header("bEaReR mF_9.B5f-4.1JqM"), nil, "mF_9.B5f-4.1JqM", "", 0},
		{"more space", header("Bearer  a"), nil, "a", "", 0},
		{"RFC 9449 §7.1", header("DPoP abc"), nil, "abc", "", 0},
		{"with DPoP, malformed", header("dpop a b"), nil, "", "invalid_token", http.StatusUnauthorized},

		{"nothing", nil, nil, "", "", http.StatusUnauthorized},
		{"empty in the body", nil, url.Values{"access_token": {""}}, "", "", http.StatusUnauthorized},
		{"other scheme", header("Basic abc"), nil, "", "", http.StatusUnauthorized},
		{"both ways", header("Bearer a"), body, "", "invalid_request", http.StatusBadRequest},
		{"two headers", []string{"Bearer a", "Bearer a"}, nil, "", "invalid_request", http.StatusBadRequest},
		{"twice in the body", nil, url.Values{"access_token": {"a", "a"}}, "", "invalid_request", http.StatusBadRequest},
		{"no token", header("Bearer"), nil, "", "invalid_token", http.StatusUnauthorized},
		{"two tokens", header("Bearer a b"), nil, "", "invalid_token", http.StatusUnauthorized},
		{"token and parameter", header("Bearer a,b=c"), nil, "", "invalid_token", http.StatusUnauthorized},
		{"not UTF-8", header("Bearer a\xff"), nil, "", "invalid_token", http.StatusUnauthorized},
		{"not ASCII", header("Bearer ä"), nil, "", "invalid_token", http.StatusUnauthorized},
		{"not ASCII, in the body", nil, url.Values{"access_token": {"ä"}}, "", "invalid_token", http.StatusUnauthorized},
		{"too long", header("Bearer " + strings.Repeat("a", 4097)), nil, "", "invalid_token", http.StatusUnauthorized},
	} {
		token, err := oidc.ParseBearer(tt.header, tt.form)
		if dpop := len(tt.header) == 1 && strings.HasPrefix(strings.ToLower(tt.header[0]), "dpop"); token.Token != tt.token || token.DPoP != dpop || codeOf(err) != tt.code || (err == nil) != (tt.status == 0) {
			t.Errorf("%s: got %+v, %v, want %q, %q", tt.name, token, err, tt.token, tt.code)
		}
		if err != nil && oidc.BearerStatus(err) != tt.status {
			t.Errorf("%s: got status %d, want %d", tt.name, oidc.BearerStatus(err), tt.status)
		}
	}
	if got := oidc.BearerStatus(oidc.Errorf(oidc.InsufficientScope, "")); got != http.StatusForbidden {
		t.Errorf("insufficient_scope: got status %d, want 403", got)
	}
}

// RFC 6750 §3: at least one parameter follows the scheme; §3.1: no error code
// for a request without a token.
// RFC 9449 §7.1: whoever sends nothing is told of both schemes, others of their own.
func TestChallenge(t *testing.T) {
	t.Parallel()
	expired := oidc.Errorf(oidc.InvalidToken, "expired")
	if got, want := oidc.Challenge(expired, true), `DPoP algs="ES256 EdDSA PS256", error="invalid_token", error_description="expired"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, tt := range []struct {
		err  *oidc.Error
		want string
	}{
		{&oidc.Error{}, `Bearer realm="sallyport", DPoP algs="ES256 EdDSA PS256"`},
		{oidc.Errorf(oidc.InvalidToken, "The access token expired"), `Bearer realm="sallyport", error="invalid_token", error_description="The access token expired"`},
		{oidc.Errorf(oidc.InvalidToken, ""), `Bearer realm="sallyport", error="invalid_token"`},
		{oidc.Errorf(oidc.InvalidToken, "a\", x=\"\r\n\\"), `Bearer realm="sallyport", error="invalid_token", error_description="a?, x=????"`},
	} {
		if got := oidc.Challenge(tt.err, false); got != tt.want {
			t.Errorf("%+v: got %s, want %s", tt.err, got, tt.want)
		}
	}
}

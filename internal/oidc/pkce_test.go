package oidc_test

import (
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

func TestCheckVerifier(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, challenge, verifier string
		want                      bool
	}{
		{"RFC 7636 App. B", challenge, verifier, true},
		{"neither", "", "", true},
		{"missing verifier (RFC 7636 §4.6)", challenge, "", false},
		{"verifier without a challenge (RFC 9700 §4.8.2)", "", verifier, false},
		{"other verifier", challenge, verifier[1:] + "A", false},
		{"plain", challenge, challenge, false},
		{"challenge cut", challenge[:42], verifier, false},
		{"challenge in other case", strings.ToLower(challenge), verifier, false},
	} {
		if got := oidc.CheckVerifier(tt.challenge, tt.verifier); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

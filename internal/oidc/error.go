package oidc

import "fmt"

// Error is a protocol error: a code of the standards and a sentence for the
// client's developer, without internals (RFC 6749 §4.1.2.1, §5.2).
type Error struct {
	Code        string
	Description string
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Code, e.Description) }

// Errorf makes an Error. The description may hold only what RFC 6749 §5.2
// allows: printable ASCII without " and \; other characters become '?'.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Description: wireSafe(fmt.Sprintf(format, args...))}
}

func wireSafe(s string) string {
	b := []byte(s)
	out := b[:0]
	for _, c := range s {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			c = '?'
		}
		out = append(out, byte(c))
	}
	return string(out)
}

// The error codes that Sallyport sends.
const (
	InvalidRequest           = "invalid_request"
	InvalidClient            = "invalid_client"
	InvalidGrant             = "invalid_grant"
	InvalidScope             = "invalid_scope"
	InvalidTarget            = "invalid_target"
	InvalidToken             = "invalid_token"
	InsufficientScope        = "insufficient_scope"
	UnauthorizedClient       = "unauthorized_client"
	UnsupportedGrantType     = "unsupported_grant_type"
	UnsupportedResponseType  = "unsupported_response_type"
	AccessDenied             = "access_denied"
	ServerError              = "server_error"
	TemporarilyUnavailable   = "temporarily_unavailable"
	LoginRequired            = "login_required"
	ConsentRequired          = "consent_required"
	InteractionRequired      = "interaction_required"
	AccountSelectionRequired = "account_selection_required"
	RequestNotSupported      = "request_not_supported"
	RequestURINotSupported   = "request_uri_not_supported"
	InvalidRequestObject     = "invalid_request_object"
	InvalidRequestURI        = "invalid_request_uri"
	RegistrationNotSupported = "registration_not_supported"
	UnmetAuthentication      = "unmet_authentication_requirements"

	// Of devices that wait (RFC 8628 §3.5).
	AuthorizationPending = "authorization_pending"
	SlowDown             = "slow_down"
	ExpiredToken         = "expired_token"

	// Of proofs of possession (RFC 9449 §5, §8).
	InvalidDPoPProof = "invalid_dpop_proof"
	UseDPoPNonce     = "use_dpop_nonce"
)

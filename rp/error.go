package rp

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

// ErrNotNavigation is Login's error for requests that no person made by going to
// a page: images, frames, scripts, prefetches.
var ErrNotNavigation = errors.New("rp: not a top-level navigation")

// ErrNoSession: nobody is signed in in this browser, or no longer.
var ErrNoSession = errors.New("rp: no session")

// ErrOtherUser: another user signed in than the one whose session was to prove
// more. The session is as it was.
var ErrOtherUser = errors.New("rp: another user signed in than the one of the session")

// A StateError says that an answer does not belong to a login that is pending in
// this browser: nothing else in it was looked at.
type StateError struct {
	Diagnosis Diagnosis
}

func (e *StateError) Error() string { return "rp: " + string(e.Diagnosis) }

// A Diagnosis is the likely reason of a StateError.
type Diagnosis string

// The diagnoses.
const (
	// StateMissing: the request has no state, or several. Nobody's answer.
	StateMissing Diagnosis = "the answer has no state"
	// CookieMissing: no login is pending in this browser. It is another browser,
	// blocks cookies, came back after an hour or a second time, or Login was
	// called on another host than that of RedirectURL (localhost and 127.0.0.1
	// are two).
	CookieMissing Diagnosis = "no login is pending in this browser"
	// StateMismatch: logins are pending, but not this one. It was finished already,
	// pushed out by newer ones, or is somebody else's.
	StateMismatch Diagnosis = "another login is pending in this browser"
	// LoginExpired: the login took more than 15 minutes.
	LoginExpired Diagnosis = "the login took too long"
	// CookieUnreadable: the cookie was sealed with another key, or for another
	// client or server, or was tampered with.
	CookieUnreadable Diagnosis = "the cookie of the login cannot be opened"
)

// A ResponseError is an error that the server answered with.
type ResponseError struct {
	Code         string // as in the specs: access_denied, invalid_grant, …
	Description  string // the server's words for developers, at most 256 ASCII characters; not for a page
	TokenRequest bool   // it answers a request of the client's own, not the authorization request
}

func (e *ResponseError) Error() string {
	request := "authorization request"
	if e.TokenRequest {
		request = "token request"
	}
	if e.Description == "" {
		return fmt.Sprintf("rp: the server answered the %s with %s", request, e.Code)
	}
	return fmt.Sprintf("rp: the server answered the %s with %s: %s", request, e.Code, e.Description)
}

func newResponseError(code, description string, token bool) *ResponseError {
	if code == "" || len(code) > 64 || strings.ContainsFunc(code, issuer.NotVisible) {
		code = "malformed_error"
	}
	return &ResponseError{Code: code, Description: issuer.Clip(description), TokenRequest: token}
}

// A CheckError says that something the server sent failed a check, so that it
// was not believed.
type CheckError struct {
	What    string // the claim, header or parameter: "nonce", "signature", …
	Problem string
}

func (e *CheckError) Error() string { return "rp: " + e.What + ": " + e.Problem }

func refuse(what, format string, args ...any) *CheckError {
	return &CheckError{what, fmt.Sprintf(format, args...)}
}

// An UnmetError says that the login was genuine, but proved less than required.
type UnmetError struct {
	Required Requirement
	Claims   []string // those that do not meet it: "acr", "amr", "auth_time"

	// What came: the zero value where the claim is missing.
	ACR      string
	AMR      []string
	AuthTime time.Time
}

func (e *UnmetError) Error() string {
	var parts []string
	for _, claim := range e.Claims {
		switch claim {
		case "acr":
			parts = append(parts, fmt.Sprintf("acr is %q, not one of %q", issuer.Clip(e.ACR), e.Required.ACR))
		case "amr":
			parts = append(parts, fmt.Sprintf("amr is %q, without all of %q", e.AMR, e.Required.AMR))
		case "auth_time":
			parts = append(parts, "auth_time is missing or too old")
		}
	}
	return "rp: the login does not meet the requirement: " + strings.Join(parts, "; ")
}

// An UnavailableError says that the server could not be reached, or did not
// answer as one that works.
type UnavailableError struct {
	Doing string
	Err   error
}

func (e *UnavailableError) Error() string { return "rp: " + e.Doing + ": " + e.Err.Error() }

// Unwrap returns what happened.
func (e *UnavailableError) Unwrap() error { return e.Err }

// Codes of reasons, for programs that have texts in other languages.
const (
	CodeCancelled   = "cancelled"   // the user, or the server, said no
	CodeWeak        = "weak"        // no second factor, or not the one required
	CodeOld         = "old"         // the user authenticated too long ago
	CodeExpired     = "expired"     // the login took too long
	CodeLost        = "lost"        // this browser has no such login pending
	CodeInteraction = "interaction" // prompt=none, but the server has to ask something
	CodeNoSession   = "no_session"  // nobody is signed in
	CodeOtherUser   = "other_user"  // another user signed in than before
	CodeUnavailable = "unavailable" // the server does not answer
	CodeFailed      = "failed"      // everything else
)

// ReasonCode sorts an error of Login or Callback into one of the codes; "" for
// nil.
func ReasonCode(err error) string {
	var state *StateError
	var unmet *UnmetError
	var response *ResponseError
	var unavailable *UnavailableError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &state):
		return state.code()
	case errors.As(err, &unmet):
		return unmet.code()
	case errors.As(err, &response):
		return response.code()
	case errors.As(err, &unavailable):
		return CodeUnavailable
	case errors.Is(err, ErrNoSession):
		return CodeNoSession
	case errors.Is(err, ErrOtherUser):
		return CodeOtherUser
	}
	return CodeFailed
}

func (e *StateError) code() string {
	if e.Diagnosis == LoginExpired {
		return CodeExpired
	}
	return CodeLost
}

func (e *UnmetError) code() string {
	if slices.Contains(e.Claims, "acr") || slices.Contains(e.Claims, "amr") {
		return CodeWeak
	}
	return CodeOld
}

func (e *ResponseError) code() string {
	if e.TokenRequest {
		return CodeFailed
	}
	switch e.Code {
	case "access_denied":
		return CodeCancelled
	case "unmet_authentication_requirements":
		return CodeWeak
	case "login_required", "interaction_required", "consent_required", "account_selection_required":
		return CodeInteraction
	case "temporarily_unavailable", "server_error":
		return CodeUnavailable
	}
	return CodeFailed
}

var reasons = map[string]string{
	"":              "",
	CodeCancelled:   "The sign-in was cancelled or refused.",
	CodeWeak:        "This application needs a stronger sign-in, with a second factor.",
	CodeOld:         "You signed in too long ago for this. Please sign in again.",
	CodeExpired:     "The sign-in took too long. Please try again.",
	CodeLost:        "This sign-in was not started in this browser, or is finished already. Please try again.",
	CodeInteraction: "The sign-in service has to ask you something first. Please sign in again.",
	CodeNoSession:   "You are not signed in, or no longer. Please sign in.",
	CodeOtherUser:   "Another user signed in than before. Please sign in as before, or sign out first.",
	CodeUnavailable: "The sign-in service does not answer. Please try again later.",
	CodeFailed:      "The sign-in failed. Please try again.",
}

// Reason is an English sentence about an error of Login or Callback that can be
// shown to anyone: it contains nothing that came with a request. "" for nil.
func Reason(err error) string { return reasons[ReasonCode(err)] }

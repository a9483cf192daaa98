// Package page turns a Go struct into an HTML page: one struct per page, every
// template and locale parsed when the program starts.
//
// It decides nothing, keeps nothing and knows no HTTP. Pages work without
// JavaScript and under a content security policy without 'unsafe-inline'.
package page

import (
	"html/template"
	"strings"
)

// Page is one of the structs below.
type Page interface {
	// name is the template's file name without its extension.
	name() string
}

// Frame is what every step page shows; each page embeds it. The zero value is a
// page about nobody, for no application, with no way out.
type Frame struct {
	// Base is the server's path prefix, "" at the root; assets are at Base+"/assets/".
	Base string
	// Action is the interaction's path; forms post to Action+"/password" and so on.
	Action string
	// CSRF, Step, Subject and Version are hidden fields of every form.
	CSRF, Step, Subject string
	Version             int64
	// Client is the application's name, "" for none.
	Client string
	// Account is the login of who is signed in, "" for nobody.
	Account string
	// Invited: Account is being set up with an invitation, and nobody is signed in.
	Invited bool
	// FirstDone and SecondDone say which of the two doors is open.
	FirstDone, SecondDone bool
	// Error is the locale key of what was wrong with the last answer, "" for nothing.
	Error string
	// ErrorArgs fills the braces in the text of Error.
	ErrorArgs map[string]any
	// Cancellable offers Cancel, which posts to Action+"/cancel".
	Cancellable bool
}

// FieldError reports whether Error is about what was typed, so that the field
// is marked as invalid.
func (f Frame) FieldError() bool {
	switch f.Error {
	case "error.credentials", "error.code", "error.code_used", "error.device_code", "error.missing", "error.too_long", "error.saved_required", "error.not_the_same", "error.name", "error.mail_code", "error.email", "error.email_domain", "error.login", "error.login_taken":
		return true
	}
	return strings.HasPrefix(f.Error, "password.")
}

// Invitation asks somebody who was invited for a new password, twice, or for the
// one that the account has; posted to Action+"/password" as password and again.
type Invitation struct {
	Frame
	Server       string // the host that one signs in to
	Least        int    // characters of a new password
	KeepPassword bool
}

// Login asks for username and password, posted to Action+"/password", or for a
// passkey, posted to Action+"/passkey" as answer.
type Login struct {
	Frame
	Username  string // what the field holds at first
	Options   string // JSON for the script; "": passkeys are not offered
	Passkey   bool   // the page is about the passkey, with a link to the password
	ForgotURL string // where a new password can be asked for; "" for nowhere
	// RegisterURL is where an account can be made; "" for nowhere.
	RegisterURL string
}

// Register asks somebody without an account for an e-mail address, posted to Action as
// email, with From.
type Register struct {
	Frame
	Email   string // what the field holds at first
	From    string // the sign-in that waits; "" for none
	BackURL string // where that is
}

// ConfirmEmail has a code mailed, by a post to Action+"/mail_code", and asks for it,
// posted to Action+"/confirm" as code.
type ConfirmEmail struct {
	Frame
	Email    string // where it goes; "": the account has no address, and it takes an invitation
	Sent     bool   // one is on its way
	OtherURL string // where another address can be typed; "" for nowhere
	Until    string // as of Enroll, posted to Action+"/not_now"
	LastDay  bool
}

// Profile asks whoever makes an account for a name, a username and a password, twice,
// posted to Action+"/profile".
type Profile struct {
	Frame
	Server         string // the host that one will sign in to
	Email          string // is proven
	Name, Username string // what the fields hold at first
	Least          int    // characters of the password
}

// About reports whether Error is about a field: "name", "username", else "password".
func (p Profile) About(field string) bool {
	about := "password"
	switch p.Error {
	case "":
		return false
	case "error.name":
		about = "name"
	case "error.login", "error.login_taken":
		about = "username"
	}
	return about == field && p.FieldError()
}

// Forgot asks for the username of whoever wants a new password, posted to Action.
type Forgot struct {
	Frame
	Username string // what the field holds at first
}

// Device asks for the code that a device shows, posted to Action as user_code.
type Device struct{ Frame }

// Reset is where a mailed link leads to. In the browser that asked for it, it asks for
// the new password, twice, and a code, posted to Action+"/password"; in any other it
// says so. In both it offers to end the link, by a post to Action+"/disown".
type Reset struct {
	Frame
	Server    string // the host that one signs in to
	Least     int    // characters of the new password
	Elsewhere bool
}

// CodeError reports whether Error is about the code, not about the password.
func (r Reset) CodeError() bool { return strings.HasPrefix(r.Error, "error.code") }

// SecondFactor asks for one of the user's factors: a passkey or security key
// ("webauthn", posted to Action+"/webauthn" as answer), a code of the authenticator
// app ("totp", to Action+"/totp"), a recovery code ("recovery", to
// Action+"/recovery"), a mailed code ("email", to Action+"/email", and asked for at
// Action+"/mail") or an operator's code to set up another factor ("bypass", to
// Action+"/bypass").
type SecondFactor struct {
	Frame
	Method       string
	Others       []string // further methods, which are linked to
	Options      string   // JSON for the script, with "webauthn"
	Auto         bool     // the browser asks for the passkey by itself
	RecoveryLeft int      // unused recovery codes
	Mailbox      Mailbox  // with "email"
}

// Mailbox is where mailed codes go.
type Mailbox struct {
	Address string // masked
	Sent    bool   // a code that is good was asked for
}

// Enroll adds a first factor: a passkey or security key ("webauthn", posted to
// Action+"/register" as answer), an authenticator app ("totp", whose code is posted to
// Action+"/enroll") or codes by mail ("email", one of which is asked for at
// Action+"/mail_new" and posted to Action+"/mailbox").
type Enroll struct {
	Frame
	Method  string
	Others  []string      // further methods, which are linked to
	Options string        // JSON for the script, with "webauthn"
	QR      template.HTML // an SVG element of our own
	Key     string        // grouped base32
	Issuer  string        // what the app shows
	Mailbox Mailbox       // with "email"
	Reset   bool          // the account had an app before
	Until   string        // the last day until which it can be put off, posted to Action+"/later"; "" if it cannot
	LastDay bool          // it is today
	// Skippable: an invited user may do without it, by the same post as to put it off.
	Skippable bool
	// AsksMake: the browser is asked for the make of the key.
	AsksMake bool
	// Adding: it is a further one, with a name, and leads back to Action.
	Adding bool
}

// SaveCodes shows new recovery codes once; the tick is posted to
// Action+"/saved" as saved=1.
type SaveCodes struct {
	Frame
	Codes []string
}

// Trust asks whether the browser is the user's own, so that no second factor is
// asked for in it; the answer is posted to Action+"/trust" as decision=yes or
// decision=no.
type Trust struct {
	Frame
	Days int // for how long
}

// Consent asks whether the application may have what it asks for; the answer is
// posted to Action+"/consent" as decision=allow or decision=deny.
type Consent struct {
	Frame
	Scopes       []string // one without a sentence of its own is shown as it is
	APIs         []API    // where it wants to act for the user
	RedirectHost string   // where the answer goes
	Remember     bool     // the answer holds for next time
	Asked        string   // which question is answered
	// Device is the one that gets what is allowed; nil: the application's browser does.
	Device *AskingDevice
}

// AskingDevice is a device that waits for the answer.
type AskingDevice struct {
	Address string // where it asked from
	Minutes int    // ago
	Stays   string // it can refresh, and this is where the user can end that; "" if it cannot
}

// API is an application that the client wants to use for the user.
type API struct {
	Name   string
	Scopes []string // shown as they are
}

// FormPost sends an authorization response to the application (OAuth 2.0 Form
// Post Response Mode §2).
type FormPost struct {
	Frame
	URL    string
	Fields []Field
}

// SignedOut says that the session has ended.
type SignedOut struct {
	Frame
	URL string // where to continue, "" for nowhere
}

// ConfirmLogout asks before the session ends, and posts Fields to
// Base+"/end_session/confirm".
type ConfirmLogout struct {
	Frame
	Fields []Field
}

// Account is a user's own account. With Changing each part has its forms, posted to
// Action+"/rename", "/remove", "/codes", "/new_password", "/end_session",
// "/end_others", "/end_device", "/revoke", "/language" and, to leave, "/cancel";
// without it one button, posted to Base+"/account".
type Account struct {
	Frame
	Changing     bool
	Name, Email  string
	Factors      []Factor
	CodesLeft    int  // unused recovery codes
	FewCodes     bool // so few that new ones are due
	MayAdd       bool
	MustConfirm  bool // before a first one can be added: a code, by a post to Action+"/mail_code"
	Keys, Apps   bool // which can be added
	Mail         bool
	HasPassword  bool
	Least        int // characters of a new password
	Sessions     []Session
	Devices      []Session
	Applications []Application
	History      []Happening
	Locale       string // that the user prefers, "" for the browser's
	Locales      []Language
	Scheme       string // of colours, in this browser; "" for the device's
}

// Factor is a second factor of the account.
type Factor struct {
	ID, Kind, Name  string
	Added, LastUsed Moment
	Removable       bool
	Off             bool // it cannot be used
}

// Session is a browser that is signed in, or trusted.
type Session struct {
	ID              string
	Browser, System string // names; "" if unknown
	Address         string
	Since, LastSeen Moment
	This            bool // the one that shows the page
}

// Application is what an application has of the user.
type Application struct {
	ID, Name string
	Scopes   []string // allowed for good, since Since
	Since    Moment
	LastUsed Moment // the last sign-in that it still has something of
	Stays    bool   // signed in, when the browser is not
}

// Happening is a line of the user's history.
type Happening struct {
	Code    string // names the text "event.<code>"
	At      Moment
	Address string
}

// Language is one that pages are to be had in.
type Language struct{ Code, Name string }

// Moment is a time as it is shown; "" for never.
type Moment string

// Message is a page that only says something.
type Message struct {
	Frame
	// Code names the texts "message.<code>.title" and "message.<code>.text".
	Code string
	// Detail is a sentence for the application's developer, "" for none.
	Detail    string
	RequestID string
	// BackURL is where a link labelled BackLabel leads, "" for no link.
	BackURL, BackLabel string
	// Status is the HTTP status that the page goes with; it is not shown.
	Status int
}

// Field is a hidden field of a form.
type Field struct{ Name, Value string }

func (Invitation) name() string    { return "invitation" }
func (Login) name() string         { return "login" }
func (Forgot) name() string        { return "forgot" }
func (Device) name() string        { return "device" }
func (Register) name() string      { return "register" }
func (Profile) name() string       { return "profile" }
func (ConfirmEmail) name() string  { return "confirm_email" }
func (Reset) name() string         { return "reset" }
func (SecondFactor) name() string  { return "second_factor" }
func (Enroll) name() string        { return "enroll" }
func (SaveCodes) name() string     { return "save_codes" }
func (Trust) name() string         { return "trust" }
func (Consent) name() string       { return "consent" }
func (FormPost) name() string      { return "form_post" }
func (SignedOut) name() string     { return "signed_out" }
func (ConfirmLogout) name() string { return "confirm_logout" }
func (Account) name() string       { return "account" }
func (Message) name() string       { return "message" }

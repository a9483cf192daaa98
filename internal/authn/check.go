package authn

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/store"
)

// The answers of a check that a user can cause. They say neither which of login
// and password was wrong nor whether there is such a user.
var (
	ErrCredentials = errors.New("authn: wrong login or password")
	ErrCode        = errors.New("authn: wrong code")
	ErrCodeUsed    = errors.New("authn: code used before")
)

// ThrottledError says that no attempt is accepted now.
type ThrottledError struct {
	// RetryAt is when the next one is; zero if time does not help and an operator
	// must lift it.
	RetryAt time.Time
}

func (e *ThrottledError) Error() string { return "authn: throttled" }

// WrongCodeError is ErrCode with the number of wrong codes of the kind in a row, this
// one included.
type WrongCodeError struct{ InARow int }

func (e *WrongCodeError) Error() string { return ErrCode.Error() }

// Is makes it ErrCode.
func (e *WrongCodeError) Is(target error) bool { return target == ErrCode }

// AttemptError is an error of an attempt to sign in with the user whose login or
// credential it was: for the audit log, and never for who attempted it.
type AttemptError struct {
	UserID string
	Err    error
}

func (e *AttemptError) Error() string { return e.Err.Error() }

// Unwrap returns the error.
func (e *AttemptError) Unwrap() error { return e.Err }

// How many failures in a row are accepted before nothing is (NIST SP 800-63B-4
// §3.2.2: at most 100). A password's sum over strangers and five known browsers.
const (
	limitStrangers    = 50
	limitKnownBrowser = 10
	limitCode         = 100
	limitSlow         = 300 // in windowSlow, whatever succeeds in between
	windowSlow        = 30 * 24 * time.Hour
	// idleStrangers is after how long without an attempt a name's failures seem to be
	// forgotten. Nobody's are. Somebody's are counted on: from limitStrangers of them
	// no password is right any more, which looks like a wrong one. So names that
	// nobody has take no room for ever, and cannot be told from others by that.
	idleStrangers = 30 * 24 * time.Hour
)

// Checker checks people: what they know and what they have. Every attempt is
// counted durably before it is checked.
type Checker struct {
	Store interface {
		store.Users
		store.Throttle
	}
	Hasher *Hasher
	Sealer *keys.Sealer
	// ThrottleKey keys the HMAC of what is counted, so that the table does not
	// tell which names were tried.
	ThrottleKey []byte
	MailKey     MailKey
	Now         func() time.Time
}

// PasswordAttempt is what a browser sends.
type PasswordAttempt struct {
	Login, Password string
	// KnownBrowser is the browser's id if its cookie is good for this login key, "" else.
	KnownBrowser string
}

// SignedIn is a right password's answer.
type SignedIn struct {
	User *store.User
	// Settle is what the success does to the counters, recorded with the proof.
	Settle store.Settle
	// Known: the user has signed in with this browser before.
	Known bool
}

// CheckPassword returns the user whose login and password these are.
// ErrCredentials, a *ThrottledError or ErrBusy otherwise, in an *AttemptError if
// there is a user of that login. An unknown, disabled or passwordless user costs
// the same.
func (c *Checker) CheckPassword(ctx context.Context, a PasswordAttempt) (SignedIn, error) {
	key, err := LoginKey(a.Login)
	if err != nil {
		key = "\x00" + a.Login // no user has it, and it is counted like any other
	}
	known, u, err := c.lookUp(ctx, key, a.KnownBrowser)
	if err != nil {
		return SignedIn{}, err
	}
	in, err := c.checkPassword(ctx, a, key, known, u)
	if err != nil && u != nil {
		err = &AttemptError{UserID: u.ID, Err: err}
	}
	return in, err
}

func (c *Checker) checkPassword(ctx context.Context, a PasswordAttempt, key, known string, u *store.User) (SignedIn, error) {
	turn, err := c.Hasher.Turn(ctx, known != "")
	if err != nil {
		return SignedIn{}, err // before the count: it was no attempt, and a flood writes nothing
	}
	defer turn.End()
	buckets, settle := c.passwordBuckets(key, known, u != nil)
	verdict, err := c.attempt(ctx, buckets)
	if err != nil {
		return SignedIn{}, err
	}
	if u == nil || u.Disabled || u.PasswordHash == "" || verdict.Total > limitStrangers {
		turn.VerifyDummy(a.Password)
		return SignedIn{}, ErrCredentials
	}
	ok, rehash, err := turn.Verify(u.PasswordHash, a.Password)
	turn.End()
	switch {
	case err != nil:
		return SignedIn{}, fmt.Errorf("verify password: %w", err)
	case !ok:
		return SignedIn{}, ErrCredentials
	case rehash:
		c.rehash(ctx, u, a.Password)
	}
	return SignedIn{User: u, Settle: settle, Known: known != ""}, nil
}

// lookUp returns the user of a login key, nil if there is none, and the id of
// the browser if that user knows it.
func (c *Checker) lookUp(ctx context.Context, key, browser string) (string, *store.User, error) {
	u, err := c.Store.UserByLogin(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, fmt.Errorf("load user: %w", err)
	}
	known, err := c.Knows(ctx, u, browser)
	if err != nil {
		return "", nil, err
	}
	if !known {
		browser = ""
	}
	return browser, u, nil
}

// Knows reports whether the user knows the browser of an id; none has the id "".
func (c *Checker) Knows(ctx context.Context, u *store.User, browser string) (bool, error) {
	if browser == "" {
		return false, nil
	}
	known, err := c.Store.KnownBrowser(ctx, browser, u.ID)
	if err != nil {
		return false, fmt.Errorf("load known browser: %w", err)
	}
	return known, nil
}

func (c *Checker) passwordBuckets(loginKey, browser string, owned bool) ([]store.Bucket, store.Settle) {
	fast := store.Bucket{Key: c.bucketKey("password", loginKey), Limit: limitStrangers, Delays: true, Idle: idleStrangers, Owned: owned}
	if browser != "" {
		fast = store.Bucket{Key: c.bucketKey("password-known", browser), Limit: limitKnownBrowser, Delays: true}
	}
	slow := store.Bucket{Key: c.bucketKey("password-30d", loginKey+"\x00"+browser), Limit: limitSlow, Window: windowSlow}
	return []store.Bucket{fast, slow}, store.Settle{Reset: []string{fast.Key}, Refund: []string{slow.Key}}
}

// Settle does to the counters what a success does, where no proof is recorded with
// it.
func (c *Checker) Settle(ctx context.Context, s store.Settle) error {
	if err := c.Store.SettleAttempt(ctx, s); err != nil {
		return fmt.Errorf("settle attempt: %w", err)
	}
	return nil
}

// Forgiven is what a new password does to the counters of strangers: they failed
// at the old one.
func (c *Checker) Forgiven(u *store.User) store.Settle {
	buckets, _ := c.passwordBuckets(u.LoginKey, "", true)
	var settle store.Settle
	for _, b := range buckets {
		settle.Reset = append(settle.Reset, b.Key)
	}
	return settle
}

// rehash brings an old hash to today's parameters. Failing is no reason to keep
// the user out: the next sign-in tries again.
func (c *Checker) rehash(ctx context.Context, u *store.User, password string) {
	if hash, err := c.Hasher.Hash(ctx, password); err == nil {
		_ = c.Store.SetPasswordHash(ctx, u.ID, u.PasswordHash, hash)
	}
}

// CheckTOTP returns the authenticator and the step that the code is right for.
// Accepting the step, once, is the store's (UseTOTPStep). A *WrongCodeError or a
// *ThrottledError otherwise.
func (c *Checker) CheckTOTP(ctx context.Context, list []store.Authenticator, code string) (id string, step int64, settle store.Settle, err error) {
	buckets, settle := c.codeBuckets(list, store.KindTOTP)
	if len(buckets) == 0 {
		return "", 0, settle, ErrCode
	}
	verdict, err := c.attempt(ctx, buckets)
	if err != nil {
		return "", 0, settle, err
	}
	wrong := &WrongCodeError{InARow: verdict.Total}
	digits, err := ParseCode(code)
	if err != nil {
		return "", 0, settle, wrong
	}
	for _, a := range usable(list, store.KindTOTP) {
		secret, err := c.Sealer.Open(a.Secret, SecretPlace(a.ID, a.UserID))
		if err != nil {
			return "", 0, settle, fmt.Errorf("open totp secret: %w", err)
		}
		step, ok := FindTOTPStep(secret, digits, c.Now())
		switch {
		case ok && step <= a.LastStep:
			return "", 0, settle, ErrCodeUsed
		case ok:
			return a.ID, step, settle, nil
		}
	}
	return "", 0, settle, wrong
}

// RecoveryAttempt is a recovery code that was typed.
type RecoveryAttempt struct {
	Set    string // the id of the set
	Hash   []byte
	Settle store.Settle
	// Wrong is the answer if the code is none of the set's.
	Wrong *WrongCodeError
}

// CheckRecovery counts the attempt and hashes the code. Whether it is one of the
// set's, and unused, is the store's to say (UseRecoveryCode). ErrCode, ErrBusy or a
// *ThrottledError otherwise.
func (c *Checker) CheckRecovery(ctx context.Context, list []store.Authenticator, code string) (RecoveryAttempt, error) {
	buckets, settle := c.codeBuckets(list, store.KindRecovery)
	if len(buckets) == 0 {
		return RecoveryAttempt{}, ErrCode
	}
	turn, err := c.Hasher.Turn(ctx, false)
	if err != nil {
		return RecoveryAttempt{}, err
	}
	defer turn.End()
	verdict, err := c.attempt(ctx, buckets)
	if err != nil {
		return RecoveryAttempt{}, err
	}
	wrong := &WrongCodeError{InARow: verdict.Total}
	plain, err := ParseRecoveryCode(code)
	if err != nil {
		return RecoveryAttempt{}, wrong
	}
	set := usable(list, store.KindRecovery)[0]
	return RecoveryAttempt{Set: set.ID, Hash: turn.HashRecovery(set.Secret, plain), Settle: settle, Wrong: wrong}, nil
}

// codeBuckets counts an attempt against each authenticator of a kind: a new
// request or a new session resets nothing (NIST SP 800-63B-4 §3.2.2).
func (c *Checker) codeBuckets(list []store.Authenticator, kind store.AuthenticatorKind) (buckets []store.Bucket, settle store.Settle) {
	for i, a := range usable(list, kind) {
		fast := store.Bucket{Key: c.bucketKey("code", a.ID), Limit: limitCode, Delays: true, Owned: i == 0} // one tells how many in a row
		slow := store.Bucket{Key: c.bucketKey("code-30d", a.ID), Limit: limitSlow, Window: windowSlow}
		buckets = append(buckets, fast, slow)
		settle.Reset = append(settle.Reset, fast.Key)
		settle.Refund = append(settle.Refund, slow.Key)
	}
	return buckets, settle
}

func usable(list []store.Authenticator, kind store.AuthenticatorKind) []store.Authenticator {
	var of []store.Authenticator
	for _, a := range list {
		if a.Kind == kind && Usable(a) {
			of = append(of, a)
		}
	}
	return of
}

func (c *Checker) attempt(ctx context.Context, buckets []store.Bucket) (store.Verdict, error) {
	v, err := c.Store.Attempt(ctx, buckets, c.Now())
	if err != nil {
		return v, fmt.Errorf("count attempt: %w", err)
	}
	if !v.Allowed {
		return v, &ThrottledError{RetryAt: v.RetryAt}
	}
	return v, nil
}

func (c *Checker) bucketKey(kind, of string) string {
	mac := hmac.New(sha256.New, c.ThrottleKey)
	mac.Write([]byte(kind + "\x00" + of))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// SecretPlace is where the secret of a TOTP authenticator stays, enrolled or
// about to be.
func SecretPlace(id, userID string) keys.Place {
	return keys.Place{Table: "authenticators", Column: "secret", Row: id, Owner: userID}
}

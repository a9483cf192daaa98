package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
	"github.com/sallyport-id/sallyport/internal/store/storetest"
)

// recorder is a testing.TB that remembers whether a check failed.
type recorder struct {
	testing.TB
	mu     sync.Mutex
	failed bool
}

func (r *recorder) Helper() {}

func (r *recorder) fail() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = true
}

func (r *recorder) Errorf(string, ...any) { r.fail() }
func (r *recorder) Error(...any)          { r.fail() }

func (r *recorder) Fatalf(string, ...any) {
	r.fail()
	runtime.Goexit()
}

func (r *recorder) Fatal(...any) {
	r.fail()
	runtime.Goexit()
}

// TestBrokenStoresFail breaks a store in one way each, and wants the check that
// is there for it to see it. Where it is a race that is lost only sometimes, the
// check gets a few tries.
func TestBrokenStoresFail(t *testing.T) {
	t.Parallel()
	for check, breakIt := range map[string]func(*sqlstore.Store) store.Store{
		"CodeRedeemedOnce":               func(s *sqlstore.Store) store.Store { return &loadCheckMark{Store: s, used: map[string]bool{}} },
		"DeviceCodeRedeemedOnce":         func(s *sqlstore.Store) store.Store { return &loadCheckMark{Store: s, used: map[string]bool{}} },
		"UsedOnce":                       func(s *sqlstore.Store) store.Store { return &loadCheckMark{Store: s, used: map[string]bool{}} },
		"CodeWrongSecretIsNeverReuse":    func(s *sqlstore.Store) store.Store { return &ignoresSecret{s} },
		"RemoveResourceLeavesNoHeir":     func(s *sqlstore.Store) store.Store { return &findsByURI{s} },
		"ClientChangedByOne":             func(s *sqlstore.Store) store.Store { return &looksAtClient{s} },
		"ClientTokenEndsWithItsClient":   func(s *sqlstore.Store) store.Store { return &bornAgain{Store: s} },
		"TOTPStepAcceptedOnce":           func(s *sqlstore.Store) store.Store { return &checksSteps{s} },
		"TOTPStepsOnlyRise":              func(s *sqlstore.Store) store.Store { return &checksSteps{s} },
		"AssertionTakenOnce":             func(s *sqlstore.Store) store.Store { return &looksForChallenge{s} },
		"CountersOnlyRise":               func(s *sqlstore.Store) store.Store { return &looksAtCounter{s} },
		"SignInTakenOnce":                func(s *sqlstore.Store) store.Store { return &looksBeforeSignIn{s} },
		"AloneAfterBothFactors":          func(s *sqlstore.Store) store.Store { return &forgetsAlone{s} },
		"AddProofNeverLost":              func(s *sqlstore.Store) store.Store { return &losesProofs{Store: s} },
		"AddProofRotatesByVersion":       func(s *sqlstore.Store) store.Store { return &alwaysRotates{s} },
		"AddProofForAnotherUser":         func(s *sqlstore.Store) store.Store { return &mergesUsers{s} },
		"AttemptNeverLost":               func(s *sqlstore.Store) store.Store { return &losesCounts{Store: s, counts: map[string]int{}} },
		"AttemptStopsAtLimit":            func(s *sqlstore.Store) store.Store { return &losesCounts{Store: s, counts: map[string]int{}} },
		"AttemptAllOrNone":               func(s *sqlstore.Store) store.Store { return &countsOneByOne{s} },
		"UpdateInteractionOneWinner":     func(s *sqlstore.Store) store.Store { return &lastWriterWins{s} },
		"PushedAnsweredOnce":             func(s *sqlstore.Store) store.Store { return &leavesPushed{s} },
		"FinishInteractionOnce":          func(s *sqlstore.Store) store.Store { return &leavesInteraction{s} },
		"FinishWhileTheSessionEnds":      func(s *sqlstore.Store) store.Store { return &sessionsNeverEnd{s} },
		"RotateRefreshOnce":              func(s *sqlstore.Store) store.Store { return &rotatesAnew{s} },
		"RotateRefreshOneDescendant":     func(s *sqlstore.Store) store.Store { return &rotatesAnew{s} },
		"RecoveryCodeEndsEverythingElse": func(s *sqlstore.Store) store.Store { return &recoversQuietly{s} },
		"InvitationRedeemedByOneBrowser": func(s *sqlstore.Store) store.Store { return &looksForInvitation{s} },
		"InvitationRedeemedAllOrNothing": func(s *sqlstore.Store) store.Store { return &looksForInvitation{s} },
		"RegisteredByOne":                func(s *sqlstore.Store) store.Store { return &looksForAddress{s} },
		"InvitationSkippedOrRedeemed":    func(s *sqlstore.Store) store.Store { return &looksForInvitation{s} },
		"InvitationEndsWithTheUser":      func(s *sqlstore.Store) store.Store { return &looksForInvitation{s} },
		"PasswordResetAllOrNothing":      func(s *sqlstore.Store) store.Store { return &resetsByMailAlone{s} },
		"NextMailClaimedOnce":            func(s *sqlstore.Store) store.Store { return &looksForMail{s} },
		"NextLogoutClaimedOnce":          func(s *sqlstore.Store) store.Store { return &looksForLogout{s} },
		"LogoutOfTheLastAnswer":          func(s *sqlstore.Store) store.Store { return &tellsBefore{s} },
		"ResetUserEndsEverything":        func(s *sqlstore.Store) store.Store { return &resetsByLinkAlone{s} },
		"DeviceSecretUsedOnce":           func(s *sqlstore.Store) store.Store { return &looksForDevice{s} },
		"DeviceEndsOrIsUsed":             func(s *sqlstore.Store) store.Store { return &looksForDevice{s} },
		"MailCodeUsedOnce":               func(s *sqlstore.Store) store.Store { return &leavesMailCode{s} },
		"BypassUsedOnce":                 func(s *sqlstore.Store) store.Store { return &looksForBypass{s} },
		"BypassEnrolsWhereItWasUsed":     func(s *sqlstore.Store) store.Store { return &enrolsAnybody{s} },
		"SigningKeyOnlyFirst":            func(s *sqlstore.Store) store.Store { return &looksForKeys{Store: s, have: map[string]bool{}} },
		"SigningKeyOneNext":              func(s *sqlstore.Store) store.Store { return &looksForKeys{Store: s, have: map[string]bool{}} },
		"SecretMadeOnce":                 func(s *sqlstore.Store) store.Store { return &looksForKeys{Store: s, have: map[string]bool{}} },
		"SealedReplacedIfUnchanged":      func(s *sqlstore.Store) store.Store { return &reseals{s} },
		"EventsOnlyWithTheirVerb":        func(s *sqlstore.Store) store.Store { return &recordsBefore{s} },
		"SessionEndRecordedOnce":         func(s *sqlstore.Store) store.Store { return &endsLoudly{s} },
		"SweepDeletesNothingElse":        func(s *sqlstore.Store) store.Store { return &sweepsEarly{s} },
		"RestoreVoidsWhatIsSpentOnce":    func(s *sqlstore.Store) store.Store { return &revokesOnly{s} },
		"SetRulesOneWinner":              func(s *sqlstore.Store) store.Store { return &looksAtRules{s} },
		"CancelledIsNotDone":             func(s *sqlstore.Store) store.Store { return &deafToCancel{s} },
	} {
		t.Run(check, func(t *testing.T) {
			t.Parallel()
			for range 20 {
				if bites(t, check, breakIt) {
					return
				}
			}
			t.Error("the check did not see it")
		})
	}
}

func bites(t *testing.T, name string, breakIt func(*sqlstore.Store) store.Store) bool {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: filepath.Join(t.TempDir(), "test.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	i := slices.IndexFunc(storetest.Checks, func(c storetest.Check) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("there is no check %s", name)
	}
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		storetest.Checks[i].Run(r, breakIt(s))
	}()
	<-done
	return r.failed
}

// loadCheckMark looks whether a code is used, and then marks it.
type loadCheckMark struct {
	*sqlstore.Store
	mu   sync.Mutex
	used map[string]bool
}

func (s *loadCheckMark) RedeemCode(_ context.Context, id string, _ []byte, _ time.Time, _ store.Tokens) error {
	return s.use(id)
}

// RedeemDeviceCode is as bad.
func (s *loadCheckMark) RedeemDeviceCode(_ context.Context, id string, _ []byte, _ time.Time, _ store.Tokens) error {
	return s.use(id)
}

// UseOnce is as bad.
func (s *loadCheckMark) UseOnce(_ context.Context, kind, name string, _, _ time.Time) error {
	return s.use(kind + name)
}

func (s *loadCheckMark) use(id string) error {
	s.mu.Lock()
	used := s.used[id]
	s.mu.Unlock()
	if used {
		return store.ErrUsed
	}
	time.Sleep(time.Millisecond) // so that others look, too
	s.mu.Lock()
	s.used[id] = true
	s.mu.Unlock()
	return nil
}

// findsByURI makes tokens for whatever has the URI.
type findsByURI struct{ *sqlstore.Store }

func (s *findsByURI) IssueClientToken(ctx context.Context, t *store.ClientToken, events ...store.Event) error {
	r, err := s.Resource(ctx, t.Resource.URI)
	if err != nil {
		return err
	}
	heirs := *t
	heirs.Resource = r
	return s.Store.IssueClientToken(ctx, &heirs, events...)
}

// looksAtClient looks whether the client is what it was, and then changes it whatever it
// is by then.
type looksAtClient struct{ *sqlstore.Store }

func (s *looksAtClient) UpdateClient(ctx context.Context, old, c *oidc.Client, events ...store.Event) error {
	if now, err := s.Client(ctx, c.ID); err != nil || !reflect.DeepEqual(now, old) {
		return errors.Join(err, store.ErrStale)
	}
	for {
		now, err := s.Client(ctx, c.ID)
		if err != nil {
			return err
		}
		if err := s.Store.UpdateClient(ctx, now, c, events...); !errors.Is(err, store.ErrStale) {
			return err
		}
	}
}

// bornAgain disables a client instead of removing it, and lets the next have its
// row.
type bornAgain struct{ *sqlstore.Store }

func (s *bornAgain) RemoveClient(ctx context.Context, id string, _ time.Time, events ...store.Event) error {
	return s.become(ctx, &oidc.Client{ID: id, Disabled: true}, events...)
}

func (s *bornAgain) become(ctx context.Context, c *oidc.Client, events ...store.Event) error {
	old, err := s.Client(ctx, c.ID)
	if err != nil {
		return err
	}
	return s.UpdateClient(ctx, old, c, events...)
}

func (s *bornAgain) CreateClient(ctx context.Context, c *oidc.Client, events ...store.Event) error {
	if err := s.become(ctx, c); err == nil {
		return nil
	}
	return s.Store.CreateClient(ctx, c, events...)
}

// checksSteps reads the last step and, if the new one is greater, takes it.
type checksSteps struct{ *sqlstore.Store }

func (s *checksSteps) UseTOTPStep(ctx context.Context, id string, step int64, p store.AddProof) error {
	list, err := s.Authenticators(ctx, p.UserID)
	if err != nil {
		return err
	}
	if list[0].LastStep >= step {
		return store.ErrUsed
	}
	if err := s.Store.UseTOTPStep(ctx, id, step, p); !errors.Is(err, store.ErrUsed) {
		return err
	}
	return s.Store.AddProof(ctx, p)
}

// looksForChallenge takes an answer if its challenge waits when it looks.
type looksForChallenge struct{ *sqlstore.Store }

func (s *looksForChallenge) UseAssertion(ctx context.Context, a store.Assertion) error {
	i, err := s.Interaction(ctx, a.Interaction.ID, a.Interaction.BrowserHash, a.Proof.Now)
	if err != nil {
		return err
	}
	if i.Version != a.Interaction.Version {
		return store.ErrStale
	}
	if err := s.Store.UseAssertion(ctx, a); !errors.Is(err, store.ErrStale) {
		return err
	}
	return s.Store.AddProof(ctx, a.Proof)
}

// looksAtCounter reads the counter and, if the new one is greater, takes it.
type looksAtCounter struct{ *sqlstore.Store }

func (s *looksAtCounter) UseAssertion(ctx context.Context, a store.Assertion) error {
	list, err := s.Authenticators(ctx, a.Proof.UserID)
	if err != nil {
		return err
	}
	if list[0].Credential.SignCount >= a.Credential.SignCount {
		return store.ErrUsed
	}
	if err := s.Store.UseAssertion(ctx, a); !errors.Is(err, store.ErrUsed) {
		return err
	}
	return s.Store.AddProof(ctx, a.Proof)
}

// looksBeforeSignIn takes an answer if its challenge waits when it looks.
type looksBeforeSignIn struct{ *sqlstore.Store }

func (s *looksBeforeSignIn) StartWithAssertion(ctx context.Context, a store.SignIn) error {
	i, err := s.Interaction(ctx, a.Interaction.ID, a.Interaction.BrowserHash, a.Session.CreatedAt)
	if err != nil {
		return err
	}
	if i.Version != a.Interaction.Version {
		return store.ErrStale
	}
	if err := s.Store.StartWithAssertion(ctx, a); !errors.Is(err, store.ErrStale) {
		return err
	}
	return s.Store.StartSession(ctx, a.Session, a.Replaces, "", store.Settle{})
}

// forgetsAlone does not ask whether a credential may stand for its user.
type forgetsAlone struct{ *sqlstore.Store }

func (s *forgetsAlone) UseAssertion(ctx context.Context, a store.Assertion) error {
	a.WasAlone = false
	return s.Store.UseAssertion(ctx, a)
}

// losesProofs keeps the first proof and drops whatever comes later.
type losesProofs struct {
	*sqlstore.Store
	kept atomic.Bool
}

func (s *losesProofs) AddProof(ctx context.Context, p store.AddProof) error {
	if s.kept.Swap(true) {
		*p.Rotated = false
		return nil
	}
	return s.Store.AddProof(ctx, p)
}

// mergesUsers takes whoever's proof as the session's user's.
type mergesUsers struct{ *sqlstore.Store }

func (s *mergesUsers) AddProof(ctx context.Context, p store.AddProof) error {
	if err := s.Store.AddProof(ctx, p); !errors.Is(err, store.ErrStale) {
		return err
	}
	return nil
}

// countsOneByOne counts in each bucket for itself.
type countsOneByOne struct{ *sqlstore.Store }

func (s *countsOneByOne) Attempt(ctx context.Context, buckets []store.Bucket, now time.Time) (v store.Verdict, err error) {
	v.Allowed = true
	for i := range buckets {
		one, err := s.Store.Attempt(ctx, buckets[i:i+1], now)
		if err != nil {
			return v, err
		}
		v.Allowed = v.Allowed && one.Allowed
		v.Failures = max(v.Failures, one.Failures)
	}
	return v, nil
}

// leavesInteraction finishes without taking the interaction.
type leavesInteraction struct{ *sqlstore.Store }

func (s *leavesInteraction) FinishInteraction(ctx context.Context, f store.Finish) error {
	f.InteractionID = ""
	return s.Store.FinishInteraction(ctx, f)
}

// leavesPushed finishes without answering the pushed request.
type leavesPushed struct{ *sqlstore.Store }

func (s *leavesPushed) FinishInteraction(ctx context.Context, f store.Finish) error {
	f.PushedRequest = ""
	return s.Store.FinishInteraction(ctx, f)
}

// looksForKeys looks whether there is a key, and then adds one.
type looksForKeys struct {
	*sqlstore.Store
	mu   sync.Mutex
	have map[string]bool
}

func (s *looksForKeys) AddFirstSigningKey(_ context.Context, k store.SigningKey, _ ...store.Event) error {
	return s.add("the first of "+k.Alg, store.ErrExists)
}

func (s *looksForKeys) RotateSigningKey(_ context.Context, r store.Rotation) error {
	return s.add("the one after "+r.Replaces, store.ErrStale)
}

func (s *looksForKeys) AddSecret(_ context.Context, purpose string, _ []byte) error {
	return s.add("the secret of "+purpose, store.ErrExists)
}

func (s *looksForKeys) add(which string, otherwise error) error {
	s.mu.Lock()
	have := s.have[which]
	s.mu.Unlock()
	if have {
		return otherwise
	}
	time.Sleep(time.Millisecond) // so that others look, too
	s.mu.Lock()
	s.have[which] = true
	s.mu.Unlock()
	return nil
}

// reseals replaces what is there, whatever it has become.
type reseals struct{ *sqlstore.Store }

func (s *reseals) ReplaceSealed(ctx context.Context, old []store.SealedValue, fresh [][]byte) (int, error) {
	all, err := s.SealedValues(ctx, store.SealedValue{}, 1000)
	if err != nil {
		return 0, err
	}
	now := slices.Clone(old)
	for i := range now {
		for _, v := range all {
			if v.Row == now[i].Row {
				now[i] = v
			}
		}
	}
	return s.Store.ReplaceSealed(ctx, now, fresh)
}

// recordsBefore writes the events in a transaction of their own.
type recordsBefore struct{ *sqlstore.Store }

func (s *recordsBefore) CreateUser(ctx context.Context, u *store.User, events ...store.Event) error {
	return errors.Join(s.Record(ctx, events...), s.Store.CreateUser(ctx, u))
}

// endsLoudly records whoever ends a session, and not who has ended it.
type endsLoudly struct{ *sqlstore.Store }

func (s *endsLoudly) EndSession(ctx context.Context, id string, now time.Time, events ...store.Event) error {
	return errors.Join(s.Store.EndSession(ctx, id, now), s.Record(ctx, events...))
}

// deafToCancel goes on when nobody waits any more.
type deafToCancel struct{ *sqlstore.Store }

func (s *deafToCancel) CreateUser(ctx context.Context, u *store.User, events ...store.Event) error {
	return errors.Join(s.Store.CreateUser(context.WithoutCancel(ctx), u, events...), ctx.Err())
}

// alwaysRotates tells every caller that its secret was taken.
type alwaysRotates struct{ *sqlstore.Store }

func (s *alwaysRotates) AddProof(ctx context.Context, p store.AddProof) error {
	err := s.Store.AddProof(ctx, p)
	*p.Rotated = true
	return err
}

// ignoresSecret says "used" to whoever knows the id.
type ignoresSecret struct{ *sqlstore.Store }

func (s *ignoresSecret) RedeemCode(ctx context.Context, id string, hash []byte, now time.Time, t store.Tokens) error {
	err := s.Store.RedeemCode(ctx, id, hash, now, t)
	if errors.Is(err, store.ErrNotFound) {
		return store.ErrUsed
	}
	return err
}

// losesCounts reads a count, and writes it back one higher.
type losesCounts struct {
	*sqlstore.Store
	mu     sync.Mutex
	counts map[string]int
}

func (s *losesCounts) Attempt(_ context.Context, b []store.Bucket, _ time.Time) (store.Verdict, error) {
	s.mu.Lock()
	n := s.counts[b[0].Key]
	s.mu.Unlock()
	if n >= b[0].Limit {
		return store.Verdict{Failures: n}, nil
	}
	time.Sleep(time.Millisecond) // so that others look, too
	s.mu.Lock()
	s.counts[b[0].Key] = n + 1
	s.mu.Unlock()
	return store.Verdict{Allowed: true, Failures: n + 1}, nil
}

// lastWriterWins reads the newest version first.
type lastWriterWins struct{ *sqlstore.Store }

func (s *lastWriterWins) UpdateInteraction(ctx context.Context, i *store.Interaction, now time.Time, events ...store.Event) error {
	for {
		newest, err := s.Interaction(ctx, i.ID, i.BrowserHash, now)
		if err != nil {
			return store.ErrStale
		}
		i.Version = newest.Version
		if err := s.Store.UpdateInteraction(ctx, i, now, events...); !errors.Is(err, store.ErrStale) {
			return err
		}
	}
}

// looksAtRules compares the version before it writes.
type looksAtRules struct{ *sqlstore.Store }

func (s *looksAtRules) SetRules(ctx context.Context, text string, version int64, events ...store.Event) error {
	if _, newest, err := s.Rules(ctx); err != nil || newest != version {
		return errors.Join(err, store.ErrStale)
	}
	for {
		_, newest, err := s.Rules(ctx)
		if err != nil {
			return err
		}
		if err := s.Store.SetRules(ctx, text, newest, events...); !errors.Is(err, store.ErrStale) {
			return err
		}
	}
}

// rotatesAnew gives every caller a token.
type rotatesAnew struct{ *sqlstore.Store }

func (s *rotatesAnew) RotateRefresh(ctx context.Context, id string, now time.Time, _ time.Duration, t store.Tokens) error {
	err := s.Store.RotateRefresh(ctx, id, now, time.Hour, t)
	if errors.Is(err, store.ErrUsed) {
		return nil
	}
	return err
}

// sessionsNeverEnd forgets to end them.
type sessionsNeverEnd struct{ *sqlstore.Store }

func (s *sessionsNeverEnd) EndSession(context.Context, string, time.Time, ...store.Event) error {
	return nil
}

// recoversQuietly records the proof and ends nothing.
type recoversQuietly struct{ *sqlstore.Store }

func (s *recoversQuietly) UseRecoveryCode(ctx context.Context, _ string, _ []byte, p store.AddProof) error {
	return s.AddProof(ctx, p)
}

// looksForInvitation looks whether the link is open, and then gives what it is for.
type looksForInvitation struct{ *sqlstore.Store }

func (s *looksForInvitation) RedeemInvitation(ctx context.Context, r store.Redemption) error {
	if _, err := s.OpenInvitation(ctx, r.Invited.UserID, r.Now); err != nil {
		return err
	}
	return errors.Join(s.SetPasswordHash(ctx, r.Invited.UserID, r.Invited.OldHash, r.Invited.NewHash),
		s.CreateAuthenticator(ctx, r.Authenticator, nil, r.Events...), s.ReplaceRecoveryCodes(ctx, r.Recovery, r.CodeHashes))
}

// looksForAddress looks whether somebody has the address, and then makes the user.
type looksForAddress struct{ *sqlstore.Store }

func (s *looksForAddress) Register(ctx context.Context, r store.Registration) error {
	if _, err := s.UserByEmail(ctx, r.User.Email); !errors.Is(err, store.ErrNotFound) {
		return store.ErrUsed
	}
	err := s.CreateUser(ctx, r.User, r.Events...)
	if errors.Is(err, store.ErrExists) {
		return store.ErrUsed
	}
	return err
}

// resetsByLinkAlone ends what was issued, and leaves what it was issued for.
type resetsByLinkAlone struct{ *sqlstore.Store }

func (s *resetsByLinkAlone) ResetUser(ctx context.Context, l *store.Link, _ bool, now time.Time, events ...store.Event) error {
	return s.RevokeUser(ctx, l.UserID, "", now, events...)
}

// resetsByMailAlone asks for no second factor.
type resetsByMailAlone struct{ *sqlstore.Store }

func (s *resetsByMailAlone) ResetPassword(ctx context.Context, r store.PasswordReset) error {
	_, u, err := s.PasswordReset(ctx, r.Link.ID, r.Link.SecretHash, r.Now)
	if err != nil {
		return err
	}
	return errors.Join(s.SetPasswordHash(ctx, u.ID, u.PasswordHash, r.NewHash), s.RevokeUser(ctx, u.ID, "", r.Now, r.Events...))
}

// looksForMail looks what is due, and then says that it has it.
type looksForMail struct{ *sqlstore.Store }

func (s *looksForMail) NextMail(ctx context.Context, now time.Time, lease time.Duration) (*store.Mail, error) {
	list, err := s.Mails(ctx, 1000)
	for _, m := range list {
		if !m.Dead && !m.DueAt.After(now) {
			err := s.MailFailed(ctx, &m, now.Add(lease), "")
			m.Attempts++
			return &m, err
		}
	}
	return nil, errors.Join(err, store.ErrNotFound)
}

// looksForLogout claims a message that it has looked for before.
type looksForLogout struct{ *sqlstore.Store }

func (s *looksForLogout) NextLogout(ctx context.Context, clientID string, now time.Time, lease time.Duration) (*store.Logout, error) {
	list, err := s.Logouts(ctx, clientID, 1000)
	for _, m := range list {
		if !m.DueAt.After(now) {
			err := s.LogoutFailed(ctx, &m, now.Add(lease), "")
			m.Attempts++
			return &m, err
		}
	}
	return nil, errors.Join(err, store.ErrNotFound)
}

// tellsBefore answers clients without a note of it.
type tellsBefore struct{ *sqlstore.Store }

func (s *tellsBefore) FinishInteraction(ctx context.Context, f store.Finish) error {
	sid := f.Grant.SID
	f.Grant.SID = ""
	defer func() { f.Grant.SID = sid }()
	return s.Store.FinishInteraction(ctx, f)
}

// sweepsEarly takes a day off what has not expired.
type sweepsEarly struct{ *sqlstore.Store }

func (s *sweepsEarly) Sweep(ctx context.Context, now time.Time) error {
	return s.Store.Sweep(ctx, now.Add(24*time.Hour))
}

// TestChecksHaveNames: each once, so that a failure can be run again.
func TestChecksHaveNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range storetest.Checks {
		if c.Name == "" || strings.ContainsAny(c.Name, " /") || seen[c.Name] {
			t.Error(fmt.Sprintf("bad name %q", c.Name))
		}
		seen[c.Name] = true
	}
}

// revokesOnly ends after a restore what was issued, and no more.
type revokesOnly struct{ *sqlstore.Store }

func (s *revokesOnly) AfterRestore(ctx context.Context, _ int64, now time.Time, _ ...store.Event) (done store.Restored, err error) {
	users, err := s.Users(ctx, "", 10)
	for _, u := range users {
		err = errors.Join(err, s.RevokeUser(ctx, u.ID, "", now))
	}
	return done, err
}

// looksForDevice sees that a device is there, and then grants without it.
type looksForDevice struct{ *sqlstore.Store }

func (s *looksForDevice) FinishInteraction(ctx context.Context, f store.Finish) error {
	if f.Device != nil {
		if _, err := s.TrustedDevice(ctx, f.Device.ID, f.Device.SecretHash, f.Now, f.Device.Grace); err != nil {
			return store.ErrStale
		}
	}
	f.Device, f.Grant.Device = nil, nil
	return s.Store.FinishInteraction(ctx, f)
}

// leavesMailCode adds the proof and leaves the code where it is.
type leavesMailCode struct{ *sqlstore.Store }

func (s *leavesMailCode) UseMailCode(ctx context.Context, u store.MailCodeUse) error {
	return s.AddProof(ctx, u.Proof)
}

// looksForBypass sees that a code is unused, and then takes it.
type looksForBypass struct{ *sqlstore.Store }

func (s *looksForBypass) UseBypass(ctx context.Context, u store.BypassUse) error {
	c, err := s.Bypass(ctx, u.UserID, u.Now)
	if err != nil {
		return err
	}
	if c.UsedIn != "" {
		return store.ErrUsed
	}
	if err := s.Store.UseBypass(ctx, u); !errors.Is(err, store.ErrUsed) {
		return err
	}
	return s.Record(ctx, u.Events...)
}

// enrolsAnybody takes a code for a right wherever it was used.
type enrolsAnybody struct{ *sqlstore.Store }

func (s *enrolsAnybody) EnrollFirst(ctx context.Context, e store.Enrollment) error {
	if e.Bypass == "" {
		return s.Store.EnrollFirst(ctx, e)
	}
	return s.CreateAuthenticator(ctx, e.Authenticator, nil)
}

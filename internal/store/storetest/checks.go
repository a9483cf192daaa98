package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

func isAny(err error, list []error) bool {
	return slices.ContainsFunc(list, func(e error) bool { return errors.Is(err, e) })
}

// Checks are all promises.
var Checks = []Check{
	{"ClientIDIsUnique", checkClients},
	{"LoginKeyIsUnique", checkLoginKey},
	{"PasswordHashIsReplacedOnlyIfUnchanged", checkPasswordHash},
	{"SessionNeedsItsSecret", checkSession},
	{"StartSessionEndsTheOneItReplaces", checkStartSession},
	{"StartSessionNeedsTheUsersEpoch", checkStartSessionEpoch},
	{"ProofsAreNeverLostAndTheSecretRotatesOnce", checkProofRace},
	{"ASessionHasOneUser", checkOneUser},
	{"EndedSessionTakesNoProof", checkEndedSession},
	{"TOTPStepIsAcceptedOnce", checkTOTPOnce},
	{"TOTPStepsOnlyRise", checkTOTPRise},
	{"RecoveryCodeIsAcceptedOnce", checkRecoveryOnce},
	{"RecoveryCodeEndsEverythingElse", checkRecoveryEnds},
	{"FirstEnrollmentIsOnce", checkEnrollOnce},
	{"EnrollmentIsAllOrNothing", checkEnrollStale},
	{"InteractionNeedsItsBrowser", checkInteraction},
	{"InteractionIsUpdatedOnceAVersion", checkUpdateInteraction},
	{"InteractionIsFinishedOnce", checkFinishOnce},
	{"FinishNeedsTheSessionItWasDecidedOn", checkFinishStale},
	{"FinishRacesEndSession", checkFinishEnd},
	{"RefuseTakesTheInteraction", checkRefuse},
	{"CodeIsRedeemedOnce", checkCodeOnce},
	{"CodeNeedsItsSecretAndItsTime", checkCode},
	{"CodeEndsWithItsSession", checkCodeSession},
	{"CodeRacesRevokeUser", checkCodeRevoke},
	{"RefreshIsRotatedOnce", checkRotateOnce},
	{"LostRotationIsGivenAgainOnce", checkRotateRetry},
	{"RefreshRacesRevokeGrant", checkRotateRevoke},
	{"AccessEndsWithItsGrant", checkAccess},
	{"OfflineGrantOutlivesItsSession", checkOffline},
	{"DisabledUserHasNothing", checkDisable},
	{"ConsentIsKept", checkConsent},
	{"AttemptsAreNeverLost", checkThrottleRace},
	{"AttemptsAreDelayedAndRefused", checkThrottle},
	{"AttemptCountsInAllBucketsOrNone", checkThrottleAll},
	{"FiveBrowsersAreKnown", checkKnown},
	{"FirstKeyIsMadeOnce", checkKeys},
	{"EventsComeWithTheirVerb", checkEvents},
	{"SweepTakesWhatExpiredAndNothingElse", checkSweep},
	{"MetaIsKept", checkMeta},
}

func checkClients(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	oneWinner(t, race(racers, func(int) error { return s.CreateClient(w.ctx, &oidc.Client{ID: "new", Name: "New"}) }), store.ErrExists)
	_, err := s.Client(w.ctx, "nobody")
	w.want("unknown", err, store.ErrNotFound)
	w.must(s.UpdateClient(w.ctx, &oidc.Client{ID: "new", Name: "Renamed", MinLevel: oidc.Level2FA}))
	if c, err := s.Client(w.ctx, "new"); err != nil || c.Name != "Renamed" || c.MinLevel != oidc.Level2FA {
		t.Errorf("got %+v %v", c, err)
	}
	w.want("update of none", s.UpdateClient(w.ctx, &oidc.Client{ID: "nobody"}), store.ErrNotFound)
	w.must(s.RemoveClient(w.ctx, "new"))
	if list, err := s.Clients(w.ctx); err != nil || len(list) != 1 {
		t.Errorf("got %d clients, %v", len(list), err)
	}
}

func checkLoginKey(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	oneWinner(t, race(racers, func(i int) error {
		return s.CreateUser(w.ctx, &store.User{ID: store.NewID(), Login: fmt.Sprint("Joon", i), LoginKey: "joon", CreatedAt: w.now})
	}), store.ErrExists)
	w.want("an id again", s.CreateUser(w.ctx, &store.User{ID: w.user.ID, LoginKey: "else"}), store.ErrExists)
	_, err := s.UserByLogin(w.ctx, "nobody")
	w.want("unknown", err, store.ErrNotFound)
	if u, err := s.UserByLogin(w.ctx, "mina"); err != nil || u.ID != w.user.ID || !u.MayEnroll || !u.CreatedAt.Equal(w.now) {
		t.Errorf("got %+v %v", u, err)
	}
}

func checkPasswordHash(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	oneWinner(t, race(racers, func(i int) error { return s.SetPasswordHash(w.ctx, w.user.ID, "hash", fmt.Sprint(i)) }), store.ErrStale)
}

func checkSession(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	in, _ := w.signIn(w.user)
	got, err := s.Session(w.ctx, in.ID, in.SecretHash, w.now)
	if err != nil || got.UserID != w.user.ID || len(got.Proofs) != 1 || got.Version != 1 || !got.ExpiresAt.Equal(in.ExpiresAt) {
		t.Fatalf("got %+v %v", got, err)
	}
	if p := got.Proofs[0]; p.Method != store.MethodPassword || !p.At.Equal(w.now) || p.UserID != w.user.ID {
		t.Errorf("the proof: got %+v", p)
	}
	_, err = s.Session(w.ctx, in.ID, secret(), w.now)
	w.want("a wrong secret", err, store.ErrNotFound)
	_, err = s.Session(w.ctx, in.ID, in.SecretHash, in.ExpiresAt)
	w.want("past its end", err, store.ErrNotFound)
	w.must(s.EndSession(w.ctx, in.ID, w.now))
	w.must(s.EndSession(w.ctx, in.ID, w.now))
	_, err = s.Session(w.ctx, in.ID, in.SecretHash, w.now)
	w.want("ended", err, store.ErrNotFound)
}

func checkStartSession(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	old, bound := w.signIn(w.user)
	parked := w.addInteraction(old.ID)
	other := w.addUser("joon")
	next := &store.Session{ID: store.NewID(), SecretHash: secret(), UserID: other.ID, Version: 1, CreatedAt: w.now, LastSeenAt: w.now, ExpiresAt: w.now.Add(time.Hour)}
	w.must(s.StartSession(w.ctx, next, old.ID, bound.ID, store.Settle{}, nil))
	_, err := s.Session(w.ctx, old.ID, old.SecretHash, w.now)
	w.want("the replaced session", err, store.ErrNotFound)
	_, err = s.Interaction(w.ctx, parked.ID, parked.BrowserHash, w.now)
	w.want("its other interaction", err, store.ErrNotFound)
	if i, err := s.Interaction(w.ctx, bound.ID, bound.BrowserHash, w.now); err != nil || i.SessionID != next.ID {
		t.Errorf("the interaction: got %+v %v, want it bound to the new session", i, err)
	}
}

func checkStartSessionEpoch(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	i := w.addInteraction("")
	start := func() error {
		return s.StartSession(w.ctx, &store.Session{ID: store.NewID(), SecretHash: secret(), UserID: w.user.ID, UserEpoch: w.user.Epoch,
			Version: 1, CreatedAt: w.now, LastSeenAt: w.now, ExpiresAt: w.now.Add(time.Hour)}, "", i.ID, store.Settle{}, nil)
	}
	w.must(start())
	w.must(s.RevokeUser(w.ctx, w.user.ID, "", w.now))
	w.want("after a revocation", start(), store.ErrStale)
	w.user.Epoch++
	fresh := w.addInteraction("")
	i = fresh
	w.must(start())
	w.must(s.RefuseInteraction(w.ctx, fresh.ID, 1, w.now))
	w.want("without its interaction", start(), store.ErrStale)
}

func checkProofRace(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	in, i := w.signIn(w.user)
	proofs := make([]store.AddProof, racers)
	for _, err := range race(racers, func(n int) error {
		proofs[n] = w.proof(in, i, store.MethodTOTP)
		return s.AddProof(w.ctx, proofs[n])
	}) {
		w.want("a proof", err, nil)
	}
	lost := slices.DeleteFunc(slices.Clone(proofs), func(p store.AddProof) bool { return *p.Rotated })
	if len(lost) != racers-1 {
		t.Errorf("the secret rotated %d times, want 1", racers-len(lost))
	}
	won := slices.IndexFunc(proofs, func(p store.AddProof) bool { return *p.Rotated })
	got, err := s.Session(w.ctx, in.ID, proofs[max(won, 0)].NewSecretHash, w.now)
	if err != nil {
		t.Fatalf("the winner's secret: %v", err)
	}
	if len(got.Proofs) != racers+1 || got.Version != racers+1 {
		t.Errorf("got %d proofs and version %d, want %d of each", len(got.Proofs), got.Version, racers+1)
	}
}

func checkOneUser(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	in, i := w.signIn(w.user)
	p := w.proof(in, i, store.MethodPassword)
	p.UserID = w.addUser("joon").ID
	w.want("another user's proof", s.AddProof(w.ctx, p), store.ErrStale)
	if got, err := s.Session(w.ctx, in.ID, in.SecretHash, w.now); err != nil || len(got.Proofs) != 1 || got.UserID != w.user.ID {
		t.Errorf("got %+v %v", got, err)
	}
}

func checkEndedSession(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	in, i := w.signIn(w.user)
	w.must(s.EndSession(w.ctx, in.ID, w.now))
	w.want("a proof", s.AddProof(w.ctx, w.proof(in, i, store.MethodTOTP)), store.ErrNotFound)
	a := w.addTOTP(w.user)
	w.want("a step", s.UseTOTPStep(w.ctx, a.ID, 7, w.proof(in, i, store.MethodTOTP)), store.ErrNotFound)
	list, err := s.Authenticators(w.ctx, w.user.ID)
	if err != nil || list[0].LastStep != 0 {
		t.Errorf("the step was used all the same: %+v %v", list, err)
	}
}

func checkTOTPOnce(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	a := w.addTOTP(w.user)
	in, i := w.signIn(w.user)
	oneWinner(t, race(racers, func(int) error { return s.UseTOTPStep(w.ctx, a.ID, 7, w.proof(in, i, store.MethodTOTP)) }), store.ErrUsed)
	w.want("an earlier step", s.UseTOTPStep(w.ctx, a.ID, 6, w.proof(in, i, store.MethodTOTP)), store.ErrUsed)
	w.must(s.UseTOTPStep(w.ctx, a.ID, 8, w.proof(in, i, store.MethodTOTP)))
	other, j := w.signIn(w.addUser("joon"))
	w.want("another user's authenticator", s.UseTOTPStep(w.ctx, a.ID, 9, w.proof(other, j, store.MethodTOTP)), store.ErrUsed)
}

func checkTOTPRise(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	a := w.addTOTP(w.user)
	in, i := w.signIn(w.user)
	race(racers, func(n int) error { return s.UseTOTPStep(w.ctx, a.ID, int64(n+1), w.proof(in, i, store.MethodTOTP)) })
	list, err := s.Authenticators(w.ctx, w.user.ID)
	if err != nil || list[0].LastStep != racers {
		t.Errorf("the last step: got %d %v, want %d", list[0].LastStep, err, racers)
	}
}

func checkRecoveryOnce(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	a, hashes := w.addRecovery(w.user)
	in, i := w.signIn(w.user)
	oneWinner(t, race(racers, func(int) error {
		return s.UseRecoveryCode(w.ctx, a.ID, hashes[0], w.proof(in, i, store.MethodRecovery))
	}), store.ErrUsed)
	w.want("no code of the set", s.UseRecoveryCode(w.ctx, a.ID, secret(), w.proof(in, i, store.MethodRecovery)), store.ErrNotFound)
	list, err := s.Authenticators(w.ctx, w.user.ID)
	if err != nil || list[0].CodesLeft != 1 {
		t.Errorf("codes left: got %+v %v, want 1", list, err)
	}
	w.addRecovery(w.user)
	w.want("a code of the old set", s.UseRecoveryCode(w.ctx, a.ID, hashes[1], w.proof(in, i, store.MethodRecovery)), store.ErrNotFound)
}

func checkRecoveryEnds(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	held, _, thief := w.redeemed(true)
	a, hashes := w.addRecovery(w.user)
	in, i := w.signIn(w.user)
	p := w.proof(in, i, store.MethodRecovery)
	w.must(s.UseRecoveryCode(w.ctx, a.ID, hashes[0], p))
	w.want("another session's token", w.live(held.Access), store.ErrNotFound)
	w.want("another session's refresh token", w.liveRefresh(held.Refresh), store.ErrNotFound)
	_, err := s.Session(w.ctx, thief.ID, thief.SecretHash, w.now)
	w.want("another session", err, store.ErrNotFound)
	got, err := s.Session(w.ctx, in.ID, p.NewSecretHash, w.now)
	if err != nil || len(got.Proofs) != 2 {
		t.Fatalf("the session itself: got %+v %v", got, err)
	}
	w.must(s.FinishInteraction(w.ctx, w.finish(got, i, false)))
}

func (w *world) enrollment(in *store.Session, i *store.Interaction) store.Enrollment {
	totp := store.Authenticator{ID: store.NewID(), UserID: in.UserID, Kind: store.KindTOTP, Secret: []byte("s"), LastStep: 5, CreatedAt: w.now}
	set := store.Authenticator{ID: store.NewID(), UserID: in.UserID, Kind: store.KindRecovery, Secret: []byte("salt"), CreatedAt: w.now}
	return store.Enrollment{Authenticator: totp, Recovery: set, CodeHashes: [][]byte{secret()}, Proof: w.proof(in, i, store.MethodTOTP), Interaction: *i}
}

func checkEnrollOnce(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	errs := race(8, func(int) error {
		in, i := w.signIn(w.user)
		return s.EnrollFirst(w.ctx, w.enrollment(in, i))
	})
	oneWinner(t, errs, store.ErrUsed)
	list, err := s.Authenticators(w.ctx, w.user.ID)
	if err != nil || len(list) != 2 {
		t.Errorf("got %d authenticators %v, want one TOTP and one set", len(list), err)
	}
	if u, err := s.User(w.ctx, w.user.ID); err != nil || u.MayEnroll {
		t.Errorf("the right is still there: %+v %v", u, err)
	}
	in, i := w.signIn(w.user)
	w.want("again", s.EnrollFirst(w.ctx, w.enrollment(in, i)), store.ErrUsed)
}

func checkEnrollStale(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	in, i := w.signIn(w.user)
	e := w.enrollment(in, i)
	e.Interaction.Version = 9
	w.want("a stale interaction", s.EnrollFirst(w.ctx, e), store.ErrStale)
	gone, j := w.signIn(w.user)
	w.must(s.EndSession(w.ctx, gone.ID, w.now))
	if err := s.EnrollFirst(w.ctx, w.enrollment(gone, j)); err == nil {
		t.Error("an ended session enrolled")
	}
	if u, err := s.User(w.ctx, w.user.ID); err != nil || !u.MayEnroll {
		t.Errorf("the right was spent: %+v %v", u, err)
	}
	if list, err := s.Authenticators(w.ctx, w.user.ID); err != nil || len(list) != 0 {
		t.Errorf("something was enrolled: %+v %v", list, err)
	}
}

func checkInteraction(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	i := w.addInteraction("")
	if got, err := s.Interaction(w.ctx, i.ID, i.BrowserHash, w.now); err != nil || got.Request.State != "st" || got.Version != 1 {
		t.Errorf("got %+v %v", got, err)
	}
	_, err := s.Interaction(w.ctx, i.ID, secret(), w.now)
	w.want("another browser", err, store.ErrNotFound)
	_, err = s.Interaction(w.ctx, i.ID, i.BrowserHash, i.ExpiresAt)
	w.want("expired", err, store.ErrNotFound)
}

func checkUpdateInteraction(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	i := w.addInteraction("")
	oneWinner(t, race(racers, func(n int) error {
		mine := *i
		mine.Progress.ConsentBy = fmt.Sprint(n)
		return s.UpdateInteraction(w.ctx, &mine, w.now)
	}), store.ErrStale)
	got, err := s.Interaction(w.ctx, i.ID, i.BrowserHash, w.now)
	if err != nil || got.Version != 2 || got.Progress.ConsentBy == "" {
		t.Errorf("got %+v %v", got, err)
	}
	w.want("after its end", s.UpdateInteraction(w.ctx, got, got.ExpiresAt), store.ErrStale)
}

func checkFinishOnce(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	in, i := w.signIn(w.user)
	oneWinner(t, race(racers, func(int) error { return s.FinishInteraction(w.ctx, w.finish(in, i, false)) }), store.ErrStale)
	_, err := s.Interaction(w.ctx, i.ID, i.BrowserHash, w.now)
	w.want("taken", err, store.ErrNotFound)
	silent := w.finish(in, &store.Interaction{}, false)
	w.must(s.FinishInteraction(w.ctx, silent))
}

func checkFinishStale(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	in, i := w.signIn(w.user)
	for what, change := range map[string]func(*store.Finish){
		"another version of the session":     func(f *store.Finish) { f.SessionVersion++ },
		"another version of the interaction": func(f *store.Finish) { f.InteractionVersion++ },
		"another epoch":                      func(f *store.Finish) { f.Grant.UserEpoch++ },
		"another user":                       func(f *store.Finish) { f.Grant.UserID = w.addUser("joon").ID },
		"another session":                    func(f *store.Finish) { f.Grant.SessionID = store.NewID() },
		"an expired interaction":             func(f *store.Finish) { f.Now = i.ExpiresAt },
	} {
		f := w.finish(in, i, false)
		change(&f)
		w.want(what, s.FinishInteraction(w.ctx, f), store.ErrStale)
		_, _, _, err := s.Code(w.ctx, f.Code.ID, f.Code.SecretHash)
		w.want("the code of "+what, err, store.ErrNotFound)
	}
	w.must(s.AddProof(w.ctx, w.proof(in, i, store.MethodTOTP)))
	w.want("a proof came in between", s.FinishInteraction(w.ctx, w.finish(in, i, false)), store.ErrStale)
}

// checkFinishEnd: whoever wins, no code of an ended session can be redeemed.
func checkFinishEnd(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	in, i := w.signIn(w.user)
	finishes := make([]store.Finish, racers)
	errs := race(racers, func(n int) error {
		if n%2 == 1 {
			return s.EndSession(w.ctx, in.ID, w.now)
		}
		finishes[n] = w.finish(in, i, n%4 == 0)
		return s.FinishInteraction(w.ctx, finishes[n])
	})
	for n, err := range errs {
		if n%2 == 1 {
			w.want("end", err, nil)
		} else if err == nil {
			f := finishes[n]
			w.want("the code of an ended session", s.RedeemCode(w.ctx, f.Code.ID, f.Code.SecretHash, w.now, w.tokens(f.Grant)), store.ErrNotFound)
		} else {
			w.want("finish", err, store.ErrStale)
		}
	}
	w.want("finish after the end", s.FinishInteraction(w.ctx, w.finish(in, &store.Interaction{}, false)), store.ErrStale)
}

func checkRefuse(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	in, i := w.signIn(w.user)
	oneWinner(t, race(racers, func(n int) error {
		if n%2 == 0 {
			return s.FinishInteraction(w.ctx, w.finish(in, i, false))
		}
		return s.RefuseInteraction(w.ctx, i.ID, i.Version, w.now)
	}), store.ErrStale)
}

func checkCodeOnce(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	f, _ := w.granted(false)
	oneWinner(t, race(racers, func(int) error {
		return s.RedeemCode(w.ctx, f.Code.ID, f.Code.SecretHash, w.now, w.tokens(f.Grant))
	}), store.ErrUsed)
	c, g, u, err := s.Code(w.ctx, f.Code.ID, f.Code.SecretHash)
	if err != nil || c.GrantID != f.Grant.ID || g.ID != f.Grant.ID || g.Nonce != "n" || len(g.Proofs) != 1 || u.ID != w.user.ID {
		t.Errorf("a used code still names its grant: got %+v %+v %+v %v", c, g, u, err)
	}
}

func checkCode(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	f, _ := w.granted(false)
	redeem := func(hash []byte, at time.Time) error {
		return s.RedeemCode(w.ctx, f.Code.ID, hash, at, w.tokens(f.Grant))
	}
	w.want("a wrong secret", redeem(secret(), w.now), store.ErrNotFound)
	_, _, _, err := s.Code(w.ctx, f.Code.ID, secret())
	w.want("reading with a wrong secret", err, store.ErrNotFound)
	w.want("expired", redeem(f.Code.SecretHash, f.Code.ExpiresAt), store.ErrNotFound)
	w.must(redeem(f.Code.SecretHash, w.now))
	w.want("a wrong secret of a used one", redeem(secret(), w.now), store.ErrNotFound)
	w.want("used, a minute later", redeem(f.Code.SecretHash, f.Code.ExpiresAt), store.ErrUsed)
}

func checkCodeSession(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	for _, offline := range []bool{false, true} {
		f, in := w.granted(offline)
		w.must(s.EndSession(w.ctx, in.ID, w.now))
		w.want("after the session", s.RedeemCode(w.ctx, f.Code.ID, f.Code.SecretHash, w.now, w.tokens(f.Grant)), store.ErrNotFound)
	}
}

func checkCodeRevoke(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	f, _ := w.granted(true)
	tokens := make([]store.Tokens, racers)
	errs := race(racers, func(n int) error {
		if n == racers/2 {
			return s.RevokeUser(w.ctx, w.user.ID, "", w.now)
		}
		tokens[n] = w.tokens(f.Grant)
		return s.RedeemCode(w.ctx, f.Code.ID, f.Code.SecretHash, w.now, tokens[n])
	})
	w.want("revoke", errs[racers/2], nil)
	for n := range tokens {
		if tokens[n].Access != nil {
			w.want("a token after the revocation", w.live(tokens[n].Access), store.ErrNotFound)
			w.want("a refresh token after the revocation", w.liveRefresh(tokens[n].Refresh), store.ErrNotFound)
		}
	}
}

const grace = 10 * time.Second

func checkRotateOnce(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	first, f, _ := w.redeemed(false)
	later := w.now.Add(time.Minute)
	oneWinner(t, race(racers, func(int) error {
		return s.RotateRefresh(w.ctx, first.Refresh.ID, later, 0, w.tokens(f.Grant))
	}), store.ErrUsed)
	old, _, _, err := s.RefreshToken(w.ctx, first.Refresh.ID, first.Refresh.SecretHash, w.now)
	if err != nil || old.UsedAt.IsZero() || old.Successor == "" {
		t.Errorf("a used token is still known: got %+v %v", old, err)
	}
	w.want("an unknown token", s.RotateRefresh(w.ctx, store.NewID(), later, grace, w.tokens(f.Grant)), store.ErrNotFound)
}

// checkRotateRetry: of many retries one wins, and one descendant lives.
func checkRotateRetry(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	first, f, _ := w.redeemed(false)
	second := w.tokens(f.Grant)
	w.must(s.RotateRefresh(w.ctx, first.Refresh.ID, w.now, grace, second))
	retries := make([]store.Tokens, racers)
	errs := race(racers, func(n int) error {
		retries[n] = w.tokens(f.Grant)
		return s.RotateRefresh(w.ctx, first.Refresh.ID, w.now.Add(time.Second), grace, retries[n])
	})
	oneWinner(t, errs, store.ErrUsed)
	w.want("the replaced successor", s.RotateRefresh(w.ctx, second.Refresh.ID, w.now.Add(2*time.Second), grace, w.tokens(f.Grant)), store.ErrUsed)
	winner := retries[slices.Index(errs, nil)]
	third := w.tokens(f.Grant)
	w.must(s.RotateRefresh(w.ctx, winner.Refresh.ID, w.now.Add(3*time.Second), grace, third))
	w.must(s.RotateRefresh(w.ctx, third.Refresh.ID, w.now.Add(4*time.Second), grace, w.tokens(f.Grant)))
	w.want("a retry whose successor is used", s.RotateRefresh(w.ctx, winner.Refresh.ID, w.now.Add(5*time.Second), grace, w.tokens(f.Grant)), store.ErrUsed)
	w.want("a retry after the grace", s.RotateRefresh(w.ctx, third.Refresh.ID, w.now.Add(30*time.Second), grace, w.tokens(f.Grant)), store.ErrUsed)
}

func checkRotateRevoke(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	first, f, _ := w.redeemed(true)
	made := make([]store.Tokens, racers)
	errs := race(racers, func(n int) error {
		if n == racers/2 {
			return s.RevokeGrant(w.ctx, f.Grant.ID, w.now)
		}
		made[n] = w.tokens(f.Grant)
		if n%2 == 0 {
			made[n].Refresh = nil
			return s.IssueAccess(w.ctx, first.Refresh.ID, w.now, made[n])
		}
		return s.RotateRefresh(w.ctx, first.Refresh.ID, w.now, 0, made[n])
	})
	w.want("revoke", errs[racers/2], nil)
	for _, m := range made {
		if m.Access != nil {
			w.want("a token after the revocation", w.live(m.Access), store.ErrNotFound)
		}
	}
	w.want("rotate", s.RotateRefresh(w.ctx, made[1].Refresh.ID, w.now, grace, w.tokens(f.Grant)), store.ErrNotFound)
	w.must(s.RevokeGrant(w.ctx, f.Grant.ID, w.now))
}

func checkAccess(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	tokens, f, in := w.redeemed(false)
	a, g, u, err := s.AccessToken(w.ctx, tokens.Access.ID, tokens.Access.SecretHash, w.now)
	if err != nil || !slices.Equal(a.Scope, []string{"openid"}) || g.ID != f.Grant.ID || u.ID != w.user.ID {
		t.Errorf("got %+v %+v %+v %v", a, g, u, err)
	}
	_, _, _, err = s.AccessToken(w.ctx, tokens.Access.ID, secret(), w.now)
	w.want("a wrong secret", err, store.ErrNotFound)
	_, _, _, err = s.AccessToken(w.ctx, tokens.Access.ID, tokens.Access.SecretHash, tokens.Access.ExpiresAt)
	w.want("expired", err, store.ErrNotFound)
	w.must(s.EndSession(w.ctx, in.ID, w.now))
	w.want("after the session", w.live(tokens.Access), store.ErrNotFound)
	w.want("refresh after the session", w.liveRefresh(tokens.Refresh), store.ErrNotFound)
	w.want("issue after the session", s.IssueAccess(w.ctx, tokens.Refresh.ID, w.now, w.tokens(f.Grant)), store.ErrNotFound)
}

func checkOffline(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	tokens, f, in := w.redeemed(true)
	w.must(s.EndSession(w.ctx, in.ID, w.now))
	w.must(w.live(tokens.Access))
	w.must(s.IssueAccess(w.ctx, tokens.Refresh.ID, w.now, store.Tokens{Access: w.tokens(f.Grant).Access}))
	w.must(s.RevokeGrant(w.ctx, f.Grant.ID, w.now))
	w.want("revoked", w.live(tokens.Access), store.ErrNotFound)
}

func checkDisable(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	tokens, _, in := w.redeemed(true)
	pending, _ := w.granted(true)
	w.must(s.DisableUser(w.ctx, w.user.ID, w.now))
	w.want("token", w.live(tokens.Access), store.ErrNotFound)
	w.want("refresh token", w.liveRefresh(tokens.Refresh), store.ErrNotFound)
	w.want("code", s.RedeemCode(w.ctx, pending.Code.ID, pending.Code.SecretHash, w.now, w.tokens(pending.Grant)), store.ErrNotFound)
	_, err := s.Session(w.ctx, in.ID, in.SecretHash, w.now)
	w.want("session", err, store.ErrNotFound)
	w.want("nobody", s.DisableUser(w.ctx, "nobody", w.now), store.ErrNotFound)
}

func checkConsent(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	_, err := s.Consent(w.ctx, w.user.ID, "shop")
	w.want("none", err, store.ErrNotFound)
	for _, scope := range [][]string{{"openid"}, {"openid", "email"}} {
		in, i := w.signIn(w.user)
		f := w.finish(in, i, false)
		f.Consent = &store.Consent{UserID: w.user.ID, ClientID: "shop", Scope: scope, UpdatedAt: w.now, ClientHash: []byte("h")}
		w.must(s.FinishInteraction(w.ctx, f))
		if c, err := s.Consent(w.ctx, w.user.ID, "shop"); err != nil || !slices.Equal(c.Scope, scope) || string(c.ClientHash) != "h" {
			t.Errorf("got %+v %v, want %v", c, err, scope)
		}
	}
}

func checkThrottleRace(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	buckets := []store.Bucket{{Key: "b", Limit: racers / 2}}
	var allowed atomic.Int32
	for _, err := range race(racers, func(int) error {
		v, err := s.Attempt(w.ctx, buckets, w.now)
		if v.Allowed {
			allowed.Add(1)
		}
		return err
	}) {
		w.want("attempt", err, nil)
	}
	if n := allowed.Load(); n != racers/2 {
		t.Errorf("%d attempts of %d were allowed, want %d", n, racers, racers/2)
	}
}

func checkThrottle(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	slow := []store.Bucket{{Key: "d", Limit: 100, Delays: true}}
	for i := range 5 {
		if v, err := s.Attempt(w.ctx, slow, w.now); err != nil || !v.Allowed || v.Failures != i+1 {
			t.Fatalf("attempt %d: got %+v %v", i+1, v, err)
		}
	}
	v, err := s.Attempt(w.ctx, slow, w.now)
	if err != nil || v.Allowed || !v.RetryAt.Equal(w.now.Add(30*time.Second)) {
		t.Errorf("the sixth: got %+v %v, want a wait of 30 s", v, err)
	}
	if v, err := s.Attempt(w.ctx, slow, w.now.Add(30*time.Second)); err != nil || !v.Allowed {
		t.Errorf("after the wait: got %+v %v", v, err)
	}
	w.must(s.SettleAttempt(w.ctx, store.Settle{Reset: []string{"d"}}))
	if v, err := s.Attempt(w.ctx, slow, w.now); err != nil || v.Failures != 1 {
		t.Errorf("after a success: got %+v %v, want a first failure", v, err)
	}
	window := []store.Bucket{{Key: "w", Limit: 2, Window: time.Hour}}
	for range 2 {
		_, err := s.Attempt(w.ctx, window, w.now)
		w.must(err)
	}
	if v, err := s.Attempt(w.ctx, window, w.now); err != nil || v.Allowed || !v.RetryAt.Equal(w.now.Add(time.Hour)) {
		t.Errorf("the window is full: got %+v %v", v, err)
	}
	w.must(s.SettleAttempt(w.ctx, store.Settle{Refund: []string{"w"}}))
	if v, err := s.Attempt(w.ctx, window, w.now); err != nil || !v.Allowed {
		t.Errorf("after a refund: got %+v %v", v, err)
	}
	if v, err := s.Attempt(w.ctx, window, w.now.Add(time.Hour)); err != nil || !v.Allowed || v.Failures != 1 {
		t.Errorf("in the next window: got %+v %v", v, err)
	}
	for range 2 {
		v, err = s.Attempt(w.ctx, []store.Bucket{{Key: "l", Limit: 1}}, w.now)
		w.must(err)
	}
	if v.Allowed || !v.RetryAt.IsZero() {
		t.Errorf("at the limit: got %+v, want no end", v)
	}
}

func checkThrottleAll(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	open, full := store.Bucket{Key: "open", Limit: 100}, store.Bucket{Key: "full", Limit: 1}
	_, err := s.Attempt(w.ctx, []store.Bucket{full}, w.now)
	w.must(err)
	for range 3 {
		if v, err := s.Attempt(w.ctx, []store.Bucket{open, full}, w.now); err != nil || v.Allowed {
			t.Errorf("got %+v %v, want refused", v, err)
		}
	}
	if v, err := s.Attempt(w.ctx, []store.Bucket{open}, w.now); err != nil || v.Failures != 1 {
		t.Errorf("the other bucket: got %+v %v, want 1 failure", v, err)
	}
}

func checkKnown(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	in, i := w.signIn(w.user)
	var ids []string
	for n := range 7 {
		p := w.proof(in, i, store.MethodPassword)
		p.KnownBrowser = &store.KnownBrowser{ID: store.NewID(), UserID: w.user.ID, CreatedAt: w.now.Add(time.Duration(n) * time.Second)}
		w.must(s.AddProof(w.ctx, p))
		ids = append(ids, p.KnownBrowser.ID)
	}
	for n, id := range ids {
		if known, err := s.KnownBrowser(w.ctx, id, w.user.ID); err != nil || known != (n >= 2) {
			t.Errorf("browser %d: got %v %v", n, known, err)
		}
	}
	if known, err := s.KnownBrowser(w.ctx, ids[6], w.addUser("joon").ID); err != nil || known {
		t.Errorf("to another user: got %v %v", known, err)
	}
	w.must(s.RevokeUser(w.ctx, w.user.ID, "", w.now))
	if known, err := s.KnownBrowser(w.ctx, ids[6], w.user.ID); err != nil || known {
		t.Errorf("after a revocation: got %v %v", known, err)
	}
}

func checkKeys(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	oneWinner(t, race(racers, func(n int) error {
		return s.AddSigningKey(w.ctx, store.SigningKey{ID: fmt.Sprint(n), Alg: "ES256", Sealed: []byte("s"), CreatedAt: w.now}, true)
	}), store.ErrExists)
	w.must(s.AddSigningKey(w.ctx, store.SigningKey{ID: "next", Alg: "ES256", Sealed: []byte("s"), CreatedAt: w.now.Add(time.Second)}, false))
	if list, err := s.SigningKeys(w.ctx); err != nil || len(list) != 2 || list[0].ID != "next" {
		t.Errorf("got %+v %v, want two, the newest first", list, err)
	}
}

func checkEvents(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	w.must(s.EndSession(w.ctx, "none", w.now, store.Event{At: w.now, Type: "kept", Detail: "가"}))
	w.want("a verb that fails", s.UpdateClient(w.ctx, &oidc.Client{ID: "nobody"}, store.Event{At: w.now, Type: "lost"}), store.ErrNotFound)
	w.must(s.Record(w.ctx, store.Event{At: w.now, Type: "alone"}))
	list, err := s.Events(w.ctx, 10)
	if err != nil || len(list) != 2 || list[0].Type != "alone" || list[1].Type != "kept" || list[1].Detail != "가" || !list[1].At.Equal(w.now) {
		t.Errorf("got %+v %v, want alone and kept", list, err)
	}
}

func checkSweep(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	tokens, f, in := w.redeemed(true)
	used := w.tokens(f.Grant)
	w.must(s.RotateRefresh(w.ctx, tokens.Refresh.ID, w.now, grace, used))
	i := w.addInteraction("")
	w.must(s.Sweep(w.ctx, w.now))
	w.must(w.live(tokens.Access))
	if _, err := s.Interaction(w.ctx, i.ID, i.BrowserHash, w.now); err != nil {
		t.Errorf("a live interaction was swept: %v", err)
	}
	week := w.now.Add(7 * 24 * time.Hour)
	w.must(s.Sweep(w.ctx, week))
	_, err := s.Session(w.ctx, in.ID, in.SecretHash, w.now)
	w.want("an expired session", err, store.ErrNotFound)
	w.want("a used code is still recognised", s.RedeemCode(w.ctx, f.Code.ID, f.Code.SecretHash, week, w.tokens(f.Grant)), store.ErrUsed)
	w.want("a used refresh token, too", s.RotateRefresh(w.ctx, tokens.Refresh.ID, week, grace, w.tokens(f.Grant)), store.ErrUsed)
	w.must(s.RotateRefresh(w.ctx, used.Refresh.ID, week, grace, w.tokens(f.Grant)))
	w.must(s.Sweep(w.ctx, w.now.Add(200*24*time.Hour)))
	_, _, _, err = s.Code(w.ctx, f.Code.ID, f.Code.SecretHash)
	w.want("with the family's end the code goes", err, store.ErrNotFound)
	if _, err := s.User(w.ctx, w.user.ID); err != nil {
		t.Errorf("the user: %v", err)
	}
}

func checkMeta(t testing.TB, s store.Store) {
	w := newWorld(t, s)
	if v, err := s.Meta(w.ctx, "mode"); err != nil || v != "" {
		t.Errorf("got %q %v", v, err)
	}
	w.must(s.SetMeta(w.ctx, "mode", "dev"))
	w.must(s.SetMeta(w.ctx, "mode", "other"))
	if v, err := s.Meta(w.ctx, "mode"); err != nil || v != "other" {
		t.Errorf("got %q %v", v, err)
	}
}

package storetest

import (
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// user makes a user who may enrol.
func (w *world) user() *store.User {
	w.Helper()
	id := store.NewID()
	u := &store.User{ID: id, Login: "Login-" + id, LoginKey: "login-" + id, PasswordHash: "old", MayEnroll: true, CreatedAt: w.now}
	w.must(w.CreateUser(w.ctx, u))
	return u
}

// visit is a session with its user, the secret of its cookie and an interaction.
type visit struct {
	user        *store.User
	session     *store.Session
	interaction *store.Interaction
}

// visit signs a user in.
func (w *world) visit(u *store.User) visit {
	w.Helper()
	i := w.interaction("")
	s := w.newSession(u, i.ID)
	w.must(w.StartSession(w.ctx, s, "", i.ID, store.Settle{}))
	i.SessionID = s.ID
	i.Version++
	return visit{u, s, i}
}

func (w *world) newSession(u *store.User, interaction string) *store.Session {
	_, hash := store.NewSecret()
	return &store.Session{
		ID: store.NewID(), SecretHash: hash, UserID: u.ID, UserEpoch: u.Epoch, Version: 1,
		Proofs:    []store.Proof{w.proof(u, interaction)},
		CreatedAt: w.now, LastSeenAt: w.now, ExpiresAt: w.now.Add(24 * time.Hour),
	}
}

func (w *world) proof(u *store.User, interaction string) store.Proof {
	return store.Proof{Method: store.MethodPassword, At: w.now, UserID: u.ID, Interaction: interaction}
}

// interaction makes one, bound to a session or to none ("").
func (w *world) interaction(session string) *store.Interaction {
	w.Helper()
	_, browser := store.NewSecret()
	age := time.Minute
	i := &store.Interaction{
		ID: store.NewID(), BrowserHash: browser, ClientID: "shop", SessionID: session, Version: 1,
		Request:   oidc.AuthorizationRequest{ClientID: "shop", Scope: []string{"openid"}, State: "state", MaxAge: &age},
		Progress:  store.Progress{NotBefore: w.now.Add(-time.Minute)},
		CreatedAt: w.now, ExpiresAt: w.now.Add(10 * time.Minute),
	}
	w.must(w.CreateInteraction(w.ctx, i))
	return i
}

// add is a proof to be added to the visit's session.
func (w *world) add(v visit) store.AddProof {
	_, hash := store.NewSecret()
	return store.AddProof{
		SessionID: v.session.ID, UserID: v.user.ID, Version: v.session.Version, NewSecretHash: hash,
		Proof: w.proof(v.user, v.interaction.ID), Interaction: v.interaction.ID, Now: w.now, Rotated: new(bool),
	}
}

// finish is the visit's end, ready to be written.
func (w *world) finish(v visit, offline bool) store.Finish {
	_, hash := store.NewSecret()
	g := &store.Grant{
		ID: store.NewID(), ClientID: "shop", UserID: v.user.ID, UserEpoch: v.session.UserEpoch, SessionID: v.session.ID,
		SID: "sid", Interaction: v.interaction.ID, Scope: []string{"openid"}, Resources: []store.GrantedResource{{ID: "r", URI: "https://api.example"}}, Offline: offline, Proofs: v.session.Proofs,
		RequestedACR: []string{"phr"}, UserInfo: map[string]oidc.ClaimRequest{"email": {Essential: true}},
		Nonce: "nonce", CreatedAt: w.now,
	}
	c := &store.Code{
		ID: store.NewID(), SecretHash: hash, GrantID: g.ID, ClientID: "shop", RedirectURI: "https://shop.example/cb", RedirectSent: true,
		CodeChallenge: "challenge", JKT: "code's", CreatedAt: w.now, ExpiresAt: w.now.Add(time.Minute),
	}
	return store.Finish{
		InteractionID: v.interaction.ID, InteractionVersion: v.interaction.Version, SessionVersion: v.session.Version,
		Grant: g, Code: c, Now: w.now,
	}
}

// finished has a code.
func (w *world) finished(v visit, offline bool) store.Finish {
	w.Helper()
	f := w.finish(v, offline)
	w.must(w.FinishInteraction(w.ctx, f))
	return f
}

// tokens of a grant, ready to be written.
func (w *world) tokens(grantID string) store.Tokens {
	_, access := store.NewSecret()
	_, refresh := store.NewSecret()
	return store.Tokens{
		Access:  &store.AccessToken{ID: store.NewID(), SecretHash: access, GrantID: grantID, Scope: []string{"openid"}, JKT: "access's", CreatedAt: w.now, ExpiresAt: w.now.Add(10 * time.Minute)},
		Refresh: &store.RefreshToken{ID: store.NewID(), SecretHash: refresh, GrantID: grantID, Scope: []string{"openid"}, JKT: "refresh's", CreatedAt: w.now, ExpiresAt: w.now.Add(24 * time.Hour)},
	}
}

// redeemed has tokens.
func (w *world) redeemed(v visit, offline bool) (store.Finish, store.Tokens) {
	w.Helper()
	f := w.finished(v, offline)
	t := w.tokens(f.Grant.ID)
	w.must(w.redeem(f, t))
	return f, t
}

func (w *world) redeem(f store.Finish, t store.Tokens) error {
	return w.RedeemCode(w.ctx, f.Code.ID, f.Code.SecretHash, w.now, t)
}

// liveness asks, one by one, what is left of a visit and its tokens.

func (w *world) sessionErr(s *store.Session) error {
	_, err := w.Session(w.ctx, s.ID, s.SecretHash, w.now)
	return err
}

func (w *world) interactionErr(i *store.Interaction) error {
	_, err := w.Interaction(w.ctx, i.ID, i.BrowserHash, w.now)
	return err
}

func (w *world) accessErr(t store.Tokens) error {
	_, _, _, err := w.AccessToken(w.ctx, t.Access.ID, t.Access.SecretHash, w.now)
	return err
}

func (w *world) refreshErr(t store.Tokens) error {
	_, _, _, err := w.RefreshToken(w.ctx, t.Refresh.ID, t.Refresh.SecretHash, w.now)
	return err
}

// reload returns the session as it is stored; the secret is that of the visit.
func (w *world) reload(v visit) *store.Session {
	w.Helper()
	s, err := w.Session(w.ctx, v.session.ID, v.session.SecretHash, w.now)
	w.must(err)
	return s
}

// totp gives the user an authenticator.
func (w *world) totp(u *store.User) store.Authenticator {
	w.Helper()
	a := store.Authenticator{ID: store.NewID(), UserID: u.ID, Kind: store.KindTOTP, Name: "phone", Secret: []byte("sealed"), CreatedAt: w.now}
	w.must(w.CreateAuthenticator(w.ctx, a, nil))
	return a
}

// recoverySet is a set with the hashes of two codes.
func (w *world) recoverySet(u *store.User) (store.Authenticator, [][]byte) {
	_, one := store.NewSecret()
	_, two := store.NewSecret()
	set := store.Authenticator{ID: store.NewID(), UserID: u.ID, Kind: store.KindRecovery, Secret: []byte("salt"), CodesLeft: 2, CreatedAt: w.now}
	return set, [][]byte{one, two}
}

// enrollment is the user's first, ready to be written.
func (w *world) enrollment(v visit) store.Enrollment {
	set, hashes := w.recoverySet(v.user)
	i := *v.interaction
	i.Progress.CodesOf = v.user.ID
	return store.Enrollment{
		Authenticator: store.Authenticator{ID: store.NewID(), UserID: v.user.ID, Kind: store.KindTOTP, Secret: []byte("sealed"), LastStep: 7, CreatedAt: w.now, LastUsedAt: w.now},
		Recovery:      set, CodeHashes: hashes, Proof: w.add(v), Interaction: i,
	}
}

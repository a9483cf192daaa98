package flow_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/policy"
	"github.com/sallyport-id/sallyport/internal/store"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func base() flow.State {
	return flow.State{
		Now: noon, Client: &oidc.Client{ID: "c", Name: "Shop", SkipConsent: true, MinLevel: oidc.Level1FA},
		Request: &oidc.AuthorizationRequest{ClientID: "c", Scope: []string{"openid"}}, Interaction: "i",
		Enrollment: flow.EnrollByPassword,
	}
}

func signedIn(s flow.State, proofs ...store.Method) flow.State {
	s.User = &store.User{ID: "u", Login: "mina", PasswordHash: "x"}
	s.Session = &store.Session{ID: "s", UserID: "u"}
	for _, m := range proofs {
		s.Session.Proofs = append(s.Session.Proofs, proof(m, s.Interaction))
	}
	return s
}

func proof(m store.Method, interaction string) store.Proof {
	p := store.Proof{Method: m, At: noon, UserID: "u", Interaction: interaction}
	if m != store.MethodPassword {
		p.Authenticator = string(m)
	}
	return p
}

func totp() store.Authenticator {
	return store.Authenticator{ID: "totp", UserID: "u", Kind: store.KindTOTP}
}

func passkey() store.Authenticator {
	return store.Authenticator{ID: "webauthn", UserID: "u", Kind: store.KindWebAuthn}
}

const mailbox = "mina@example.com"

// email is an authenticator that codes are mailed to.
func email() store.Authenticator {
	return store.Authenticator{ID: "email", UserID: "u", Kind: store.KindEmail, Secret: []byte(mailbox)}
}

// invited is somebody who has chosen a password.
func invited() flow.State {
	s := base()
	s.Client, s.Request = &oidc.Client{}, &oidc.AuthorizationRequest{}
	s.User = &store.User{ID: "u", Login: "mina"}
	s.Progress.Invited = &store.Invited{UserID: "u", Link: "l", NewHash: "new"}
	s.InvitationOpen = true
	return s
}

func essentialPHR(s flow.State) flow.State {
	s.Request.Claims.IDToken = map[string]oidc.ClaimRequest{"acr": {Essential: true, Values: []string{oidc.ACRPHR}}}
	return s
}

// TestFactorsAreThoseThatReachTheLevel: the last used first, recovery codes last.
func TestFactorsAreThoseThatReachTheLevel(t *testing.T) {
	t.Parallel()
	app, key, spare := totp(), passkey(), passkey()
	codes := store.Authenticator{ID: "recovery", UserID: "u", Kind: store.KindRecovery, CodesLeft: 1, LastUsedAt: noon}
	spare.ID, spare.LastUsedAt, app.LastUsedAt = "spare", noon.Add(-time.Hour), noon.Add(-time.Minute)
	for name, c := range map[string]struct {
		change func(flow.State) flow.State
		want   string
	}{
		"any": {func(s flow.State) flow.State { return s }, "totp spare webauthn recovery"},
		"phr": {essentialPHR, "spare webauthn"},
		"phr, one of them enrolled here": {func(s flow.State) flow.State {
			bound := proof(store.MethodWebAuthn, "i")
			bound.Authenticator, bound.Bound = "spare", true
			s.Session.Proofs = append(s.Session.Proofs, bound)
			return essentialPHR(s)
		}, "webauthn"},
	} {
		s := signedIn(base(), store.MethodPassword)
		s.Authenticators = []store.Authenticator{codes, key, app, spare}
		step := flow.Next(c.change(s))
		var got []string
		for _, a := range step.Factors {
			got = append(got, a.ID)
		}
		if step.Name != flow.SecondFactor || strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %s %v, want %s", name, step.Name, got, c.want)
		}
	}
}

// TestNext shows each decision by the state that leads to it.
func TestNext(t *testing.T) {
	t.Parallel()
	password, code := store.MethodPassword, store.MethodTOTP
	for name, c := range map[string]struct {
		state  func() flow.State
		step   flow.StepName
		refuse string
	}{
		"nobody": {base, flow.Login, ""},
		"password alone": {func() flow.State {
			s := signedIn(base(), password)
			s.Authenticators = []store.Authenticator{totp()}
			return s
		}, flow.SecondFactor, ""},
		"both factors": {func() flow.State {
			s := signedIn(base(), password, code)
			s.Authenticators = []store.Authenticator{totp()}
			return s
		}, flow.Done, ""},
		"a first factor to enrol": {func() flow.State {
			s := signedIn(base(), password)
			s.User.MayEnroll = true
			return s
		}, flow.Enroll, ""},
		"enrolment needs the password of this interaction": {func() flow.State {
			s := signedIn(base())
			s.User.MayEnroll = true
			s.Session.Proofs = []store.Proof{proof(password, "another")}
			return s
		}, flow.Login, ""},
		"no right to enrol": {func() flow.State { return signedIn(base(), password) }, flow.Refuse, oidc.AccessDenied},
		"disabled authenticators still exist": {func() flow.State {
			s := signedIn(base(), password)
			s.User.MayEnroll = true
			lost := totp()
			lost.Disabled = true
			s.Authenticators = []store.Authenticator{lost}
			return s
		}, flow.Refuse, oidc.AccessDenied},
		"essential phr, nothing reaches it": {func() flow.State {
			s := signedIn(base(), password, code)
			s.Authenticators = []store.Authenticator{totp()}
			s.Request.Claims.IDToken = map[string]oidc.ClaimRequest{"acr": {Essential: true, Values: []string{oidc.ACRPHR}}}
			return s
		}, flow.Refuse, oidc.UnmetAuthentication},
		"essential phr, an app is not enough": {func() flow.State {
			s := essentialPHR(signedIn(base(), password, code))
			s.Authenticators = []store.Authenticator{totp(), passkey()}
			return s
		}, flow.SecondFactor, ""},
		"essential phr, with a passkey": {func() flow.State {
			s := essentialPHR(signedIn(base(), password, store.MethodWebAuthn))
			s.Authenticators = []store.Authenticator{totp(), passkey()}
			return s
		}, flow.Done, ""},
		"essential phr, the passkey was enrolled in this session": {func() flow.State {
			s := essentialPHR(signedIn(base(), password, store.MethodWebAuthn))
			s.Authenticators = []store.Authenticator{passkey()}
			s.Session.Proofs[1].Bound, s.Session.Proofs[1].UserVerified = true, true
			return s
		}, flow.Refuse, oidc.UnmetAuthentication},
		"essential phr, a first factor to enrol": {func() flow.State {
			s := essentialPHR(signedIn(base(), password))
			s.User.MayEnroll = true
			return s
		}, flow.Refuse, oidc.UnmetAuthentication},
		"after a passkey that knew its user nobody asks for a code": {func() flow.State {
			s := signedIn(base(), store.MethodWebAuthn)
			s.Authenticators = []store.Authenticator{totp(), passkey()}
			s.Session.Proofs[0].UserVerified = true
			return s
		}, flow.Done, ""},
		"after a security key alone, the password": {func() flow.State {
			s := signedIn(base(), store.MethodWebAuthn)
			s.Authenticators = []store.Authenticator{passkey()}
			return s
		}, flow.Login, ""},
		"essential, unknown name": {func() flow.State {
			s := signedIn(base(), password, code)
			s.Authenticators = []store.Authenticator{totp()}
			s.Request.Claims.IDToken = map[string]oidc.ClaimRequest{"acr": {Essential: true, Values: []string{"gold"}}}
			return s
		}, flow.Refuse, oidc.UnmetAuthentication},
		"voluntary phr does not stop": {func() flow.State {
			s := signedIn(base(), password, code)
			s.Authenticators = []store.Authenticator{totp()}
			s.Request.ACRValues = []string{oidc.ACRPHR}
			return s
		}, flow.Done, ""},
		"voluntary 2fa where 1fa would do, enrolled": {func() flow.State {
			s := signedIn(base(), password)
			s.Policy = oneFactor
			s.Authenticators = []store.Authenticator{totp()}
			s.Request.ACRValues = []string{oidc.ACR2FA}
			return s
		}, flow.SecondFactor, ""},
		"voluntary 2fa never enrols": {func() flow.State {
			s := signedIn(base(), password)
			s.Policy = oneFactor
			s.User.MayEnroll = true
			s.Request.ACRValues = []string{oidc.ACR2FA}
			return s
		}, flow.Done, ""},
		"optional, and there is a factor": {func() flow.State {
			s := signedIn(base(), password)
			s.Policy = ruled(policy.Rule{Require: policy.Optional})
			s.Authenticators = []store.Authenticator{totp()}
			return s
		}, flow.SecondFactor, ""},
		"optional, and there is none": {func() flow.State {
			s := signedIn(base(), password)
			s.Policy, s.User.MayEnroll = ruled(policy.Rule{Require: policy.Optional}), true
			return s
		}, flow.Done, ""},
		"a factor that the rule does not know": {func() flow.State {
			s := signedIn(base(), password, code)
			s.Policy, s.User.MayEnroll = ruled(policy.Rule{Methods: []string{"webauthn"}}), true
			s.Authenticators = []store.Authenticator{totp()}
			return s
		}, flow.Refuse, oidc.AccessDenied},
		"a password older than the rule's age": {func() flow.State {
			s := signedIn(base(), password, code)
			s.Policy = ruled(policy.Rule{MaxAge: time.Minute})
			s.Authenticators = []store.Authenticator{totp()}
			for i := range s.Session.Proofs {
				s.Session.Proofs[i].At = noon.Add(-2 * time.Minute)
			}
			return s
		}, flow.Login, ""},
		"a password of the rule's age when it began": {func() flow.State {
			s := signedIn(base(), password, code)
			s.Policy, s.Began = ruled(policy.Rule{MaxAge: time.Minute}), noon.Add(-time.Minute)
			s.Authenticators = []store.Authenticator{totp()}
			for i := range s.Session.Proofs {
				s.Session.Proofs[i].At = noon.Add(-2 * time.Minute)
			}
			return s
		}, flow.Done, ""},
		"put off":                         {func() flow.State { return graced(noon.Add(time.Hour), "u") }, flow.Done, ""},
		"put off by somebody else":        {func() flow.State { return graced(noon.Add(time.Hour), "v") }, flow.Enroll, ""},
		"put off before, and asked again": {func() flow.State { return graced(noon.Add(time.Hour), "") }, flow.Enroll, ""},
		"put off too long":                {func() flow.State { return graced(noon, "u") }, flow.Enroll, ""},
		"put off, and it never began":     {func() flow.State { return graced(time.Time{}, "u") }, flow.Enroll, ""},
		"put off where a fresh one is asked": {func() flow.State {
			s := graced(noon.Add(time.Hour), "u")
			s.Progress.OwnProofs = true
			return s
		}, flow.Enroll, ""},
		"put off where a level is asked for": {func() flow.State {
			s := graced(noon.Add(time.Hour), "u")
			s.Request.ACRValues = []string{oidc.ACR1FA}
			return s
		}, flow.Enroll, ""},
		"put off under a floor": {func() flow.State {
			s := graced(noon.Add(time.Hour), "u")
			s.Client.MinLevel = oidc.Level2FA
			return s
		}, flow.Enroll, ""},
		"no kind of which a first one may be": {func() flow.State {
			s := graced(noon.Add(time.Hour), "")
			s.Policy, s.NoWebAuthn = ruled(policy.Rule{Methods: []string{"webauthn"}}), true
			return s
		}, flow.Refuse, oidc.AccessDenied},
		"the client's floor stands under a lax policy": {func() flow.State {
			s := signedIn(base(), password)
			s.Policy, s.Client.MinLevel = oneFactor, oidc.Level2FA
			s.Authenticators = []store.Authenticator{totp()}
			return s
		}, flow.SecondFactor, ""},
		"codes are shown before the end": {func() flow.State {
			s := signedIn(base(), password, code)
			s.Authenticators = []store.Authenticator{totp()}
			s.Progress.Codes, s.Progress.CodesOf = []byte("sealed"), "u"
			return s
		}, flow.SaveCodes, ""},
		"consent": {func() flow.State {
			s := signedIn(base(), password, code)
			s.Authenticators = []store.Authenticator{totp()}
			s.Client.SkipConsent = false
			return s
		}, flow.Consent, ""},
		"another's consent does not count": {func() flow.State {
			s := signedIn(base(), password, code)
			s.Authenticators = []store.Authenticator{totp()}
			s.Client.SkipConsent = false
			s.Progress.ConsentBy = "v"
			return s
		}, flow.Consent, ""},
		"prompt=login counts own proofs alone": {func() flow.State {
			s := signedIn(base())
			s.Session.Proofs = []store.Proof{proof(password, "another"), proof(code, "another")}
			s.Authenticators = []store.Authenticator{totp()}
			s.Progress.OwnProofs = true
			return s
		}, flow.Login, ""},
		"the hint names another": {func() flow.State {
			s := signedIn(base())
			s.Session.Proofs = []store.Proof{proof(password, "another"), proof(code, "another")}
			s.Progress.Subject = "v"
			return s
		}, flow.Login, ""},
		"the hint names another, and this one signed in": {func() flow.State {
			s := signedIn(base(), password, code)
			s.Progress.Subject = "v"
			return s
		}, flow.Refuse, oidc.LoginRequired},
		"prompt=none, nobody": {func() flow.State { s := base(); s.Request.Prompt.None = true; return s }, flow.Refuse, oidc.LoginRequired},
		"prompt=none, one factor": {func() flow.State {
			s := signedIn(base(), password)
			s.Request.Prompt.None = true
			s.Authenticators = []store.Authenticator{totp()}
			return s
		}, flow.Refuse, oidc.InteractionRequired},
		"a session of before everything was ended": {func() flow.State {
			s := signedIn(base(), password, code)
			s.Authenticators = []store.Authenticator{totp()}
			s.User.Epoch = 1
			return s
		}, flow.Login, ""},
		"invited, with a password": {func() flow.State { return invited() }, flow.Enroll, ""},
		"invited, and another was quicker": {func() flow.State {
			s := invited()
			s.InvitationOpen = false
			return s
		}, flow.Refuse, oidc.AccessDenied},
		"invited, and reset since": {func() flow.State {
			s := invited()
			s.User.Epoch++
			return s
		}, flow.Refuse, oidc.AccessDenied},
		"invited, the password that is there unproven": {func() flow.State {
			s := invited()
			s.User.PasswordHash = "x"
			return s
		}, flow.Refuse, oidc.AccessDenied},
		"invited, the password that is there proven": {func() flow.State {
			s := invited()
			s.User.PasswordHash, s.Progress.Invited.OldHash, s.Progress.Invited.NewHash = "x", "x", "x"
			return s
		}, flow.Enroll, ""},
		"invited, codes to save": {func() flow.State {
			s := invited()
			s.InvitationOpen, s.Progress.Invited.Spent, s.Progress.Codes = false, true, []byte("sealed")
			return s
		}, flow.SaveCodes, ""},
		"invited, all done": {func() flow.State {
			s := invited()
			s.InvitationOpen, s.Progress.Invited.Spent = false, true
			return s
		}, flow.Welcome, ""},
		"invited, disabled": {func() flow.State {
			s := invited()
			s.User.Disabled = true
			return s
		}, flow.Refuse, oidc.AccessDenied},
		"invited, removed": {func() flow.State {
			s := invited()
			s.User = nil
			return s
		}, flow.Refuse, oidc.AccessDenied},
		"an API that the client may use": {func() flow.State {
			s := forAPI(signedIn(base(), password, code), 0)
			s.Authenticators = []store.Authenticator{totp()}
			return s
		}, flow.Done, ""},
		"an API that is gone": {func() flow.State { s := forAPI(base(), 0); s.APIs = nil; return s }, flow.Refuse, oidc.InvalidTarget},
		"an API that the client may use no more": {func() flow.State {
			s := forAPI(base(), 0)
			s.Client.Resources = nil
			return s
		}, flow.Refuse, oidc.InvalidTarget},
		"an API's floor where one factor would do": {func() flow.State {
			s := forAPI(signedIn(base(), password), oidc.Level2FA)
			s.Policy = oneFactor
			s.Authenticators = []store.Authenticator{totp()}
			return s
		}, flow.SecondFactor, ""},
		"an API's floor out of reach": {func() flow.State {
			s := forAPI(signedIn(base(), password, code), oidc.LevelPHR)
			s.Authenticators = []store.Authenticator{totp()}
			return s
		}, flow.Refuse, oidc.AccessDenied},
		"disabled": {func() flow.State {
			s := signedIn(base(), password, code)
			s.User.Disabled = true
			return s
		}, flow.Refuse, oidc.AccessDenied},
		"a trusted browser, and a password of yesterday": {func() flow.State {
			s := signedIn(base(), password)
			s.Session.Proofs[0].At = noon.Add(-25 * time.Hour)
			s.Policy = ruled(policy.Rule{TrustedDeviceDays: 30})
			s.Authenticators, s.Device = []store.Authenticator{totp()}, device(oidc.Level2FA, time.Hour)
			return s
		}, flow.Login, ""},
		"a disabled authenticator's proof": {func() flow.State {
			s := signedIn(base(), password, code)
			gone := totp()
			gone.Disabled = true
			s.Authenticators = []store.Authenticator{gone, {ID: "other", Kind: store.KindTOTP}}
			return s
		}, flow.SecondFactor, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := flow.Next(c.state())
			code := ""
			if got.Refusal != nil {
				code = got.Refusal.Code
			}
			if got.Name != c.step || code != c.refuse {
				t.Errorf("got %s %q, want %s %q", got.Name, code, c.step, c.refuse)
			}
		})
	}
}

// forAPI adds an API with a floor to the request, which the client may use.
func forAPI(s flow.State, floor oidc.Level) flow.State {
	const uri = "https://api.example/"
	s.APIs = []*oidc.Resource{{ID: "r", URI: uri, Scopes: []string{"read"}, MinLevel: floor}}
	s.Client.Resources = []oidc.ResourceAccess{{ResourceID: "r", URI: uri, Scopes: []string{"read"}}}
	s.Request.Resources, s.Request.Scope = []string{uri}, []string{"openid", "read"}
	return s
}

// TestRule25ConsentIsPerAPI: what was allowed at one API, or here, is not at
// another, whatever its scopes are called.
func TestRule25ConsentIsPerAPI(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		remembered []string
		want       flow.StepName
	}{
		"all of it":         {[]string{"openid", "r read"}, flow.Done},
		"here alone":        {[]string{"openid", "read"}, flow.Consent},
		"at another API":    {[]string{"openid", "x read"}, flow.Consent},
		"another scope":     {[]string{"openid", "r write"}, flow.Consent},
		"at the API, alone": {[]string{"r read"}, flow.Consent},
	} {
		s := forAPI(signedIn(base(), store.MethodPassword, store.MethodTOTP), 0)
		s.Authenticators = []store.Authenticator{totp()}
		s.Client.SkipConsent, s.Client.Scopes = false, []string{"openid"}
		s.Consent = &store.Consent{Scope: c.remembered, ClientHash: flow.ClientHash(s.Client)}
		if got := flow.Next(s).Name; got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

func ruled(r policy.Rule) policy.Policy { return policy.Policy{Rules: []policy.Rule{r}} }

var oneFactor = ruled(policy.Rule{Require: policy.Off})

// graced is a user who has signed in with a password, and put the second factor off.
func graced(until time.Time, by string) flow.State {
	s := signedIn(base(), store.MethodPassword)
	s.Policy, s.User.MayEnroll, s.User.GraceUntil, s.Progress.LaterBy = ruled(policy.Rule{GraceDays: 7}), true, until, by
	return s
}

// draw makes any state, the impossible ones too. Every other one is near a sign-in
// that a trusted device or a bypass code decides, which others seldom are.
func draw(t *rapid.T) flow.State {
	if rapid.Bool().Draw(t, "near") {
		return drawNear(t)
	}
	s := base()
	s.Policy.Rules = []policy.Rule{{Clients: []string{"another"}, Require: policy.Off}, {
		Require:           rapid.SampledFrom([]policy.Requirement{"", policy.Off, policy.Optional, policy.Required, policy.PhishingResistant, policy.HardwareBound}).Draw(t, "require"),
		Methods:           rapid.SampledFrom([][]string{nil, nil, {"webauthn"}, {"totp"}, {"totp", "recovery"}}).Draw(t, "methods"),
		MaxAge:            rapid.SampledFrom([]time.Duration{0, 0, 2 * time.Hour}).Draw(t, "rule's age"),
		TrustedDeviceDays: rapid.SampledFrom([]int{0, 30}).Draw(t, "trust days"),
		GraceDays:         rapid.SampledFrom([]int{0, 7}).Draw(t, "grace days"),
	}}
	s.Enrollment = rapid.SampledFrom([]flow.Enrollment{"", flow.EnrollByInvitation, flow.EnrollByEmail, flow.EnrollByPassword}).Draw(t, "enrollment")
	if rapid.Bool().Draw(t, "confirmed") {
		s.Progress.Confirmed = &store.ConfirmedEmail{UserID: rapid.SampledFrom([]string{"u", "v"}).Draw(t, "confirmed by"), Email: rapid.SampledFrom([]string{"", "u@example.com", "v@example.com"}).Draw(t, "confirmed address")}
	}
	if rapid.Bool().Draw(t, "mailed") {
		s.Progress.MailCode = &store.MailCode{For: store.MailCodeConfirm, UserID: rapid.SampledFrom([]string{"u", "v"}).Draw(t, "mailed to")}
	}
	s.NoWebAuthn = rapid.IntRange(0, 3).Draw(t, "no webauthn") == 0
	s.Progress.LaterBy = rapid.SampledFrom([]string{"", "u", "v"}).Draw(t, "later by")
	s.Client.MinLevel = oidc.Level(rapid.IntRange(0, 4).Draw(t, "floor"))
	if rapid.Bool().Draw(t, "for an API") {
		s = forAPI(s, oidc.Level(rapid.IntRange(0, 4).Draw(t, "API's floor")))
		if rapid.IntRange(0, 9).Draw(t, "API gone") == 0 {
			s.APIs = nil
		}
	}
	s.TrustDeclined = rapid.Bool().Draw(t, "trust declined")
	s.Progress.TrustBy = rapid.SampledFrom([]string{"", "u", "v"}).Draw(t, "trust by")
	if rapid.Bool().Draw(t, "device") {
		s.Device = device(oidc.Level(rapid.IntRange(0, 4).Draw(t, "device's level")), time.Duration(rapid.IntRange(0, 40).Draw(t, "device's age"))*24*time.Hour)
	}
	if rapid.IntRange(0, 2).Draw(t, "bypass") == 0 {
		s.Bypass = &store.BypassCode{ID: "b", UserID: rapid.SampledFrom([]string{"u", "u", "v"}).Draw(t, "bypass of"), UsedIn: rapid.SampledFrom([]string{"", "i", "j"}).Draw(t, "bypass used in")}
	}
	s.Client.SkipConsent = rapid.Bool().Draw(t, "skip consent")
	s.Client.EssentialACR = rapid.Bool().Draw(t, "essential client")
	names := []string{oidc.ACR1FA, oidc.ACR2FA, oidc.ACRPHR, oidc.ACRPHRH, "gold"}
	s.Request.ACRValues = rapid.SliceOfN(rapid.SampledFrom(names), 0, 2).Draw(t, "acr_values")
	if rapid.Bool().Draw(t, "claims") {
		s.Request.Claims.IDToken = map[string]oidc.ClaimRequest{"acr": {Essential: rapid.Bool().Draw(t, "essential"), Values: rapid.SliceOfN(rapid.SampledFrom(names), 1, 2).Draw(t, "acr")}}
	}
	s.Request.Prompt = oidc.PromptSet{None: rapid.Bool().Draw(t, "none"), Consent: rapid.Bool().Draw(t, "prompt consent")}
	s.Progress.OwnProofs = rapid.Bool().Draw(t, "own")
	s.Progress.Account = rapid.IntRange(0, 3).Draw(t, "account") == 0
	s.Progress.Subject = rapid.SampledFrom([]string{"", "", "u", "v"}).Draw(t, "subject")
	s.Progress.ConsentBy = rapid.SampledFrom([]string{"", "u", "v"}).Draw(t, "consent by")
	if rapid.IntRange(0, 4).Draw(t, "for a device") == 0 {
		s = forDevice(s)
		if rapid.IntRange(0, 4).Draw(t, "device gone") == 0 {
			s.DeviceCode = nil
		}
	}
	s.HintedElsewhere = rapid.Bool().Draw(t, "hinted elsewhere")
	if rapid.Bool().Draw(t, "max age") {
		s.Progress.NotBefore = noon.Add(-time.Hour)
	}
	if rapid.IntRange(0, 4).Draw(t, "invited") == 0 {
		hash := rapid.SampledFrom([]string{"", "x", "y"})
		s.Progress.Invited = &store.Invited{UserID: "u", OldHash: hash.Draw(t, "old"), NewHash: hash.Draw(t, "new"), Spent: rapid.Bool().Draw(t, "spent")}
		s.InvitationOpen = rapid.Bool().Draw(t, "open")
	}
	if rapid.IntRange(0, 4).Draw(t, "session") == 0 {
		return s
	}
	s = signedIn(s)
	s.User.Disabled = rapid.IntRange(0, 9).Draw(t, "disabled") == 0
	s.User.MayEnroll = rapid.Bool().Draw(t, "may enrol")
	s.User.Email = rapid.SampledFrom([]string{"", "u@example.com"}).Draw(t, "address")
	s.User.GraceUntil = rapid.SampledFrom([]time.Time{{}, noon.Add(-time.Second), noon.Add(time.Hour)}).Draw(t, "grace until")
	s.User.Email = rapid.SampledFrom([]string{"", mailbox}).Draw(t, "address")
	s.Policy.MailCodes = rapid.Bool().Draw(t, "codes by mail")
	if rapid.IntRange(0, 3).Draw(t, "gets codes") == 0 {
		off := !s.Policy.MailCodes || s.User.Email == "" || rapid.IntRange(0, 3).Draw(t, "other address") == 0
		a := email()
		if a.Disabled = off; off {
			a.Secret = []byte("other@example.com")
		}
		s.Authenticators = append(s.Authenticators, a)
	}
	for _, kind := range []store.AuthenticatorKind{store.KindTOTP, store.KindRecovery, store.KindWebAuthn} {
		if rapid.Bool().Draw(t, "has "+string(kind)) {
			a := store.Authenticator{ID: string(kind), UserID: "u", Kind: kind, Disabled: rapid.IntRange(0, 3).Draw(t, "off") == 0, CodesLeft: rapid.IntRange(0, 2).Draw(t, "left")}
			if kind == store.KindWebAuthn {
				a.Credential = &store.Credential{Attested: rapid.Bool().Draw(t, "attested today")}
			}
			s.Authenticators = append(s.Authenticators, a)
		}
	}
	for range rapid.IntRange(0, 4).Draw(t, "proofs") {
		p := proof(rapid.SampledFrom([]store.Method{store.MethodPassword, store.MethodTOTP, store.MethodEmail, store.MethodRecovery, store.MethodWebAuthn}).Draw(t, "method"), rapid.SampledFrom([]string{"i", "j"}).Draw(t, "in"))
		p.UserID = rapid.SampledFrom([]string{"u", "u", "u", "v"}).Draw(t, "whose")
		if p.Method == store.MethodWebAuthn {
			p.UserVerified, p.Bound, p.Attested = rapid.Bool().Draw(t, "verified"), rapid.Bool().Draw(t, "bound"), rapid.Bool().Draw(t, "attested")
		}
		p.At = noon.Add(-time.Duration(rapid.IntRange(0, 40).Draw(t, "age")) * time.Hour)
		s.Session.Proofs = append(s.Session.Proofs, p)
	}
	return s
}

// drawNear is a password in a trusted browser, or with a bypass code, where one or
// another thing is different.
func drawNear(t *rapid.T) flow.State {
	s := forAPI(signedIn(base(), store.MethodPassword), 0)
	s.Request.Scope, s.Client.SkipConsent = []string{"openid", "read"}, true
	s.Policy.Rules = []policy.Rule{{Clients: []string{"another"}, Require: policy.Off}, {TrustedDeviceDays: 30}}
	rule := &s.Policy.Rules[1]
	s.Authenticators = []store.Authenticator{totp(), {ID: "recovery", UserID: "u", Kind: store.KindRecovery, CodesLeft: 1}}
	if rapid.Bool().Draw(t, "trusted") {
		s.Device = device(oidc.Level2FA, time.Hour)
	}
	if rapid.Bool().Draw(t, "has a code") {
		s.Bypass = &store.BypassCode{ID: "b", UserID: "u", UsedIn: "i"}
	}
	changes := map[string]func(){
		"client's floor":  func() { s.Client.MinLevel = oidc.Level2FA },
		"API's floor":     func() { s.APIs[0].MinLevel = oidc.Level2FA },
		"stricter policy": func() { rule.Require = policy.PhishingResistant },
		"no trust":        func() { rule.TrustedDeviceDays = 0 },
		"nothing to bind": func() { rule.Methods = []string{"recovery"} },
		"acr_values":      func() { s.Request.ACRValues = []string{oidc.ACR1FA} },
		"max_age":         func() { s.Progress.NotBefore = noon.Add(-time.Hour) },
		"own proofs":      func() { s.Progress.OwnProofs = true },
		"other session":   func() { s.Session.Proofs[0].Interaction = "j" },
		"old device":      func() { s.Device = device(oidc.Level2FA, 31*24*time.Hour) },
		"weak device":     func() { s.Device = device(oidc.Level1FA, time.Hour) },
		"unused code":     func() { s.Bypass = &store.BypassCode{ID: "b", UserID: "u"} },
		"code elsewhere":  func() { s.Bypass = &store.BypassCode{ID: "b", UserID: "u", UsedIn: "j"} },
		"another's code":  func() { s.Bypass = &store.BypassCode{ID: "b", UserID: "v", UsedIn: "i"} },
		"disabled factor": func() { s.Authenticators[0].Disabled, s.Authenticators[1].Disabled = true, true },
		"second factor":   func() { s.Session.Proofs = append(s.Session.Proofs, proof(store.MethodTOTP, "i")) },
		"recovery code":   func() { s.Session.Proofs = append(s.Session.Proofs, proof(store.MethodRecovery, "i")) },
		"asked":           func() { s.Progress.TrustBy = "u" },
		"passkeys alone":  func() { rule.Methods = []string{"webauthn"} },
		"one factor":      func() { rule.Require = policy.Off },
		"a passkey":       func() { s.Authenticators = append(s.Authenticators, passkey()) },
		"account":         func() { s.Progress.Account = true },
		"for a device":    func() { s = forDevice(s) },
		"device gone":     func() { s.Progress.DeviceCode = "d" },
		"device allowed":  func() { s = forDevice(s); s.Progress.ConsentBy = "u" },
		"own account": func() {
			s.Progress.Account = true
			s.Session.Proofs = append(s.Session.Proofs, proof(store.MethodTOTP, "i"))
		},
		"new codes": func() {
			s.Progress.Account, s.Progress.Codes, s.Progress.CodesOf, s.Progress.CodesIn = true, []byte("sealed"), "u", "another"
		},
	}
	names := slices.Sorted(maps.Keys(changes))
	for range rapid.IntRange(0, 3).Draw(t, "changes") {
		changes[rapid.SampledFrom(names).Draw(t, "change")]()
	}
	return s
}

// forDevice is a state whose answer a device waits for.
func forDevice(s flow.State) flow.State {
	s.DeviceCode = &store.DeviceCode{ID: "d"}
	s.Progress.DeviceCode, s.Progress.OwnProofs, s.Request.Prompt = "d", true, oidc.PromptSet{Consent: true}
	return s
}

// check draws often enough to meet what few states lead to.
func check(t *testing.T, property func(*rapid.T)) {
	t.Helper()
	for range 20 {
		rapid.Check(t, property)
	}
}

// TestNextNeverDoneForLess: no state reaches Done with less than it requires,
// the floors of the client and of APIs included.
func TestNextNeverDoneForLess(t *testing.T) {
	t.Parallel()
	check(t, func(t *rapid.T) {
		s := draw(t)
		if flow.Next(s).Name != flow.Done {
			return
		}
		if s.Progress.Invited != nil {
			t.Fatalf("an invitation signs in: %+v", s)
		}
		if s.Progress.Account {
			t.Fatalf("changes of an account sign in to a client: %+v", s)
		}
		reached := worth(s)
		required := max(s.Client.MinLevel, ruleLevel(s.Policy.Rules[1]))
		for _, api := range s.APIs {
			required = max(required, api.MinLevel)
		}
		if len(s.APIs) < len(s.Request.Resources) {
			t.Fatalf("done for an API that is gone: %+v", s)
		}
		if reached < required && !trustMayDo(s, required, reached) && !graceMayDo(s, reached) {
			t.Fatalf("done at %v, required %v: %+v", reached, required, s)
		}
		names, essential := s.Request.RequestedACR()
		if len(names) > 0 && (essential || s.Client.EssentialACR) && !anyReached(names, reached) {
			t.Fatalf("done at %v, essential %v", reached, names)
		}
		if s.User.Disabled || s.Progress.Subject == "v" {
			t.Fatalf("done for the wrong or a disabled user: %+v", s)
		}
	})
}

// worth says again, in words of its own, what the session is worth under the rule.
func worth(s flow.State) oidc.Level {
	rule, e := s.Policy.Rules[1], s.Evidence()
	e.Methods, e.NotBefore = nil, s.Progress.NotBefore
	e.Proofs = slices.DeleteFunc(slices.Clone(s.Session.Proofs), func(p store.Proof) bool {
		foreign := p.Method != store.MethodPassword && rule.Methods != nil && !slices.Contains(rule.Methods, string(p.Method))
		foreign = foreign || p.Method == store.MethodEmail && !s.Policy.MailCodes
		return foreign || rule.MaxAge > 0 && s.Now.Sub(p.At) > rule.MaxAge
	})
	return authn.Judge(e).Level
}

func ruleLevel(r policy.Rule) oidc.Level {
	return map[policy.Requirement]oidc.Level{"": 2, policy.Off: 1, policy.Optional: 1, policy.Required: 2, policy.PhishingResistant: 3, policy.HardwareBound: 4}[r.Require]
}

// graceMayDo says again when a first second factor may be put off.
func graceMayDo(s flow.State, reached oidc.Level) bool {
	names, _ := s.Request.RequestedACR()
	_, acr := s.Request.Claims.IDToken["acr"]
	switch {
	case s.Policy.Rules[1].GraceDays == 0, reached < oidc.Level1FA, s.Progress.LaterBy != "u", !s.User.MayEnroll, len(s.Authenticators) > 0:
		return false
	case len(names) > 0, acr, s.Progress.OwnProofs, !s.Progress.NotBefore.IsZero(), s.Client.MinLevel > oidc.Level1FA:
		return false
	case slices.ContainsFunc(s.APIs, func(a *oidc.Resource) bool { return a.MinLevel > oidc.Level1FA }):
		return false
	}
	return s.User.GraceUntil.After(s.Now)
}

// TestOptionalAsksWhoHasOne: under an optional rule no state reaches Done with one
// factor where the account has a second, be it one that the rule does not accept.
func TestOptionalAsksWhoHasOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := draw(t)
		s.Policy.Rules[1].Require, s.Device = policy.Optional, nil
		if flow.Next(s).Name != flow.Done {
			return
		}
		if len(s.Authenticators) > 0 && worth(s) < oidc.Level2FA {
			t.Fatalf("done at %v: %+v", worth(s), s)
		}
	})
}

// trustMayDo says again, in words of its own, when a trusted device stands for the
// second factor.
func trustMayDo(s flow.State, required, reached oidc.Level) bool {
	names, _ := s.Request.RequestedACR()
	_, acr := s.Request.Claims.IDToken["acr"]
	switch {
	case s.Device == nil, s.Policy.Rules[1].TrustedDeviceDays == 0, reached < oidc.Level1FA:
		return false
	case len(names) > 0, acr, s.Progress.OwnProofs, !s.Progress.NotBefore.IsZero():
		return false
	case s.Client.MinLevel > oidc.Level1FA, slices.ContainsFunc(s.APIs, func(a *oidc.Resource) bool { return a.MinLevel > oidc.Level1FA }):
		return false
	case s.Device.Level < required, s.Now.Sub(s.Device.CreatedAt) >= 30*24*time.Hour:
		return false
	}
	return slices.ContainsFunc(s.Session.Proofs, func(p store.Proof) bool { return p.Method == store.MethodPassword && p.UserID == "u" })
}

// TestRule7DeviceIsAllowedHere: no state lets another device in but with the user's
// word and proofs of this interaction, as long as it waits; nor for more than level 2.
func TestRule7DeviceIsAllowedHere(t *testing.T) {
	t.Parallel()
	check(t, func(t *rapid.T) {
		s := draw(t)
		if rapid.Bool().Draw(t, "for a device, allowed") {
			s = forDevice(s)
			s.Progress.ConsentBy = "u"
		}
		if s.User != nil && rapid.Bool().Draw(t, "with a passkey") {
			verified := proof(store.MethodWebAuthn, rapid.SampledFrom([]string{"i", "j"}).Draw(t, "given in"))
			verified.UserVerified = true
			s.Authenticators, s.Session.Proofs = append(s.Authenticators, passkey()), append(s.Session.Proofs, verified)
		}
		step := flow.Next(s)
		if s.Progress.DeviceCode == "" || step.Name != flow.Done {
			return
		}
		here := s
		here.Session = &store.Session{ID: "s", UserID: "u", Proofs: slices.DeleteFunc(slices.Clone(s.Session.Proofs), func(p store.Proof) bool { return p.Interaction != "i" })}
		switch {
		case s.DeviceCode == nil:
			t.Fatalf("done for a device that waits no more: %+v", s)
		case s.Progress.ConsentBy != "u":
			t.Fatalf("done without the user's word: %+v", s)
		case step.Evidence.Level > oidc.Level2FA:
			t.Fatalf("done at %v: %+v", step.Evidence.Level, s)
		case flow.Next(here).Name != flow.Done:
			t.Fatalf("done with proofs of elsewhere: %+v", s)
		case s.Device != nil && worth(s) < ruleLevel(s.Policy.Rules[1]) && !graceMayDo(s, worth(s)):
			t.Fatalf("done because the browser is trusted: %+v", s)
		}
	})
}

// TestRule22TrustAddsNothing: a trusted device is worth no level and no amr, and
// takes away the second factor and the question about itself, nothing else.
func TestRule22TrustAddsNothing(t *testing.T) {
	t.Parallel()
	check(t, func(t *rapid.T) {
		with := draw(t)
		with.Device = device(oidc.LevelPHRH, time.Hour)
		without := with
		without.Device = nil
		a, b := flow.Next(with), flow.Next(without)
		if a.Evidence.Level != b.Evidence.Level || !slices.Equal(a.Evidence.AMR, b.Evidence.AMR) || !a.Evidence.AuthTime.Equal(b.Evidence.AuthTime) {
			t.Fatalf("the evidence is %+v with the device and %+v without it", a.Evidence, b.Evidence)
		}
		spared := b.Name == flow.SecondFactor || b.Name == flow.Trust || b.Name == flow.Refuse && with.Request.Prompt.None
		if a.Name != b.Name && !spared || a.Name == flow.Trust {
			t.Fatalf("%s with the device, %s without it: %+v", a.Name, b.Name, with)
		}
	})
}

// TestRule22TrustIsAskedAfterTwoFactorsHere: in no state else.
func TestRule22TrustIsAskedAfterTwoFactorsHere(t *testing.T) {
	t.Parallel()
	check(t, func(t *rapid.T) {
		s := draw(t)
		if flow.Next(s).Name != flow.Trust {
			return
		}
		own := s.Evidence()
		own.OwnProofs = true
		own.Proofs = slices.DeleteFunc(slices.Clone(own.Proofs), func(p store.Proof) bool { return p.Method == store.MethodRecovery })
		names, _ := s.Request.RequestedACR()
		switch {
		case authn.Judge(own).Level < oidc.Level2FA:
			t.Fatalf("asked at %+v", authn.Judge(own))
		case s.Policy.Rules[1].TrustedDeviceDays == 0, s.TrustDeclined, s.Progress.TrustBy == "u", s.Client.MinLevel > oidc.Level1FA, len(names) > 0:
			t.Fatalf("asked where it is not to be: %+v", s)
		}
	})
}

// TestRule16BypassCodeProvesNothing: with a code, used or not, nobody gets further
// than to enrol.
func TestRule16BypassCodeProvesNothing(t *testing.T) {
	t.Parallel()
	check(t, func(t *rapid.T) {
		with := draw(t)
		without := with
		without.Bypass = nil
		a, b := flow.Next(with), flow.Next(without)
		if a.Evidence.Level != b.Evidence.Level {
			t.Fatalf("%v with the code, %v without it", a.Evidence, b.Evidence)
		}
		switch {
		case a.Name == b.Name, with.Request.Prompt.None:
		case a.Name == flow.Enroll && with.Bypass.UsedIn == "i", a.Name == flow.Login && with.Bypass.UsedIn != "j":
		case a.Name == flow.SecondFactor && a.Bypass && with.Bypass.UsedIn == "":
		default:
			t.Fatalf("%s with the code, %s without it: %+v", a.Name, b.Name, with)
		}
	})
}

func device(level oidc.Level, age time.Duration) *store.TrustedDevice {
	return &store.TrustedDevice{ID: "d", UserID: "u", Level: level, CreatedAt: noon.Add(-age), ExpiresAt: noon.Add(time.Hour)}
}

func anyReached(names []string, reached oidc.Level) bool {
	for _, name := range names {
		if l, ok := oidc.ACRNames(nil).Level(name); ok && l <= reached {
			return true
		}
	}
	return false
}

// TestRule2EnrollNeedsAllThatTheAccountCanProve: no state reaches Enroll with
// less, without the stored right, or with any authenticator there.
func TestRule2EnrollNeedsAllThatTheAccountCanProve(t *testing.T) {
	t.Parallel()
	check(t, func(t *rapid.T) {
		s := draw(t)
		if flow.Next(s).Name != flow.Enroll {
			return
		}
		if in := s.Progress.Invited; in != nil {
			if !s.InvitationOpen || in.Spent || in.NewHash == "" || in.OldHash != s.User.PasswordHash {
				t.Fatalf("enroll without an open invitation, or the password: %+v", s)
			}
			return
		}
		own := s.Evidence()
		own.OwnProofs = true
		if b := s.Bypass; b != nil && b.UserID == "u" && b.UsedIn == "i" {
			if authn.Judge(own).Level == 0 {
				t.Fatalf("enroll with a bypass code and nothing else: %+v", s)
			}
			return
		}
		if got, can := authn.Judge(own).Level, authn.Reach(s.User, s.Authenticators, s.Session.Proofs); got < can || got == 0 {
			t.Fatalf("enroll at %v, the account can prove %v", got, can)
		}
		if !s.User.MayEnroll || len(s.Authenticators) > 0 {
			t.Fatalf("enroll without the right: %+v", s)
		}
	})
}

// TestRule5ManageNeedsAllThatTheAccountCanProveHere: no state reaches Manage with
// less than that, and than the policy requires, proven in its own interaction; a
// trusted device stands for nothing there. Of factors that the rule excludes, which
// nobody could use, two are demanded at most.
func TestRule5ManageNeedsAllThatTheAccountCanProveHere(t *testing.T) {
	t.Parallel()
	check(t, func(t *rapid.T) {
		s := draw(t)
		if s.Progress.DeviceCode != "" || flow.Next(s).Name != flow.Manage { // no interaction is for both
			return
		}
		own := s.Evidence()
		own.OwnProofs = true
		got, can := authn.Judge(own).Level, canProve(s)
		if required := s.Policy.Required(s.Case()); got < max(can, required) {
			t.Fatalf("manage at %v, the account can prove %v, required are %v", got, can, required)
		}
		if !s.Progress.Account || s.User.Disabled {
			t.Fatalf("manage for a client, or a disabled user: %+v", s)
		}
	})
}

// canProve is what an account can prove under the rule. A factor that the rule does not
// let count proves nothing there, but it still forbids the password alone.
func canProve(s flow.State) oidc.Level {
	rule := s.Policy.Rules[1]
	counted := slices.DeleteFunc(slices.Clone(s.Authenticators), func(a store.Authenticator) bool {
		return rule.Methods != nil && !slices.Contains(rule.Methods, string(a.Kind))
	})
	all := authn.Reach(s.User, s.Authenticators, s.Session.Proofs)
	return max(authn.Reach(s.User, counted, s.Session.Proofs), min(all, oidc.Level2FA))
}

// TestRule20Level4NeedsAKeyThatIsAttestedToday: no state ends well where level 4 is
// required, but with a proof of a key that was hardware-bound and is.
func TestRule20Level4NeedsAKeyThatIsAttestedToday(t *testing.T) {
	t.Parallel()
	check(t, func(t *rapid.T) {
		s := draw(t)
		step := flow.Next(s)
		if step.Evidence.Level < oidc.LevelPHRH && (step.Name != flow.Done || s.Policy.Required(s.Case()) < oidc.LevelPHRH) {
			return
		}
		today := authn.AttestedIDs(s.Authenticators)
		if !slices.ContainsFunc(s.Session.Proofs, func(p store.Proof) bool {
			return p.Method == store.MethodWebAuthn && p.Attested && !p.Bound && today[p.Authenticator]
		}) {
			t.Fatalf("%s at %v without such a key: %+v", step.Name, step.Evidence.Level, s)
		}
	})
}

// TestNewCodesAreForWhoCanProveAll: no state shows an account's new recovery codes in
// another session than the one that made them, but to who has proven all that the
// account can prove.
func TestNewCodesAreForWhoCanProveAll(t *testing.T) {
	t.Parallel()
	check(t, func(t *rapid.T) {
		s := draw(t)
		if flow.Next(s).Name != flow.SaveCodes || s.Progress.Invited != nil || s.Progress.CodesIn == s.Session.ID {
			return
		}
		can := canProve(s)
		if got := authn.Judge(s.Evidence()).Level; s.Progress.Account && got < can {
			t.Fatalf("shown at %v, the account can prove %v", got, can)
		}
	})
}

// TestNextEnds: doing what Next says ends within 12 steps.
func TestNextEnds(t *testing.T) {
	t.Parallel()
	check(t, func(t *rapid.T) {
		s := draw(t)
		for range 12 {
			step := flow.Next(s)
			if step.Name == flow.Done || step.Name == flow.Welcome || step.Name == flow.Manage || step.Name == flow.Refuse {
				return
			}
			s = do(t, s, step.Name)
		}
		t.Fatalf("no end: %s, %+v", flow.Next(s).Name, s)
	})
}

// do is a user who does what is asked.
func do(t *rapid.T, s flow.State, step flow.StepName) flow.State {
	switch step {
	case flow.Login:
		if s.Session == nil {
			s = signedIn(s)
		}
		s.Session.Proofs = append(s.Session.Proofs, proof(store.MethodPassword, "i"))
	case flow.SecondFactor:
		factors := flow.Next(s).Factors
		if flow.Next(s).Bypass && (len(factors) == 0 || rapid.Bool().Draw(t, "bypass")) {
			used := *s.Bypass
			used.UsedIn = "i"
			s.Bypass = &used
			return s
		}
		if len(factors) == 0 {
			t.Fatalf("a second factor, and none to choose: %+v", s)
		}
		factor := rapid.SampledFrom(factors).Draw(t, "factor")
		p := proof(store.Method(factor.Kind), "i")
		p.Bound = authn.BoundBy(s.Session.Proofs, p.Authenticator)
		p.Attested = factor.Credential != nil && factor.Credential.Attested
		s.Session.Proofs = append(s.Session.Proofs, p)
	case flow.Enroll:
		if s.Progress.Invited != nil {
			spent := *s.Progress.Invited
			spent.Spent = true
			s.Progress.Invited, s.InvitationOpen, s.Progress.Codes = &spent, false, []byte("sealed")
			return s
		}
		if s.MayPutOff() && rapid.Bool().Draw(t, "puts it off") {
			s.User.GraceUntil, s.Progress.LaterBy = s.PutOffUntil(), "u"
			return s
		}
		a := map[store.AuthenticatorKind]store.Authenticator{store.KindTOTP: totp(), store.KindWebAuthn: passkey(), store.KindEmail: email()}[rapid.SampledFrom(s.FirstKinds()).Draw(t, "enrols")]
		p := proof(store.Method(a.Kind), "i")
		p.Bound = a.Kind == store.KindWebAuthn
		s.Authenticators, s.User.MayEnroll, s.Bypass = []store.Authenticator{a}, false, nil
		s.Session.Proofs = append(s.Session.Proofs, p)
		s.Progress.Codes, s.Progress.CodesOf = []byte("sealed"), "u"
	case flow.ConfirmEmail:
		if s.User.Email == "" || s.MayPutOff() && rapid.Bool().Draw(t, "puts it off") {
			s.User.GraceUntil, s.Progress.LaterBy = s.PutOffUntil(), "u"
			return s
		}
		s.Progress.Confirmed = &store.ConfirmedEmail{UserID: s.User.ID, Email: s.User.Email}
	case flow.SaveCodes:
		s.Progress.Codes = nil
	case flow.Trust:
		s.Progress.TrustBy = "u"
	case flow.Consent:
		s.Progress.ConsentBy = "u"
	default:
		t.Fatalf("no such step: %s", step)
	}
	return s
}

// BenchmarkNext is the decision with a session already there.
func BenchmarkNext(b *testing.B) {
	s := signedIn(base(), store.MethodPassword, store.MethodTOTP)
	s.Authenticators = []store.Authenticator{totp()}
	s.Policy = policy.Policy{}
	b.ReportAllocs()
	for b.Loop() {
		if flow.Next(s).Name != flow.Done {
			b.Fatal("not done")
		}
	}
}

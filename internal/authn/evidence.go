package authn

import (
	"slices"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// How long a proof counts toward a level (NIST SP 800-63B-4 §2.1.3, §2.2.3,
// §2.3.3).
const (
	lifetime1FA  = 30 * 24 * time.Hour
	lifetime2FA  = 24 * time.Hour
	lifetimePHRH = 12 * time.Hour
)

// Evidence is the proofs of a session or a grant, and what limits them. What a
// login is worth is always derived from it, never stored.
type Evidence struct {
	UserID string
	Proofs []store.Proof
	// At is the moment for which the evidence is judged: now for a session, the
	// moment of the grant for a grant.
	At time.Time
	// Interaction is the one that asks. Recovery codes count in no other.
	Interaction string
	// NotBefore: older proofs do not count (max_age). Zero: no such instant.
	NotBefore time.Time
	// OwnProofs: only proofs of Interaction count (prompt=login).
	OwnProofs bool
	// Methods are the second factors that count beside a password; nil: all.
	Methods []store.Method
	// MailCodes: codes by e-mail count. They are no proof of anything where mail resets
	// the password, too.
	MailCodes bool
	// Elsewhere: what comes of the proofs goes to another device than the one that they
	// were given on. Somebody else may hold that one, so nothing here resists phishing:
	// the level is 2 at most.
	Elsewhere bool
	// Valid are the ids of the authenticators that count; nil: all do, because
	// what was issued ends with its authenticator.
	Valid map[string]bool
	// Attested are the ids of the authenticators that are hardware-bound today, whatever
	// they were when they were used; nil: those that were.
	Attested map[string]bool
	// Device is the live trusted device that the proofs were given in, nil for none. It
	// is no proof and adds nothing to what they are worth; a policy may ask no more
	// because of it.
	Device *store.GrantedDevice
}

// Result is what evidence is worth. All of it comes from one set of proofs.
type Result struct {
	Level oidc.Level
	// AMR are the authentication methods, registered values only (RFC 8176 §2).
	AMR []string
	// AuthTime is the time of the set's oldest proof; zero at LevelNone.
	AuthTime time.Time
}

// Judge derives level, amr and auth_time. Of the sets of proofs that reach the
// highest level it takes the one whose oldest proof is newest; of those the
// smaller. A set has one or two proofs: a third adds nothing to any level.
func Judge(e Evidence) Result {
	counting := e.Counting()
	var best Result
	for i, p := range counting {
		best = better(best, judgeSet(e.At, p))
		for _, q := range counting[i+1:] {
			best = better(best, judgeSet(e.At, p, q))
		}
	}
	return best
}

// better keeps a unless b has a higher level, or the same and is fresher.
func better(a, b Result) Result {
	if b.Level > a.Level || b.Level == a.Level && b.AuthTime.After(a.AuthTime) {
		return b
	}
	if b.Level == a.Level && b.AuthTime.Equal(a.AuthTime) && len(b.AMR) < len(a.AMR) {
		return b
	}
	return a
}

// Counting returns the proofs that count at all, the newest of each method and
// authenticator.
func (e Evidence) Counting() []store.Proof {
	newest := make([]store.Proof, 0, len(e.Proofs))
	for _, p := range e.Proofs {
		if e.counts(p) {
			p.Attested = p.Attested && (e.Attested == nil || e.Attested[p.Authenticator])
			p.Bound = p.Bound || e.Elsewhere && p.Method == store.MethodWebAuthn
			newest = keepNewest(newest, p)
		}
	}
	return newest
}

// keepNewest adds p, or puts it in the place of an older one of its kind. A
// WebAuthn proof with user verification is another kind than one without, and so is one
// of a key that was known to be hardware-bound.
func keepNewest(list []store.Proof, p store.Proof) []store.Proof {
	for i, q := range list {
		if q.Method == p.Method && q.Authenticator == p.Authenticator && q.UserVerified == p.UserVerified && q.Attested == p.Attested {
			if p.At.After(q.At) {
				list[i] = p
			}
			return list
		}
	}
	return append(list, p)
}

func (e Evidence) counts(p store.Proof) bool {
	switch {
	case p.UserID != e.UserID, p.At.After(e.At), p.At.Before(e.NotBefore):
		return false
	case e.OwnProofs && p.Interaction != e.Interaction:
		return false
	case p.Method == store.MethodRecovery && p.Interaction != e.Interaction:
		return false
	case p.Method == store.MethodEmail && !e.MailCodes:
		return false
	case p.Method != store.MethodPassword && e.Methods != nil && !slices.Contains(e.Methods, p.Method):
		return false
	case p.Authenticator != "" && e.Valid != nil && !e.Valid[p.Authenticator]:
		return false
	}
	return true
}

// judgeSet is the worth of exactly these proofs together, at a moment.
func judgeSet(at time.Time, set ...store.Proof) Result {
	level := setLevel(set)
	oldest := set[0].At
	for _, p := range set[1:] {
		if p.At.Before(oldest) {
			oldest = p.At
		}
	}
	level = stillWorth(level, at.Sub(oldest))
	if level == oidc.LevelNone || level == oidc.Level1FA && len(set) > 1 {
		return Result{} // a pair is worth more than one factor or is no set
	}
	return Result{Level: level, AMR: amr(level, set), AuthTime: oldest}
}

// setLevel is the level of the proofs, however old. Two proofs of one kind are
// one factor: something that you know, or something that you have.
func setLevel(set []store.Proof) oidc.Level {
	if len(set) == 1 {
		return soloLevel(set[0])
	}
	a, b := set[0], set[1]
	if b.Method == store.MethodPassword {
		a, b = b, a
	}
	if a.Method != store.MethodPassword || b.Method == store.MethodPassword {
		return oidc.LevelNone
	}
	switch {
	case b.Method != store.MethodWebAuthn || b.Bound:
		return oidc.Level2FA
	case hardwareBound(b):
		return oidc.LevelPHRH
	}
	return oidc.LevelPHR
}

// soloLevel is the level of one proof alone. WebAuthn with user verification is
// a multi-factor authenticator (NIST SP 800-63B-4 §3.1.7).
func soloLevel(p store.Proof) oidc.Level {
	switch {
	case p.Method != store.MethodWebAuthn || !p.UserVerified:
		return oidc.Level1FA
	case p.Bound:
		return oidc.Level2FA
	case hardwareBound(p):
		return oidc.LevelPHRH
	}
	return oidc.LevelPHR
}

// hardwareBound: the key cannot leave its device and the maker's attestation
// of that was verified (OpenID Connect EAP ACR Values 1.0).
func hardwareBound(p store.Proof) bool { return p.Attested && !p.BackupEligible }

// stillWorth lowers a level until the age fits its lifetime.
func stillWorth(l oidc.Level, age time.Duration) oidc.Level {
	if l == oidc.LevelPHRH && age > lifetimePHRH {
		l = oidc.LevelPHR
	}
	if l >= oidc.Level2FA && age > lifetime2FA {
		l = oidc.Level1FA
	}
	if age > lifetime1FA {
		l = oidc.LevelNone
	}
	return l
}

// amr names what was done (RFC 8176 §2; "pop" is of EAP ACR Values 1.0).
func amr(level oidc.Level, set []store.Proof) []string {
	var know, have, user []string
	for _, p := range set {
		switch {
		case p.Method == store.MethodPassword:
			know = append(know, "pwd")
		case p.Method != store.MethodWebAuthn:
			have = append(have, "otp")
		case p.BackupEligible:
			have = append(have, "swk")
		case p.Attested:
			have = append(have, "hwk")
		default:
			have = append(have, "pop")
		}
		if p.UserVerified {
			user = []string{"user"}
		}
	}
	all := append(append(know, have...), user...)
	if level >= oidc.Level2FA {
		all = append(all, "mfa")
	}
	return all
}

// Reach is the highest level that an account can prove in a session of these
// proofs, with what it has enrolled: its password and these authenticators, the
// disabled ones left out. Without a password only a passkey that may stand alone
// proves anything.
func Reach(u *store.User, list []store.Authenticator, proofs []store.Proof) oidc.Level {
	reach := oidc.LevelNone
	if u.PasswordHash != "" {
		reach = oidc.Level1FA
	}
	for _, a := range list {
		switch {
		case !Usable(a), u.PasswordHash == "" && !Alone(a):
		case a.Kind == store.KindWebAuthn && !BoundBy(proofs, a.ID) && a.Credential != nil && a.Credential.Attested:
			reach = oidc.LevelPHRH
		case a.Kind == store.KindWebAuthn && !BoundBy(proofs, a.ID):
			reach = max(reach, oidc.LevelPHR)
		default:
			reach = max(reach, oidc.Level2FA)
		}
	}
	return reach
}

// BoundBy reports whether the authenticator was enrolled in the session of these
// proofs. Whoever knew the password could have done that, so there it lifts nobody
// above level 2.
func BoundBy(proofs []store.Proof, authenticator string) bool {
	return slices.ContainsFunc(proofs, func(p store.Proof) bool { return p.Bound && p.Authenticator == authenticator })
}

// Usable reports whether an authenticator can be used now.
func Usable(a store.Authenticator) bool {
	return !a.Disabled && (a.Kind != store.KindRecovery || a.CodesLeft > 0)
}

// AttestedIDs are the ids of the authenticators that are hardware-bound today.
func AttestedIDs(list []store.Authenticator) map[string]bool {
	attested := map[string]bool{}
	for _, a := range list {
		attested[a.ID] = a.Credential != nil && a.Credential.Attested
	}
	return attested
}

// ValidIDs are the ids of the authenticators whose proofs count. A recovery set
// counts until it is disabled: its last code must not undo its own proof.
func ValidIDs(list []store.Authenticator) map[string]bool {
	valid := make(map[string]bool, len(list))
	for _, a := range list {
		valid[a.ID] = !a.Disabled
	}
	return valid
}

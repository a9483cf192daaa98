package oidc

import "fmt"

// Level says how strong an authentication was. The zero value is no
// authentication at all.
type Level int

// The levels, from no authentication to hardware-bound, phishing-resistant
// multi-factor authentication.
const (
	LevelNone Level = 0 // nothing was proven
	Level1FA  Level = 1 // one factor
	Level2FA  Level = 2 // two factors of different kinds, or one multi-factor authenticator
	LevelPHR  Level = 3 // level 2 with a phishing-resistant factor
	LevelPHRH Level = 4 // level 3 with a hardware-bound key of verified attestation
)

// The native names of the levels as values of the acr claim. phr and phrh are
// those of OpenID Connect EAP ACR Values 1.0; none of the four can be remapped.
const (
	ACR1FA  = "urn:sallyport:acr:1fa"
	ACR2FA  = "urn:sallyport:acr:2fa"
	ACRPHR  = "phr"
	ACRPHRH = "phrh"
)

// ACR returns the native name of the level; "" for LevelNone.
func (l Level) ACR() string {
	switch l {
	case Level1FA:
		return ACR1FA
	case Level2FA:
		return ACR2FA
	case LevelPHR:
		return ACRPHR
	case LevelPHRH:
		return ACRPHRH
	}
	return ""
}

func (l Level) String() string { return fmt.Sprintf("level %d", int(l)) }

// ACRNames maps names of authentication contexts to levels: the native names
// always, and those an operator adds. The zero value knows the native ones.
type ACRNames map[string]Level

// Level returns the level that a name stands for, and whether it is known.
func (n ACRNames) Level(name string) (Level, bool) {
	switch name {
	case ACR1FA:
		return Level1FA, true
	case ACR2FA:
		return Level2FA, true
	case ACRPHR:
		return LevelPHR, true
	case ACRPHRH:
		return LevelPHRH, true
	}
	l, ok := n[name]
	return l, ok
}

// Name returns the acr claim for a level that was reached: the first of the
// requested names that the level satisfies, else the native name.
func (n ACRNames) Name(reached Level, requested []string) string {
	for _, name := range requested {
		if l, ok := n.Level(name); ok && l <= reached {
			return name
		}
	}
	return reached.ACR()
}

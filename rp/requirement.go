package rp

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

// Names of authentication contexts, values of the acr claim.
const (
	ACR1FA  = "urn:sallyport:acr:1fa" // one factor
	ACR2FA  = "urn:sallyport:acr:2fa" // two factors
	ACRPHR  = "phr"                   // two factors, phishing-resistant (OpenID Connect EAP ACR Values 1.0)
	ACRPHRH = "phrh"                  // the same with a hardware-bound key (OpenID Connect EAP ACR Values 1.0)
)

// MFA requires two factors, or a single authenticator that is two in itself,
// such as a passkey. Do not change it; copy it to add to it:
//
//	strict := rp.MFA
//	strict.MaxAge = 10 * time.Minute
var MFA = Requirement{ACR: []string{ACR2FA, ACRPHR, ACRPHRH}, AMR: []string{"mfa"}}

// A Requirement says what a login must prove. It is sent to the server, and
// verified in the ID token, because a server may answer with less than it was
// asked for (OpenID Connect Core §5.5.1.1). The zero value requires nothing.
type Requirement struct {
	// ACR are the acceptable authentication contexts, the preferred one first;
	// the acr claim must be one of them, byte for byte. Name the stronger ones too:
	// nothing is known here about which is stronger. Empty accepts any and none.
	// It is sent as an essential acr claim if the server knows the claims
	// parameter, else as acr_values.
	ACR []string
	// AMR are the methods that must all be in the amr claim (RFC 8176). The
	// protocol has no parameter that asks for them: name an ACR that implies them.
	AMR []string
	// MaxAge is how long before Login the user may have authenticated, rounded
	// down to whole seconds; it is sent as max_age and verified against auth_time,
	// give or take Config.Leeway. Zero sets no limit.
	MaxAge time.Duration
	// Fresh requires that the user authenticates during this login (max_age=0),
	// whatever MaxAge says.
	Fresh bool
}

// check says what is wrong with the requirement itself.
func (q Requirement) check() error {
	for _, name := range slices.Concat(q.ACR, q.AMR) {
		if name == "" || strings.ContainsFunc(name, issuer.NotVisible) {
			return fmt.Errorf("%q is no acr or amr value: it must be visible ASCII without spaces", name)
		}
	}
	if q.MaxAge < 0 {
		return errors.New("MaxAge is negative")
	}
	if q.MaxAge > 0 && q.MaxAge < time.Second {
		return errors.New("MaxAge is less than a second; set Fresh to ask for a new authentication")
	}
	return nil
}

func (q Requirement) clone() Requirement {
	q.ACR, q.AMR = slices.Clone(q.ACR), slices.Clone(q.AMR)
	return q
}

func (q Requirement) isZero() bool {
	return len(q.ACR) == 0 && len(q.AMR) == 0 && q.MaxAge == 0 && !q.Fresh
}

// maxAge is the oldest acceptable authentication, and whether there is a limit.
func (q Requirement) maxAge() (time.Duration, bool) {
	if q.Fresh {
		return 0, true
	}
	return q.MaxAge.Truncate(time.Second), q.MaxAge > 0
}

// addTo puts the requirement into an authorization request. acr_values and an
// essential acr are never sent together: what that means is not defined
// (OpenID Connect Core §5.5.1.1).
// subject, if not empty, is who must sign in, and names asks for names in the ID
// token; both are sent only where the server knows the claims parameter.
func (q Requirement) addTo(params url.Values, claimsParameter bool, subject string, names bool) {
	if age, limited := q.maxAge(); limited {
		params.Set("max_age", strconv.FormatInt(int64(age/time.Second), 10))
	}
	switch {
	case claimsParameter && (len(q.ACR) > 0 || subject != "" || names):
		params.Set("claims", q.claims(subject, names))
	case len(q.ACR) > 0:
		params.Set("acr_values", strings.Join(q.ACR, " "))
	}
}

// claims is the claims parameter (OpenID Connect Core §5.5).
func (q Requirement) claims(subject string, names bool) string {
	type acr struct {
		Essential bool     `json:"essential"`
		Values    []string `json:"values"`
	}
	type sub struct {
		Value string `json:"value"`
	}
	wanted := map[string]any{}
	if len(q.ACR) > 0 {
		wanted["acr"] = acr{true, q.ACR}
	}
	if subject != "" {
		wanted["sub"] = sub{subject}
	}
	if names {
		for _, name := range []string{"name", "preferred_username", "email", "email_verified", "locale"} {
			wanted[name] = nil // as null it is asked for, and not essential
		}
	}
	text, _ := json.Marshal(map[string]any{"id_token": wanted})
	return string(text)
}

// and is both requirements together; it reports false if no acr meets both.
func (q Requirement) and(other Requirement) (both Requirement, possible bool) {
	both = q.clone()
	if len(both.ACR) == 0 {
		both.ACR = slices.Clone(other.ACR)
	} else if len(other.ACR) > 0 {
		both.ACR = slices.DeleteFunc(both.ACR, func(acr string) bool { return !slices.Contains(other.ACR, acr) })
		if len(both.ACR) == 0 {
			return both, false
		}
	}
	both.AMR = append(both.AMR, other.AMR...)
	if both.MaxAge == 0 || other.MaxAge > 0 && other.MaxAge < both.MaxAge {
		both.MaxAge = other.MaxAge
	}
	both.Fresh = both.Fresh || other.Fresh
	return both, true
}

// checkMet compares what came with what is required; asked is when Login was
// called. The error is nil or an *UnmetError.
func (q Requirement) checkMet(id *Identity, asked time.Time, leeway time.Duration) error {
	var missing []string
	if len(q.ACR) > 0 && !slices.Contains(q.ACR, id.ACR) {
		missing = append(missing, "acr")
	}
	for _, method := range q.AMR {
		if !slices.Contains(id.AMR, method) {
			missing = append(missing, "amr")
			break
		}
	}
	// An auth_time that is missing is zero, and so is before any limit.
	if age, limited := q.maxAge(); limited && id.AuthTime.Before(asked.Add(-age-leeway)) {
		missing = append(missing, "auth_time")
	}
	if missing == nil {
		return nil
	}
	return &UnmetError{Required: q.clone(), ACR: id.ACR, AMR: id.AMR, AuthTime: id.AuthTime, Claims: missing}
}

package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of a user's further claims, in bytes.
const (
	longestClaimName  = 64
	longestClaimValue = 2 << 10
	longestProfile    = 16 << 10
)

// claimChecks are the standard claims that are kept among a user's further ones, each
// with what its value must be (OpenID Connect Core §5.1).
var claimChecks = map[string]func(json.RawMessage) error{
	"given_name": isText, "family_name": isText, "middle_name": isText, "nickname": isText, "gender": isText,
	"profile": isWebURL, "picture": isWebURL, "website": isWebURL,
	"birthdate": isBirthdate, "zoneinfo": isZone,
	"phone_number": isPhone, "phone_number_verified": isBool,
	"address": isAddress,
}

// ownClaims are kept in fields of their own, or made.
var ownClaims = []string{"name", "preferred_username", "email", "email_verified", "locale", "updated_at", ClaimGroups}

// ParseUserClaim reads one of a user's further claims as an operator writes it. A
// standard claim of OpenID Connect Core §5.1 is what the standard says; any other is JSON or, if it is
// none, text. The names of the protocol, those of fields and names that differ from
// one of them in case alone are refused. The error is for the operator.
func ParseUserClaim(name, text string) (json.RawMessage, error) {
	switch {
	case !claimName.MatchString(name) || len(name) > longestClaimName:
		return nil, errors.New("is no name of a claim: letters, digits and _ . : / - are")
	case isProtocolClaim(name):
		return nil, errors.New("is the protocol's, and the server's to set")
	case slices.ContainsFunc(ownClaims, func(own string) bool { return strings.EqualFold(own, name) }):
		return nil, errors.New("is no further claim: name, email and locale have flags of their own, and groups a command")
	case !utf8.ValidString(text) || len(text) > longestClaimValue:
		return nil, fmt.Errorf("is longer than %d bytes, or no text", longestClaimValue)
	}
	check, standard := claimChecks[name]
	if !standard {
		for known := range claimChecks {
			if strings.EqualFold(known, name) {
				return nil, fmt.Errorf("is written %s", known)
			}
		}
	}
	raw := json.RawMessage(text)
	if asText := standard && name != "address" && name != "phone_number_verified"; asText || !json.Valid(raw) {
		raw, _ = json.Marshal(text) // a string: cannot fail
	}
	switch {
	case standard:
		return raw, check(raw)
	case isNull(bytes.TrimSpace(raw)):
		return nil, errors.New("is null, which says nothing")
	}
	return raw, nil
}

// claimName is of names that need no quoting anywhere.
var claimName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.:/-]*$`)

// CheckProfile bounds all of a user's further claims together.
func CheckProfile(claims json.RawMessage) error {
	if len(claims) > longestProfile {
		return fmt.Errorf("all claims together are longer than %d bytes", longestProfile)
	}
	return nil
}

func isText(raw json.RawMessage) error {
	var s string
	if json.Unmarshal(raw, &s) != nil || s == "" || strings.ContainsFunc(s, unicode.IsControl) {
		return errors.New("must be text without control characters")
	}
	return nil
}

func isBool(raw json.RawMessage) error {
	if s := string(raw); s != "true" && s != "false" {
		return errors.New("must be true or false")
	}
	return nil
}

// isWebURL: browsers follow it, so nothing but a web page's address will do.
func isWebURL(raw json.RawMessage) error {
	var s string
	err := json.Unmarshal(raw, &s)
	u, parseErr := url.Parse(s)
	if err != nil || parseErr != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return errors.New("must be an https or http URL")
	}
	return nil
}

// isBirthdate: YYYY-MM-DD, 0000 for a year that is left out, or YYYY alone.
func isBirthdate(raw json.RawMessage) error {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		if rest, ok := strings.CutPrefix(s, "0000-"); ok {
			s = "2000-" + rest
		}
		for _, form := range []string{time.DateOnly, "2006"} {
			if _, err := time.Parse(form, s); err == nil {
				return nil
			}
		}
	}
	return errors.New("must be YYYY-MM-DD or YYYY")
}

var zoneForm = regexp.MustCompile(`^[A-Za-z]+([/_+-][A-Za-z0-9_+-]+)*$`)

func isZone(raw json.RawMessage) error {
	var s string
	if json.Unmarshal(raw, &s) != nil || !zoneForm.MatchString(s) {
		return errors.New("must be a time zone like Asia/Seoul")
	}
	return nil
}

var phoneForm = regexp.MustCompile(`^\+[0-9][0-9 ()-]{2,30}(;ext=[0-9]{1,10})?$`)

// isPhone: E.164 is recommended, with RFC 3966's extension.
func isPhone(raw json.RawMessage) error {
	var s string
	if json.Unmarshal(raw, &s) != nil || !phoneForm.MatchString(s) {
		return errors.New("must be a number like +82 2 1234 5678")
	}
	return nil
}

// addressMembers are those of OpenID Connect Core §5.1.1.
var addressMembers = []string{"formatted", "street_address", "locality", "region", "postal_code", "country"}

func isAddress(raw json.RawMessage) error {
	members, err := object(raw)
	if err != nil || len(members) == 0 {
		return fmt.Errorf("must be a JSON object with some of %s", strings.Join(addressMembers, ", "))
	}
	for name, member := range members {
		var s string
		if !slices.Contains(addressMembers, name) || json.Unmarshal(member, &s) != nil {
			return fmt.Errorf("has %q, and may have text as %s", name, strings.Join(addressMembers, ", "))
		}
	}
	return nil
}

// ScopeOfClaim is the scope that asks for a claim, "" if none does.
func ScopeOfClaim(name string) string {
	for scope, names := range scopeClaims {
		if slices.Contains(names, name) {
			return scope
		}
	}
	return ""
}

package oidc

import (
	"slices"
	"strings"
)

// ClaimGroups is the claim of the groups that the user is in, an array of strings.
const ClaimGroups = "groups"

// scopeClaims are the claims that scopes ask for (OpenID Connect Core §5.4), and the
// scope of the groups.
var scopeClaims = map[string][]string{
	ScopeProfile: {"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile",
		"picture", "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at"},
	ScopeEmail:   {"email", "email_verified"},
	ScopeAddress: {"address"},
	ScopePhone:   {"phone_number", "phone_number_verified"},
	ScopeGroups:  {ClaimGroups},
}

// protocolClaims are the server's to set: no user's claim takes their place.
var protocolClaims = []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "nonce", "auth_time", "acr", "amr",
	"azp", "sid", "at_hash", "c_hash", "s_hash", "cnf", "act", "may_act", "scope", "client_id", "events", "sub_jwk",
	"_claim_names", "_claim_sources",
	"nonce_supported"} // false turns some clients' check of the nonce off

// isProtocolClaim compares as encoding/json does: to a client in Go, SUB is sub.
func isProtocolClaim(name string) bool {
	return slices.ContainsFunc(protocolClaims, func(own string) bool { return strings.EqualFold(own, name) })
}

// ClaimScope is the scope that stands for a claim where a user is asked, and where a
// client's registration says what it may have: profile for those that no scope of
// OpenID Connect has. "" for the protocol's own.
func ClaimScope(name string) string {
	if isProtocolClaim(name) {
		return ""
	}
	for scope, claims := range scopeClaims {
		if slices.Contains(claims, name) {
			return scope
		}
	}
	return ScopeProfile
}

// Scopes are those that stand for what is asked for of the user, in order.
func (c ClaimsRequest) Scopes() []string {
	var scopes []string
	for _, set := range []map[string]ClaimRequest{c.UserInfo, c.IDToken} {
		for name := range set {
			if scope := ClaimScope(name); scope != "" && !slices.Contains(scopes, scope) {
				scopes = append(scopes, scope)
			}
		}
	}
	slices.Sort(scopes)
	return scopes
}

// MayAsk returns those of the claims that a claims parameter asks for and that the
// client may have: asking by name gets no more than asking by scope could.
func (c *Client) MayAsk(asked map[string]ClaimRequest) map[string]ClaimRequest {
	allowed := map[string]ClaimRequest{}
	for name, request := range asked {
		if slices.Contains(c.Scopes, ClaimScope(name)) {
			allowed[name] = request
		}
	}
	return allowed
}

// UserClaims picks from all that is known of a user what scopes and a claims
// request ask for. It does not ask whether the user allowed that, and looks at no
// values. Claims with the protocol's names are never among them; the caller adds
// sub.
func UserClaims(scope []string, asked map[string]ClaimRequest, all map[string]any) map[string]any {
	picked := map[string]any{}
	pick := func(name string) {
		if value, ok := all[name]; ok && !isProtocolClaim(name) {
			picked[name] = value
		}
	}
	for _, s := range scope {
		for _, name := range scopeClaims[s] {
			pick(name)
		}
	}
	for name := range asked {
		pick(name)
	}
	return picked
}

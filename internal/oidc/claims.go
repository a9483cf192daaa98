package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

func (p *params) claims() ClaimsRequest {
	text := p.text("claims", longestClaims)
	if text == "" {
		return ClaimsRequest{}
	}
	c, err := ParseClaims(text)
	if err != nil {
		p.fail(Errorf(InvalidRequest, "claims is not a claims request"))
	}
	return c
}

// mostClaims bounds the claims that one request names.
const mostClaims = 100

// ParseClaims reads a claims parameter of at most 16 KiB (OpenID Connect Core
// §5.5). Members that it does not know are ignored; a name that stands twice is
// refused. It looks three objects deep: what lies below is skipped, not built.
func ParseClaims(text string) (c ClaimsRequest, err error) {
	if len(text) > longestClaims {
		return c, errors.New("oidc: the claims are too long")
	}
	members, err := object([]byte(text))
	if err != nil {
		return c, err
	}
	if c.UserInfo, err = parseClaimSet(members["userinfo"]); err != nil {
		return ClaimsRequest{}, err
	}
	if c.IDToken, err = parseClaimSet(members["id_token"]); err != nil {
		return ClaimsRequest{}, err
	}
	return c, nil
}

func parseClaimSet(raw json.RawMessage) (map[string]ClaimRequest, error) {
	if isNull(raw) {
		return nil, nil
	}
	members, err := object(raw)
	if err != nil {
		return nil, err
	}
	if len(members) > mostClaims {
		return nil, errors.New("oidc: too many claims")
	}
	set := make(map[string]ClaimRequest, len(members))
	for name, member := range members {
		claim, err := parseClaim(member)
		if err == nil {
			err = claim.decides(name)
		}
		if err != nil {
			return nil, fmt.Errorf("oidc: claim %q: %w", name, err)
		}
		set[name] = claim.ClaimRequest
	}
	return set, nil
}

// claim is a claim as it was read, and whether some of its values were not.
type claim struct {
	ClaimRequest
	conditional bool // value or values is there
	incomplete  bool // a value is not a string
}

// decides refuses what could not be honoured of the claims that decide who may
// sign in, and how: left out in silence, they would let another in.
func (c claim) decides(name string) error {
	switch {
	case name != "acr" && name != "sub":
		return nil
	case c.incomplete || c.conditional && len(c.Values) == 0:
		return errors.New("value is not a string")
	case name == "sub" && len(c.Values) > 1:
		return errors.New("a request is about one user")
	}
	return nil
}

// parseClaim reads what is asked of one claim. Values that are no strings are
// ignored: of no claim that may have others are they looked at.
func parseClaim(raw json.RawMessage) (c claim, err error) {
	if isNull(raw) {
		return c, nil
	}
	members, err := object(raw)
	if err != nil {
		return c, err
	}
	if essential := members["essential"]; essential != nil {
		if err := json.Unmarshal(essential, &c.Essential); err != nil {
			return c, errors.New("essential is not a boolean")
		}
	}
	var values []json.RawMessage
	if list := members["values"]; !isNull(list) {
		if err := json.Unmarshal(list, &values); err != nil {
			return c, errors.New("values is not an array")
		}
		c.conditional = true
	}
	if value := members["value"]; !isNull(value) {
		values = append(values, value)
		c.conditional = true
	}
	if len(values) > mostWords {
		return c, errors.New("too many values")
	}
	c.read(values)
	return c, nil
}

func (c *claim) read(values []json.RawMessage) {
	for _, raw := range values {
		var s string
		if isNull(raw) || json.Unmarshal(raw, &s) != nil || !printable(s) {
			c.incomplete = true
			continue
		}
		c.Values = append(c.Values, s)
	}
}

// isNull: a member that is null is asked for without conditions, as is one that
// is not there.
func isNull(raw json.RawMessage) bool { return raw == nil || string(raw) == "null" }

// object reads a JSON object with exact names, each once: encoding/json folds
// case and lets the last of two win (RFC 8725 §2.4).
func object(raw []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("oidc: not a JSON object")
	}
	members := map[string]json.RawMessage{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		key := name.(string) // between { and } only names come here
		if _, twice := members[key]; twice || !printable(key) {
			return nil, fmt.Errorf("oidc: member %q stands twice or is not text", key)
		}
		var member json.RawMessage
		if err := d.Decode(&member); err != nil {
			return nil, err
		}
		members[key] = member
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("oidc: something follows the JSON object")
	}
	return members, nil
}

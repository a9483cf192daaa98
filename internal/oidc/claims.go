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

// ParseClaims reads a claims parameter (OpenID Connect Core §5.5). Members that
// it does not know are ignored; a name that stands twice is refused.
func ParseClaims(text string) (c ClaimsRequest, err error) {
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
	if raw == nil || string(raw) == "null" {
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
		if set[name], err = parseClaim(member); err != nil {
			return nil, fmt.Errorf("oidc: claim %q: %w", name, err)
		}
	}
	return set, nil
}

// parseClaim reads what is asked of one claim. Values that are no strings are of
// no claim that is looked at, and ignored.
func parseClaim(raw json.RawMessage) (c ClaimRequest, err error) {
	if string(raw) == "null" {
		return c, nil
	}
	members, err := object(raw)
	if err != nil {
		return c, err
	}
	if essential := members["essential"]; essential != nil {
		if err := json.Unmarshal(essential, &c.Essential); err != nil {
			return c, err
		}
	}
	if value := members["value"]; value != nil {
		var s string
		if json.Unmarshal(value, &s) == nil {
			c.Values = append(c.Values, s)
		}
	}
	if values := members["values"]; values != nil {
		var list []any
		if err := json.Unmarshal(values, &list); err != nil {
			return c, err
		}
		for _, v := range list {
			if s, ok := v.(string); ok {
				c.Values = append(c.Values, s)
			}
		}
	}
	return c, nil
}

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
		if _, twice := members[key]; twice {
			return nil, fmt.Errorf("oidc: member %q stands twice", key)
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

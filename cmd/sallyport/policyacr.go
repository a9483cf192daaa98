package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/policy"
)

// askedFlags are what an application asks for in a request.
type askedFlags struct {
	ACRValues string `name:"acr-values" placeholder:"NAMES" help:"The authentication contexts that the application asks for, like \"phr urn:sallyport:acr:2fa\"."`
	Essential bool   `help:"It asks for them with the claims parameter, and takes nothing less."`
}

// request is one of the user's with these values.
func (f askedFlags) request(user string) (*oidc.AuthorizationRequest, error) {
	names := strings.Fields(f.ACRValues)
	switch {
	case f.Essential && len(names) == 0:
		return nil, errors.New("--essential is of --acr-values")
	case user == "" && len(names) > 0:
		return nil, errors.New("--acr-values needs --user: what must be proven depends on what the account reaches")
	case f.Essential:
		acr := oidc.ClaimRequest{Essential: true, Values: names}
		return &oidc.AuthorizationRequest{Claims: oidc.ClaimsRequest{IDToken: map[string]oidc.ClaimRequest{"acr": acr}}}, nil
	}
	return &oidc.AuthorizationRequest{ACRValues: names}, nil
}

// asked is what a request asks for, and what that comes to.
type asked struct {
	Values    []askedValue `json:"values"`
	Essential bool         `json:"essential"`
	Level     int          `json:"level"` // that must be reached
	Why       string       `json:"why"`
}

type askedValue struct {
	Name    string `json:"name"`
	Level   int    `json:"level"` // 0: nobody knows the name
	Reached bool   `json:"reached"`
}

// explainAsked is nil for a request that asks for no authentication context.
func explainAsked(p policy.Policy, of policy.Case, r *oidc.AuthorizationRequest, reach oidc.Level) *asked {
	names, _ := r.RequestedACR()
	if len(names) == 0 {
		return nil
	}
	demand := p.Demand(of, r, reach)
	a := &asked{Essential: demand.Essential, Level: int(demand.Level)}
	for _, name := range names {
		level, known := p.ACR.Level(name)
		a.Values = append(a.Values, askedValue{name, int(level), known && level <= reach})
	}
	switch {
	case demand.Impossible:
		a.Why = "it is essential, and none of the names is known"
	case demand.Essential:
		a.Why = "it is essential, so the least of the levels must be reached, and what the policy requires"
	default:
		a.Why = "it is voluntary, so it raises what the policy requires to the highest of the levels that the account reaches"
	}
	return a
}

func (v askedValue) String() string {
	switch {
	case v.Level == 0:
		return v.Name + ": no name that is known"
	case v.Reached:
		return fmt.Sprintf("%s: level %d, which the account reaches", v.Name, v.Level)
	}
	return fmt.Sprintf("%s: level %d, which the account does not reach", v.Name, v.Level)
}

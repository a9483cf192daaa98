package policy_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/policy"
	"github.com/sallyport-id/sallyport/internal/store"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func evidence(methods ...store.Method) authn.Evidence {
	e := authn.Evidence{UserID: "u", At: noon, Interaction: "i"}
	for _, m := range methods {
		e.Proofs = append(e.Proofs, store.Proof{Method: m, At: noon, UserID: "u", Interaction: "i"})
	}
	return e
}

func rule(r policy.Rule) policy.Policy { return policy.Policy{Rules: []policy.Rule{r}} }

// TestAllows: the gate of every token, one reason at a time.
func TestAllows(t *testing.T) {
	t.Parallel()
	both := []store.Method{store.MethodPassword, store.MethodTOTP}
	mailed := []store.Method{store.MethodPassword, store.MethodEmail}
	for name, c := range map[string]struct {
		policy  policy.Policy
		client  oidc.Client
		apis    []*oidc.Resource
		user    store.User
		methods []store.Method
		want    error
	}{
		"two factors":                          {methods: both},
		"one factor":                           {methods: both[:1], want: policy.ErrTooWeak},
		"nothing":                              {want: policy.ErrTooWeak},
		"one factor where one will do":         {policy: rule(policy.Rule{Require: policy.Off}), methods: both[:1]},
		"nothing where one will do":            {policy: rule(policy.Rule{Require: policy.Off}), want: policy.ErrTooWeak},
		"the client's floor under a lax rule":  {policy: rule(policy.Rule{Require: policy.Off}), client: oidc.Client{MinLevel: oidc.Level2FA}, methods: both[:1], want: policy.ErrTooWeak},
		"a rule above the client's floor":      {policy: rule(policy.Rule{Require: policy.PhishingResistant}), client: oidc.Client{MinLevel: oidc.Level2FA}, methods: both, want: policy.ErrTooWeak},
		"a stricter rule than when it was new": {policy: rule(policy.Rule{Require: policy.PhishingResistant}), methods: both, want: policy.ErrTooWeak},
		"an API's floor under a lax rule":      {policy: rule(policy.Rule{Require: policy.Off}), apis: []*oidc.Resource{{}, {MinLevel: oidc.Level2FA}}, methods: both[:1], want: policy.ErrTooWeak},
		"an API's floor that is reached":       {policy: rule(policy.Rule{Require: policy.Off}), apis: []*oidc.Resource{{MinLevel: oidc.Level2FA}}, methods: both},
		"a disabled user":                      {user: store.User{Disabled: true}, methods: both, want: policy.ErrDisabled},
		"a disabled client":                    {client: oidc.Client{Disabled: true}, methods: both, want: policy.ErrClient},
		"a mailed code":                        {policy: policy.Policy{MailCodes: true}, methods: mailed},
		"a mailed code where they are off":     {methods: mailed, want: policy.ErrTooWeak},
		"a mailed code for level 3":            {policy: policy.Policy{MailCodes: true, Rules: []policy.Rule{{Require: policy.PhishingResistant}}}, methods: mailed, want: policy.ErrTooWeak},
		"a mailed code, not of the rule":       {policy: policy.Policy{MailCodes: true, Rules: []policy.Rule{{Methods: []string{"totp"}}}}, methods: mailed, want: policy.ErrTooWeak},
		"an epoch later":                       {user: store.User{Epoch: 1}, methods: both, want: policy.ErrRevoked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.user.ID = "u"
			if _, err := c.policy.Allows(policy.Case{Client: &c.client, APIs: c.apis, User: &c.user}, 0, evidence(c.methods...)); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	if _, err := (policy.Policy{}).Allows(policy.Case{Client: &oidc.Client{}, User: &store.User{ID: "v"}}, 0, evidence(both...)); !errors.Is(err, policy.ErrRevoked) {
		t.Errorf("another user's evidence: got %v", err)
	}
}

// TestDemand: what acr_values and an essential acr ask for.
func TestDemand(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		values    []string
		essential bool
		reach     oidc.Level
		want      policy.Demand
	}{
		"nothing":                       {nil, false, 1, policy.Demand{Level: 2, MayEnroll: true}},
		"voluntary, reached":            {[]string{oidc.ACRPHR}, false, 3, policy.Demand{Level: 3, MayEnroll: true}},
		"voluntary, out of reach":       {[]string{oidc.ACRPHR}, false, 2, policy.Demand{Level: 2, MayEnroll: true}},
		"voluntary, the highest":        {[]string{oidc.ACR1FA, oidc.ACRPHR, oidc.ACR2FA}, false, 3, policy.Demand{Level: 3, MayEnroll: true}},
		"voluntary, never below":        {[]string{oidc.ACR1FA}, false, 2, policy.Demand{Level: 2, MayEnroll: true}},
		"voluntary, unknown":            {[]string{"gold"}, false, 2, policy.Demand{Level: 2, MayEnroll: true}},
		"essential":                     {[]string{oidc.ACRPHR}, true, 2, policy.Demand{Level: 3, MayEnroll: true, Essential: true}},
		"essential, any of them":        {[]string{oidc.ACRPHRH, oidc.ACRPHR}, true, 2, policy.Demand{Level: 3, MayEnroll: true, Essential: true}},
		"essential, never below":        {[]string{oidc.ACR1FA}, true, 2, policy.Demand{Level: 2, MayEnroll: true, Essential: true}},
		"essential, one of them known":  {[]string{"gold", oidc.ACR2FA}, true, 2, policy.Demand{Level: 2, MayEnroll: true, Essential: true}},
		"essential, none of them known": {[]string{"gold"}, true, 2, policy.Demand{Level: 2, Essential: true, Impossible: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &oidc.AuthorizationRequest{ACRValues: c.values}
			if c.essential {
				r = &oidc.AuthorizationRequest{Claims: oidc.ClaimsRequest{IDToken: map[string]oidc.ClaimRequest{"acr": {Essential: true, Values: c.values}}}}
			}
			if got := (policy.Policy{}).Demand(policy.Case{Client: &oidc.Client{}}, r, c.reach); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
	marked := &oidc.Client{EssentialACR: true}
	if got := (policy.Policy{}).Demand(policy.Case{Client: marked}, &oidc.AuthorizationRequest{ACRValues: []string{oidc.ACRPHR}}, 2); !got.Essential || got.Level != 3 {
		t.Errorf("acr_values of a client that makes them essential: got %+v", got)
	}
	apis := []*oidc.Resource{{MinLevel: oidc.Level2FA}, {MinLevel: oidc.LevelPHR}}
	if got := (policy.Policy{}).Demand(policy.Case{Client: &oidc.Client{}, APIs: apis}, &oidc.AuthorizationRequest{}, 2); got != (policy.Demand{Level: 3, MayEnroll: true}) {
		t.Errorf("APIs with floors: got %+v", got)
	}
}

// TestRule22TrustedDeviceUnderFloors: a trusted device stands for the second factor,
// beside a password, and for nothing else; it makes nothing worth more.
func TestRule22TrustedDeviceUnderFloors(t *testing.T) {
	t.Parallel()
	month := rule(policy.Rule{TrustedDeviceDays: 30})
	device := &store.GrantedDevice{ID: "d", Level: oidc.Level2FA, Since: noon.Add(-time.Hour)}
	password := []store.Method{store.MethodPassword}
	for name, c := range map[string]struct {
		policy  policy.Policy
		device  *store.GrantedDevice
		client  oidc.Client
		apis    []*oidc.Resource
		methods []store.Method
		want    error
	}{
		"a password in a trusted browser": {policy: month, device: device, methods: password},
		"in another browser":              {policy: month, methods: password, want: policy.ErrTooWeak},
		"where nobody trusts":             {device: device, methods: password, want: policy.ErrTooWeak},
		"a client with a floor":           {policy: month, device: device, client: oidc.Client{MinLevel: oidc.Level2FA}, methods: password, want: policy.ErrTooWeak},
		"an API with a floor":             {policy: month, device: device, apis: []*oidc.Resource{{}, {MinLevel: oidc.Level2FA}}, methods: password, want: policy.ErrTooWeak},
		"floors of one":                   {policy: month, device: device, client: oidc.Client{MinLevel: oidc.Level1FA}, apis: []*oidc.Resource{{MinLevel: oidc.Level1FA}}, methods: password},
		"a rule above what was proven":    {policy: rule(policy.Rule{TrustedDeviceDays: 30, Require: policy.PhishingResistant}), device: device, methods: password, want: policy.ErrTooWeak},
		"trusted for longer than today":   {policy: month, device: &store.GrantedDevice{Level: oidc.Level2FA, Since: noon.Add(-30 * 24 * time.Hour)}, methods: password, want: policy.ErrTooWeak},
		"a code without a password":       {policy: month, device: device, methods: []store.Method{store.MethodTOTP}, want: policy.ErrTooWeak},
		"nothing":                         {policy: month, device: device, want: policy.ErrTooWeak},
	} {
		e := evidence(c.methods...)
		e.Device = c.device
		got, err := c.policy.Allows(policy.Case{Client: &c.client, APIs: c.apis, User: &store.User{ID: "u"}}, 0, e)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if got.Level > oidc.Level1FA {
			t.Errorf("%s: got level %v", name, got.Level)
		}
	}
}

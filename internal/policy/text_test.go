package policy_test

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/policy"
)

// TestFormatKeepsEveryField: what a rule asks for is not lost on the way.
func TestFormatKeepsEveryField(t *testing.T) {
	t.Parallel()
	every := policy.Rule{
		Name: "every field", Clients: []string{"wiki"}, Groups: []string{"운영"}, Networks: []netip.Prefix{netip.MustParsePrefix("2001:db8::/32")},
		Require: policy.Required, MaxAge: 90500 * time.Millisecond, Methods: []string{"totp"}, TrustedDeviceDays: 30, GraceDays: 14,
	}
	fields := reflect.ValueOf(every)
	for i := range fields.NumField() {
		if fields.Field(i).IsZero() {
			t.Errorf("%s is not in this test", fields.Type().Field(i).Name)
		}
	}
	for _, rules := range [][]policy.Rule{{every, {}}, {}, nil} {
		text, err := policy.Format(rules)
		if err != nil {
			t.Fatal(err)
		}
		got, err := policy.Parse(text)
		if err != nil || len(got) != len(rules) || len(rules) > 0 && !reflect.DeepEqual(got, rules) {
			t.Errorf("of %+v: got %+v, %v", rules, got, err)
		}
	}
	if got, err := policy.Parse(""); len(got) != 0 || err != nil {
		t.Errorf("before any were set: got %v, %v", got, err)
	}
}

// TestParseRefusesWhatItDoesNotKnow: a rule that is half understood may ask for less
// than was meant.
func TestParseRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`[{"require":"off","unless_attacked":true}]`, `[{"require":"blood"}]`, `[{"methods":["iris"]}]`, `[{"max_age":"15m"}]`,
		`[] []`, `{}`, `[`, `off`, `[{"require":"off"},{"name":"never reached"}]`,
	} {
		if got, err := policy.Parse(text); err == nil {
			t.Errorf("%s: got %+v, want an error", text, got)
		}
	}
	if _, err := policy.Format([]policy.Rule{{Require: "blood"}}); err == nil {
		t.Error("formatted what cannot be checked")
	}
	if _, err := policy.Format([]policy.Rule{{Clients: []string{strings.Repeat("x", 300<<10)}}}); err == nil {
		t.Error("formatted what is too long")
	}
}

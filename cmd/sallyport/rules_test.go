package main

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
)

// everyField is a rule in which no field has its zero value.
func everyField(t *testing.T) sallyport.Rule {
	t.Helper()
	rule := sallyport.Rule{
		Name: "every", Clients: []string{"wiki"}, Groups: []string{"운영"}, Networks: []netip.Prefix{netip.MustParsePrefix("2001:db8::/32")},
		Require: sallyport.Required, MaxAge: 90 * time.Second, Methods: []string{"totp"}, TrustedDeviceDays: 30, GraceDays: 14,
	}
	for i, v := 0, reflect.ValueOf(rule); i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			t.Errorf("%s is not in this test", v.Type().Field(i).Name)
		}
	}
	return rule
}

// TestWhatIsShownCanBeSet: no field of a rule is lost on the way to a file and back.
func TestWhatIsShownCanBeSet(t *testing.T) {
	t.Parallel()
	want := []sallyport.Rule{everyField(t), {}}
	got, err := parseRules([]byte(written(want).String()))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

// TestCompareSeesEveryField: a change of any of them is a change.
func TestCompareSeesEveryField(t *testing.T) {
	t.Parallel()
	rule := everyField(t)
	for i, v := 0, reflect.ValueOf(&rule).Elem(); i < v.NumField(); i++ {
		field := v.Type().Field(i).Name
		other := rule
		reflect.ValueOf(&other).Elem().Field(i).SetZero()
		if c := compare([]sallyport.Rule{rule}, []sallyport.Rule{other}); !c.any() && field != "Require" { // whose zero is what it is
			t.Errorf("%s: no change", field)
		}
	}
}

// TestCompare goes by names, numbers where there are none, and the order of those that
// stay.
func TestCompare(t *testing.T) {
	t.Parallel()
	named := func(names ...string) (rules []sallyport.Rule) {
		for _, name := range names {
			rules = append(rules, sallyport.Rule{Name: name})
		}
		return rules
	}
	off := []sallyport.Rule{{Name: "a"}, {Require: sallyport.Off}}
	for _, c := range []struct {
		before, after []sallyport.Rule
		want          string
	}{
		{nil, nil, "nothing changes"},
		{named("a", "b"), named("a", "b"), "nothing changes"},
		{named("a", "b"), named("b", "a"), "the rules that stay are tried in another order"},
		{named("a", "b", "c"), named("a", "c"), "rule b: removed"},
		{named("a", "c"), named("a", "b", "c"), "rule b: added"},
		{named("a", ""), off, "rule 2: changed"},
		{named("a", "a"), named("a"), "rule a: removed"},
		{named("a"), named("a", "a"), "rule a: added"},
		{off, nil, "rule a: removed\nrule 2: removed"},
	} {
		var got strings.Builder
		if err := compare(c.before, c.after).print(&got); err != nil || strings.TrimSpace(got.String()) != c.want {
			t.Errorf("%v to %v: got %q, %v, want %q", written(c.before), written(c.after), got.String(), err, c.want)
		}
	}
}

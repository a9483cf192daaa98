package rp

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// The examples of RFC 9110 §11.6.1, RFC 9470 §3 and RFC 9449 §7.1, and what is
// neither.
func TestParseChallenges(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		headers []string
		want    []challenge
	}{
		{nil, nil},
		{[]string{"", " , ,"}, nil},
		{[]string{"Bearer"}, []challenge{{"Bearer", map[string]string{}}}},
		{[]string{`Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\""`}, []challenge{
			{"Basic", map[string]string{"realm": "simple"}},
			{"Newauth", map[string]string{"realm": "apps", "type": "1", "title": `Login to "apps"`}},
		}},
		{[]string{"Bearer error=\"insufficient_user_authentication\",\n"}, nil},
		{[]string{`Bearer error="insufficient_user_authentication", error_description="More recent authentication is required", max_age="5"`}, []challenge{
			{"Bearer", map[string]string{"error": "insufficient_user_authentication", "error_description": "More recent authentication is required", "max_age": "5"}},
		}},
		{[]string{"Negotiate a/b+c==, Bearer", `DPoP  algs = "ES256 PS256" ,Negotiate abc`}, []challenge{
			{"Negotiate", map[string]string{}}, {"Bearer", map[string]string{}},
			{"DPoP", map[string]string{"algs": "ES256 PS256"}}, {"Negotiate", map[string]string{}},
		}},
		{[]string{`Bearer ,, ERROR=x , scope="a, Basic realm=b"`}, []challenge{
			{"Bearer", map[string]string{"error": "x", "scope": "a, Basic realm=b"}},
		}},
		{[]string{`error="x"`}, nil},
		{[]string{`Bearer error="x`}, nil},
		{[]string{`Bearer error="x\`}, nil},
		{[]string{`Bearer error="x"y`}, nil},
		{[]string{`Bearer error=`}, []challenge{{"Bearer", map[string]string{}}}}, // a token68
		{[]string{`Bearer a=1, error=`}, nil},
		{[]string{`Bearer a b`}, nil},
		{[]string{`Bearer a==b`}, nil},
		{[]string{`Bearer error="x", error="y"`}, nil},
		{[]string{`Bearer error="x", Error="y"`}, nil},
		{[]string{`"Bearer"`}, nil},
		{[]string{`Bearer error="x"`, `=`}, nil},
		{[]string{strings.Repeat("Bearer,", mostChallenges+1)}, nil},
		{[]string{`Bearer error="` + strings.Repeat("x", longestChallenges) + `"`}, nil},
		{[]string{"Bearer " + strings.Join(slices.Collect(params(mostChallengeParam+1)), ",")}, nil},
	} {
		got := parseChallenges(test.headers)
		if !slices.EqualFunc(got, test.want, equalChallenges) {
			t.Errorf("%.80q: got %q, want %q", test.headers, got, test.want)
		}
	}
}

// params are parameters of different names.
func params(n int) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := range n {
			if !yield(strings.Repeat("a", i+1) + "=1") {
				return
			}
		}
	}
}

func equalChallenges(a, b challenge) bool {
	return a.scheme == b.scheme && maps.Equal(a.params, b.params)
}

func TestStepUpErrorOfAnAnswer(t *testing.T) {
	t.Parallel()
	const unmet = `error="insufficient_user_authentication"`
	var none *Requirement
	for header, want := range map[string]*Requirement{
		`Bearer ` + unmet: {},
		`bearer ` + unmet + `, acr_values="urn:example:gold phr", max_age="300"`: {ACR: []string{"urn:example:gold", "phr"}, MaxAge: 5 * time.Minute},
		`DPoP ` + unmet + `, max_age=0, algs="ES256"`:                            {Fresh: true},
		`Bearer, DPoP ` + unmet + `, acr_values="phr"`:                           {ACR: []string{"phr"}},
		`Bearer ` + unmet + `, max_age="9999999999"`:                             {MaxAge: 1 << 31 * time.Second},
		`Bearer ` + unmet + `, max_age="10000000000"`:                            none,
		`Bearer ` + unmet + `, max_age="-1"`:                                     none,
		`Bearer ` + unmet + `, max_age="+1"`:                                     none,
		`Bearer ` + unmet + `, max_age="1.5"`:                                    none,
		`Bearer ` + unmet + `, max_age=""`:                                       none,
		`Bearer ` + unmet + `, acr_values="a  b"`:                                none,
		`Bearer ` + unmet + ", acr_values=\"a\tb\"":                              none,
		`Bearer ` + unmet + `, acr_values="é"`:                                   none,
		`Basic ` + unmet:                                                         none,
		`Bearer error="insufficient_scope"`:                                      none,
		`Bearer realm="error=\"insufficient_user_authentication\""`:              none,
		`Bearer error_description="x", error="Insufficient_user_authentication"`: none,
		`Bearer ` + unmet + `, max_age="1", max_age="2"`:                         none,
		``: none,
	} {
		res := &http.Response{StatusCode: http.StatusUnauthorized, Header: http.Header{"Www-Authenticate": {header}}, Body: http.NoBody}
		err, asked := CheckStepUp(res).(*StepUpError)
		if asked != (want != nil) || asked && !equalRequirements(err.Require, *want) {
			t.Errorf("%s: got %+v, want %+v", header, err, want)
		}
		if asked && err.Error() == "" {
			t.Error("no text")
		}
		for _, status := range []int{200, 302, 400, 403, 500} {
			res.StatusCode = status
			if err := CheckStepUp(res); err != nil {
				t.Errorf("%s with status %d: got %v", header, status, err)
			}
		}
	}
}

func equalRequirements(a, b Requirement) bool {
	return slices.Equal(a.ACR, b.ACR) && slices.Equal(a.AMR, b.AMR) && a.MaxAge == b.MaxAge && a.Fresh == b.Fresh
}

// FuzzParseChallenges: what is read is bounded and, written down, is read again; a
// requirement is one that can be sent.
func FuzzParseChallenges(f *testing.F) {
	f.Add(`Bearer error="insufficient_user_authentication", acr_values="phr", max_age="5"`, "")
	f.Add(`Basic realm="a, b", Negotiate abc==, DPoP algs="ES256"`, "Bearer")
	f.Add(`Newauth a = b, c="\"\\"`, `Bearer max_age=0`)
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	f.Fuzz(func(t *testing.T, first, second string) {
		found := parseChallenges([]string{first, second})
		if len(found) > mostChallenges {
			t.Errorf("got %d challenges", len(found))
		}
		var text []string
		size := 0
		for _, c := range found {
			one := c.scheme + " "
			for i, name := range slices.Sorted(maps.Keys(c.params)) {
				if i > 0 {
					one += ", "
				}
				one += name + `="` + quote.Replace(c.params[name]) + `"`
			}
			text, size = append(text, one), size+len(one)+1
			if q, err := c.requirement(); err == nil && (q.check() != nil || q.MaxAge < 0) {
				t.Errorf("%q: got %+v", c, q)
			}
		}
		if again := parseChallenges(text); size < longestChallenges && !slices.EqualFunc(again, found, equalChallenges) {
			t.Errorf("%q: got %q, and again %q", text, found, again)
		}
	})
}

package sallyport_test

import (
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport"
)

// scrape is what Prometheus would read.
func (r *rig) scrape() string {
	r.t.Helper()
	w := httptest.NewRecorder()
	r.Metrics().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		r.t.Fatalf("got %d\n%s", w.Code, w.Body)
	}
	return w.Body.String()
}

// TestMetricsAreDocumented: after a run that moves all of them, the metrics and the
// names in the document, alerts included, are one list.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	r, _ := attesting(t, func(c *sallyport.Config) { c.InsecureNoLimits = false })
	b := r.directBrowser(nil)
	code := b.signIn(r.mina, b.authorize("web")).mustCode()
	r.serve(r.formRequest("web", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}.Encode()))
	for range 60 {
		req := httptest.NewRequest("GET", "/userinfo", nil)
		req.Header.Set("Authorization", "Bearer wrong")
		r.serve(req)
	}
	text := r.scrape()
	served := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (sallyport_\w+) `).FindAllStringSubmatch(text, -1) {
		served[m[1]] = true
	}
	doc, err := os.ReadFile("docs/operate/monitor.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, name := range regexp.MustCompile(`sallyport_\w+`).FindAllString(string(doc), -1) {
		name = strings.TrimSuffix(name, "_bucket")
		if documented[name] = true; !served[name] {
			t.Errorf("docs/operate/monitor.md names %s, which is no metric", name)
		}
	}
	for name := range served {
		if !documented[name] {
			t.Errorf("docs/operate/monitor.md does not name %s", name)
		}
	}
	for _, want := range []string{
		`sallyport_sign_in_answers_total{action="totp",result="ok",step="second_factor"} 1`,
		`sallyport_token_responses_total{grant="authorization_code"} 1`,
		`sallyport_authorizations_total{result="code"} 1`,
		`sallyport_rate_limited_total{limit="failures"} 10`,
		`sallyport_http_requests_total{method="GET",route="/userinfo",status="4xx"} 60`,
		`sallyport_http_requests_in_flight 0`,
		`sallyport_password_hashes_running 0`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no %s", want)
		}
	}
}

// TestLabelsAreWords: requests with anything in them make no series of their own.
func TestLabelsAreWords(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	series := func() []string {
		var names []string
		for line := range strings.Lines(r.scrape()) {
			if strings.HasPrefix(line, "sallyport_") {
				names = append(names, line[:strings.LastIndexByte(line, ' ')])
			}
		}
		return names
	}
	odd := func(n string) {
		r.serve(httptest.NewRequest("GET", "/odd-"+n, nil))
		r.serve(httptest.NewRequest("ODD"+n, "/token", nil))
		r.serve(httptest.NewRequest("GET", "/interaction/odd-"+n, nil))
		r.serve(httptest.NewRequest("POST", "/interaction/odd/odd-"+n, nil))
		r.serve(httptest.NewRequest("GET", "/assets/odd-"+n, nil))
		r.serve(r.formRequest("odd-"+n, "grant_type=odd-"+n+"&scope=odd-"+n))
		r.serve(r.formRequest("web", "grant_type=odd-"+n+"&scope=odd-"+n))
		r.serve(httptest.NewRequest("GET", "/authorize?client_id=web&redirect_uri="+url.QueryEscape(callback)+"&response_type=odd-"+n, nil))
		other := httptest.NewRequest("GET", "/", nil)
		other.Host = "odd-" + n
		r.Server.ServeHTTP(httptest.NewRecorder(), other)
	}
	odd("1")
	before := series()
	for _, n := range []string{"2", "3", "4"} {
		odd(n)
	}
	after := series()
	if !slices.Equal(before, after) {
		t.Errorf("got %d series, want %d as before", len(after), len(before))
	}
	for _, name := range after {
		if strings.Contains(strings.ToLower(name), "odd") {
			t.Errorf("a request's words are in %s", name)
		}
	}
}

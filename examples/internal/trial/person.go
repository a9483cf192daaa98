package trial

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// Person is somebody at a browser without scripts.
type Person struct {
	t    *testing.T
	http http.Client

	// Language is what is sent as Accept-Language.
	Language string
	// The page that is open.
	Status int
	URL    *url.URL
	Header http.Header
	Body   string
	Went   []string // where the redirects led, since the last request
}

// NewPerson opens a browser.
func NewPerson(t *testing.T) *Person {
	jar, _ := cookiejar.New(nil) // never fails
	p := &Person{t: t, Language: "en", http: http.Client{Jar: jar}}
	p.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		p.Went = append(p.Went, r.URL.String())
		return nil
	}
	return p
}

// Open goes to a page.
func (p *Person) Open(page string) { p.t.Helper(); p.do(http.MethodGet, page, nil) }

// Follow clicks on the link with the id.
func (p *Person) Follow(id string) {
	p.t.Helper()
	m := regexp.MustCompile(`<a href="([^"]*)" id="` + id + `"`).FindStringSubmatch(p.Body)
	if m == nil {
		p.fatalf("there is no link %s", id)
	}
	p.Open(p.resolve(m[1]))
}

func (p *Person) resolve(to string) string {
	u, err := p.URL.Parse(html.UnescapeString(to))
	if err != nil {
		p.fatalf("%q: %v", to, err)
	}
	return u.String()
}

var hidden = regexp.MustCompile(`<input type="hidden" name="(\w+)" value="([^"]*)"`)

// Press presses the button with the id, when names and values were typed.
func (p *Person) Press(id string, typed ...string) {
	p.t.Helper()
	for form := range strings.SplitSeq(p.Body, "<form") {
		form, _, _ = strings.Cut(form, "</form>")
		button := regexp.MustCompile(`<button id="` + id + `"([^>]*)>`).FindStringSubmatch(form)
		if button == nil {
			continue
		}
		fields := url.Values{}
		for _, m := range hidden.FindAllStringSubmatch(form, -1) {
			fields.Set(m[1], html.UnescapeString(m[2]))
		}
		if m := regexp.MustCompile(`name="(\w+)" value="(\w+)"`).FindStringSubmatch(button[1]); m != nil {
			fields.Set(m[1], m[2])
		}
		for i := 0; i < len(typed); i += 2 {
			fields.Set(typed[i], typed[i+1])
		}
		action := p.URL.String()
		if m := regexp.MustCompile(`action="([^"]*)"`).FindStringSubmatch(form); m != nil {
			action = p.resolve(m[1])
		}
		p.do(http.MethodPost, action, fields)
		return
	}
	p.fatalf("there is no button %s", id)
}

// Do sends a request as a page's script does, or somebody else's page.
func (p *Person) Do(method, to, site string, form url.Values) {
	p.t.Helper()
	p.send(method, to, form, map[string]string{"Sec-Fetch-Site": site, "Sec-Fetch-Dest": "empty", "Accept": "*/*"})
}

func (p *Person) do(method, to string, form url.Values) {
	p.t.Helper()
	p.send(method, to, form, map[string]string{"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "document", "Accept": "text/html"})
}

func (p *Person) send(method, to string, form url.Values, header map[string]string) {
	p.t.Helper()
	p.Went = nil
	r, err := http.NewRequest(method, to, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	r.Header.Set("Accept-Language", p.Language)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := p.http.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	p.Status, p.URL, p.Header, p.Body = res.StatusCode, res.Request.URL, res.Header, string(body)
}

// SignIn is mina at the server's pages: her password, and her next code.
func (p *Person) SignIn(s *Server) {
	p.t.Helper()
	p.Password(s)
	p.Code(s)
}

// Password is the first of the two.
func (p *Person) Password(s *Server) {
	p.t.Helper()
	p.MustBeAt(s.Issuer)
	p.Press("login", "username", "mina", "password", s.Users[0].Password)
}

// Code is the second.
func (p *Person) Code(s *Server) {
	p.t.Helper()
	p.MustBeAt(s.Issuer)
	p.Press("verify", "code", s.code())
}

// MustBeAt fails the test unless the open page's address begins so.
func (p *Person) MustBeAt(prefix string) {
	p.t.Helper()
	if !strings.HasPrefix(p.URL.String(), prefix) {
		p.fatalf("want to be at %s", prefix)
	}
}

// MustSee fails the test unless the page has the status and all of the words.
func (p *Person) MustSee(status int, words ...string) {
	p.t.Helper()
	if p.Status != status {
		p.fatalf("want status %d", status)
	}
	for _, word := range words {
		if !strings.Contains(p.Body, word) {
			p.fatalf("want to read %q", word)
		}
	}
}

func (p *Person) fatalf(format string, args ...any) {
	p.t.Helper()
	p.t.Fatalf(format+"; at %s (%d):\n%s", append(args, p.URL, p.Status, p.Body)...)
}

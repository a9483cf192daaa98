package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/rp"
)

// A visitor is somebody with a browser that knows forms and no scripts.
type visitor struct {
	t    *testing.T
	http http.Client
}

func newVisitor(t *testing.T) *visitor {
	jar, _ := cookiejar.New(nil) // never fails
	return &visitor{t, http.Client{Jar: jar, Timeout: 20 * time.Second}}
}

// A visited page is where a visitor ended up.
type visited struct {
	visitor *visitor
	status  int
	url     *url.URL
	body    string
}

func (v *visitor) send(r *http.Request, err error) visited {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	res, err := v.http.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return visited{v, res.StatusCode, res.Request.URL, string(body)}
}

func (v *visitor) open(address string) visited {
	v.t.Helper()
	return v.send(http.NewRequestWithContext(v.t.Context(), http.MethodGet, address, nil))
}

var (
	formTag  = regexp.MustCompile(`(?s)<form[^>]*>`)
	actionOf = regexp.MustCompile(`\saction="([^"]*)"`)
	inputTag = regexp.MustCompile(`(?s)<input[^>]*>`)
	nameOf   = regexp.MustCompile(`\sname="([^"]*)"`)
	valueOf  = regexp.MustCompile(`\svalue="([^"]*)"`)
)

// submit sends the page's form, with what is in it and these.
func (p visited) submit(values ...string) visited {
	t := p.visitor.t
	t.Helper()
	if !formTag.MatchString(p.body) {
		t.Fatalf("%s has no form: %d %s", p.url, p.status, p.body)
	}
	to := p.url
	if action := actionOf.FindStringSubmatch(formTag.FindString(p.body)); action != nil {
		var err error
		if to, err = p.url.Parse(html.UnescapeString(action[1])); err != nil {
			t.Fatal(err)
		}
	}
	form := url.Values{}
	for _, tag := range inputTag.FindAllString(p.body, -1) {
		name, value := nameOf.FindStringSubmatch(tag), valueOf.FindStringSubmatch(tag)
		if name != nil && value != nil {
			form.Set(name[1], html.UnescapeString(value[1]))
		}
	}
	for i := 0; i < len(values); i += 2 {
		form.Set(values[i], values[i+1])
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to.String(), strings.NewReader(form.Encode()))
	if err == nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", to.Scheme+"://"+to.Host)
	}
	return p.visitor.send(r, err)
}

func (p visited) wants(text string) {
	p.visitor.t.Helper()
	if p.status != http.StatusOK || !strings.Contains(p.body, text) {
		p.visitor.t.Fatalf("%s: got %d %s, want %q", p.url, p.status, p.body, text)
	}
}

// A party is an application made with rp: pages for who has a session, and the routes
// that it takes.
type party struct {
	*rp.Client
	url      string
	identity *rp.Identity // of the last sign-in
	err      error
	ended    chan int // status of each back-channel logout
}

// newParty starts an application; its configuration gets what all of them have.
func newParty(t *testing.T, change func(c *rp.Config)) *party {
	t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p := &party{url: server.URL, ended: make(chan int, 8)}
	config := rp.Config{RedirectURL: p.url + "/callback", CookieKey: make([]byte, 32)}
	rand.Read(config.CookieKey)
	change(&config)
	var err error
	if p.Client, err = rp.New(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	sessions, err := p.Sessions(rp.SessionConfig{Store: new(rp.MemoryStore), AfterLogout: p.url + "/bye"})
	if err != nil {
		t.Fatal(err)
	}
	backchannel, err := sessions.BackchannelLogout()
	if err != nil {
		t.Fatal(err)
	}
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		if p.identity, p.err = p.Callback(w, r); p.err == nil {
			p.err = sessions.Begin(w, r, p.identity)
		}
		if p.err != nil {
			http.Error(w, rp.Reason(p.err), http.StatusForbidden)
			return
		}
		http.Redirect(w, r, p.identity.ReturnTo, http.StatusSeeOther)
	})
	mux.Handle("GET /{$}", sessions.RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `hello %s <form method="post" action="/logout"></form>`, rp.FromContext(r.Context()).Subject)
	})))
	mux.HandleFunc("POST /logout", sessions.Logout)
	mux.HandleFunc("GET /bye", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "bye") })
	mux.HandleFunc("POST /backchannel-logout", func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		backchannel.ServeHTTP(answer, r)
		w.WriteHeader(answer.Code)
		p.ended <- answer.Code
	})
	return p
}

func newP256() *ecdsa.PrivateKey {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // never fails
	return key
}

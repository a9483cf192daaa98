package rp

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	pendingPurpose  = "sallyport rp pending login 1"
	pendingLifetime = 15 * time.Minute
	// The cookie outlives the login in it, so that coming back late can be told
	// from coming back with another browser.
	pendingCookieLifetime = time.Hour
	mostPending           = 5
	mostCookiesOpened     = 20
)

// pending is a login that was started in this browser and waits for the answer.
type pending struct {
	state    string
	nonce    string
	verifier string // PKCE (RFC 7636 §4.1)
	started  time.Time
	expires  time.Time
	returnTo string

	// What RequireFresh and StepUp add; the zero values for other logins.
	require Requirement // besides Config.Require
	subject string      // the digest of who must sign in, "" for anybody
}

func newPending(now time.Time, returnTo string) pending {
	return pending{
		state: rand.Text(), nonce: rand.Text(), verifier: rand.Text() + rand.Text(),
		started: now, expires: now.Add(pendingLifetime), returnTo: localPath(returnTo),
	}
}

// text is the pending login as text, a line for each field: none of them
// contains a newline.
func (p pending) text() string {
	lines := []string{
		p.state, p.nonce, p.verifier,
		strconv.FormatInt(p.started.Unix(), 10), strconv.FormatInt(p.expires.Unix(), 10), p.returnTo,
	}
	if p.subject != "" || !p.require.isZero() {
		require, _ := json.Marshal(p.require)
		lines = append(lines, p.subject, string(require))
	}
	return strings.Join(lines, "\n")
}

func parsePending(text string) (pending, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 6 && len(lines) != 8 || slices.Contains(lines[:5], "") {
		return pending{}, errMalformed
	}
	started, err := strconv.ParseInt(lines[3], 10, 64)
	if err != nil {
		return pending{}, errMalformed
	}
	expires, err := strconv.ParseInt(lines[4], 10, 64)
	if err != nil {
		return pending{}, errMalformed
	}
	p := pending{
		state: lines[0], nonce: lines[1], verifier: lines[2],
		started: time.Unix(started, 0), expires: time.Unix(expires, 0), returnTo: localPath(lines[5]),
	}
	if len(lines) == 6 {
		return p, nil
	}
	p.subject = lines[6]
	if err := json.Unmarshal([]byte(lines[7]), &p.require); err != nil {
		return pending{}, errMalformed
	}
	return p, nil
}

// pendingName is the name of the cookie for a state, so that logins in several
// tabs do not meet.
func (c *Client) pendingName(state string) string { return c.cookies + digest(state)[:12] }

func (c *Client) sealPending(p pending) (name, value string, err error) {
	name = c.pendingName(p.state)
	value, err = c.seal(pendingPurpose, name, p.text())
	return name, value, err
}

func (c *Client) openPending(name, value string) (pending, error) {
	text, err := c.open(pendingPurpose, name, value)
	if err != nil {
		return pending{}, err
	}
	return parsePending(text)
}

// storePending gives the browser the cookie of a new login, and takes away those
// of the oldest, the expired and the unreadable ones.
func (c *Client) storePending(w http.ResponseWriter, r *http.Request, p pending) error {
	name, value, err := c.sealPending(p)
	if err != nil {
		return err
	}
	for _, old := range c.surplus(r) {
		c.deleteCookie(w, old)
	}
	sites := http.SameSiteLaxMode
	if c.config.FormPost && c.secure { // the answer is a POST from the server's site
		sites = http.SameSiteNoneMode
	}
	c.setCookieFor(sites, w, name, value, int(pendingCookieLifetime/time.Second))
	return nil
}

// surplus are the names of the cookies that must go before another login is
// added.
func (c *Client) surplus(r *http.Request) []string {
	type login struct {
		name    string
		started time.Time
	}
	var live []login
	var gone []string
	opened := 0
	for _, client := range c.family {
		for _, cookie := range client.pendingCookies(r) {
			p, err := pending{}, errMalformed
			if opened++; opened <= mostCookiesOpened {
				p, err = client.openPending(cookie.Name, cookie.Value)
			}
			if err != nil || !c.config.Now().Before(p.expires) {
				gone = append(gone, cookie.Name)
				continue
			}
			live = append(live, login{cookie.Name, p.started})
		}
	}
	slices.SortStableFunc(live, func(a, b login) int { return a.started.Compare(b.started) })
	for len(live) >= mostPending {
		gone, live = append(gone, live[0].name), live[1:]
	}
	return gone
}

// takePending returns the login that an answer belongs to, and takes its cookie
// away whatever comes of it. The error is a *StateError. A sealed cookie cannot be
// ended on the server's side: who copied it could present it again, but the code
// in the answer works once.
func (c *Client) takePending(w http.ResponseWriter, r *http.Request, state string) (pending, error) {
	name := c.pendingName(state)
	cookies := r.CookiesNamed(name)
	if len(cookies) == 0 {
		if len(c.pendingCookies(r)) > 0 {
			return pending{}, &StateError{StateMismatch}
		}
		return pending{}, &StateError{CookieMissing}
	}
	c.deleteCookie(w, name)
	for _, cookie := range cookies {
		p, err := c.openPending(name, cookie.Value)
		if err != nil {
			continue
		}
		if subtle.ConstantTimeCompare([]byte(p.state), []byte(state)) != 1 {
			return pending{}, &StateError{StateMismatch}
		}
		if !c.config.Now().Before(p.expires) {
			return pending{}, &StateError{LoginExpired}
		}
		return p, nil
	}
	return pending{}, &StateError{CookieUnreadable}
}

func (c *Client) pendingCookies(r *http.Request) []*http.Cookie {
	return slices.DeleteFunc(r.Cookies(), func(cookie *http.Cookie) bool {
		return !strings.HasPrefix(cookie.Name, c.cookies)
	})
}

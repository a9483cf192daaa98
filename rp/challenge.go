package rp

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	longestChallenges  = 8 << 10 // bytes of all WWW-Authenticate headers of an answer
	mostChallenges     = 16
	mostChallengeParam = 32 // of one challenge
	longestMaxAge      = 10 // digits, of seconds
)

// A StepUpError says that an API takes a stronger or more recent sign-in than the
// one that the access token is from (RFC 9470 §3). Requests of Sessions.HTTPClient
// end with it, so that errors.As finds it in what an http.Client returns: only the
// API that got the token can cause it. Sessions.StepUpFor asks the user.
type StepUpError struct {
	// Require is what the API says it takes: acceptable levels, an age or Fresh. They
	// need not be known here. The zero value means that it did not say.
	Require Requirement
}

func (e *StepUpError) Error() string {
	text := "rp: the API takes another sign-in"
	if len(e.Require.ACR) > 0 {
		text += fmt.Sprintf(", of the level %q", e.Require.ACR)
	}
	if age, limited := e.Require.maxAge(); limited {
		text += fmt.Sprintf(", not older than %v", age)
	}
	return text
}

// CheckStepUp is a *StepUpError if the answer of an API to a request of
// Client.HTTPClient says so, whose body it closes then; else nil.
func CheckStepUp(res *http.Response) error {
	if res.StatusCode != http.StatusUnauthorized {
		return nil
	}
	for _, c := range parseChallenges(res.Header.Values("WWW-Authenticate")) {
		if !c.isError("insufficient_user_authentication") {
			continue
		}
		q, err := c.requirement()
		if err != nil { // the answer is for the caller to read
			return nil
		}
		io.Copy(io.Discard, io.LimitReader(res.Body, longestAnswer))
		res.Body.Close()
		return &StepUpError{q}
	}
	return nil
}

// requirement is what a challenge asks for (RFC 9470 §3).
func (c challenge) requirement() (Requirement, error) {
	var q Requirement
	if values := c.params["acr_values"]; values != "" {
		q.ACR = strings.Split(values, " ")
	}
	if text, there := c.params["max_age"]; there {
		seconds, err := strconv.ParseUint(text, 10, 63)
		if err != nil || len(text) > longestMaxAge {
			return q, errMalformed
		}
		q.MaxAge, q.Fresh = time.Duration(min(seconds, 1<<31))*time.Second, seconds == 0
	}
	return q, q.check()
}

// A challenge is one of those in WWW-Authenticate headers (RFC 9110 §11.6.1).
type challenge struct {
	scheme string
	params map[string]string // by names in small letters
}

// isError: an access token was refused for that reason.
func (c challenge) isError(code string) bool {
	return (strings.EqualFold(c.scheme, "Bearer") || strings.EqualFold(c.scheme, "DPoP")) && c.params["error"] == code
}

// parseChallenges reads WWW-Authenticate headers; nil if any of them is malformed
// or too long, for then nobody knows where a challenge ends.
func parseChallenges(headers []string) []challenge {
	text := strings.Join(headers, ",")
	if len(text) > longestChallenges {
		return nil
	}
	p := challengeParser{rest: text}
	for p.next() {
		if err := p.element(); err != nil || len(p.found) > mostChallenges {
			return nil
		}
	}
	return p.found
}

type challengeParser struct {
	rest  string
	found []challenge
}

// next steps over what separates elements, and reports whether there is one more.
func (p *challengeParser) next() bool {
	p.rest = strings.TrimLeft(p.rest, " \t,")
	return p.rest != ""
}

// element reads a parameter of the last challenge, or the beginning of the next one:
// a comma stands between both.
func (p *challengeParser) element() error {
	name := p.token()
	if name == "" {
		return errMalformed
	}
	if after := strings.TrimLeft(p.rest, " \t"); strings.HasPrefix(after, "=") {
		p.rest = after[1:]
		return p.param(name)
	}
	p.found = append(p.found, challenge{name, map[string]string{}})
	if !strings.HasPrefix(p.rest, " ") {
		return p.end()
	}
	p.rest = strings.TrimLeft(p.rest, " ")
	if length := token68(p.rest); length > 0 {
		p.rest = p.rest[length:]
		return p.end()
	}
	if p.rest == "" || p.rest[0] == ',' {
		return nil
	}
	name, p.rest = p.token(), strings.TrimLeft(p.rest, " \t")
	if name == "" || !strings.HasPrefix(p.rest, "=") {
		return errMalformed
	}
	p.rest = p.rest[1:]
	return p.param(name)
}

// param reads the value of a parameter, once for each name.
func (p *challengeParser) param(name string) error {
	if len(p.found) == 0 {
		return errMalformed
	}
	p.rest = strings.TrimLeft(p.rest, " \t")
	value, err := p.value()
	if err != nil {
		return err
	}
	name, params := strings.ToLower(name), p.found[len(p.found)-1].params
	if _, twice := params[name]; twice || len(params) >= mostChallengeParam {
		return errMalformed
	}
	params[name] = value
	return p.end()
}

// end: nothing but a comma may follow an element.
func (p *challengeParser) end() error {
	p.rest = strings.TrimLeft(p.rest, " \t")
	if p.rest != "" && p.rest[0] != ',' {
		return errMalformed
	}
	return nil
}

// value reads a token or a quoted string (RFC 9110 §5.6.4).
func (p *challengeParser) value() (string, error) {
	if !strings.HasPrefix(p.rest, `"`) {
		if value := p.token(); value != "" {
			return value, nil
		}
		return "", errMalformed
	}
	var value strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch p.rest[i] {
		case '"':
			p.rest = p.rest[i+1:]
			return value.String(), nil
		case '\\':
			if i++; i == len(p.rest) {
				return "", errMalformed
			}
		}
		value.WriteByte(p.rest[i])
	}
	return "", errors.New("the quotes do not end")
}

// token reads a token (RFC 9110 §5.6.2), "" if there is none.
func (p *challengeParser) token() string {
	length := span(p.rest, "!#$%&'*+-.^_`|~")
	token := p.rest[:length]
	p.rest = p.rest[length:]
	return token
}

// token68 is the length of a token68 that ends the challenge (RFC 9110 §11.2), 0 if
// it is none.
func token68(text string) int {
	length := span(text, "-._~+/")
	if length == 0 {
		return 0
	}
	length += len(text[length:]) - len(strings.TrimLeft(text[length:], "="))
	if after := strings.TrimLeft(text[length:], " \t"); after != "" && after[0] != ',' {
		return 0
	}
	return length
}

// span is how many letters, digits and others there are at the beginning.
func span(text, others string) int {
	for i := range len(text) {
		c := text[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte(others, c) < 0 {
			return i
		}
	}
	return len(text)
}

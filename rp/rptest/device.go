package rptest

import (
	"crypto/rand"
	"net/http"
)

// serveDevice begins a sign-in of a device (RFC 8628 §3.2).
func (p *Provider) serveDevice(w http.ResponseWriter, r *http.Request) {
	if !p.authenticated(r) {
		refuse(w, "invalid_client", "wrong client or secret")
		return
	}
	code := rand.Text()
	p.mu.Lock()
	p.devices[code] = p.answers
	p.mu.Unlock()
	answerJSON(w, http.StatusOK, map[string]any{
		"device_code": code, "user_code": "WDJB-MJHT", "verification_uri": p.Issuer + "/device", "expires_in": 600,
	})
}

// deviceAnswer takes the next answer to a device, "" if it is to have tokens or is
// none.
func (p *Provider) deviceAnswer(code string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	answers, known := p.devices[code]
	switch {
	case code == "":
		return ""
	case !known:
		return "invalid_grant"
	case len(answers) == 0:
		delete(p.devices, code)
		return ""
	}
	p.devices[code] = answers[1:]
	return answers[0]
}

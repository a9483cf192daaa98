package rptest

import (
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
)

// InitialAccessToken is what a client needs to register itself.
const InitialAccessToken = "initial"

// A registration is what the provider's client has registered (RFC 7591, RFC 7592).
type registration struct {
	metadata map[string]any // nil: nothing
	token    string         // for its management; each answer has a new one
}

// Registered are the metadata of the client that registered itself last, nil if none
// did.
func (p *Provider) Registered() map[string]any {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.register.metadata)
}

// serveRegister gives whoever registers the id and the secret of the provider's one
// client.
func (p *Provider) serveRegister(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+InitialAccessToken {
		answerJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token"})
		return
	}
	p.takeMetadata(w, r, http.StatusCreated)
}

func (p *Provider) serveRegistered(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	good := p.register.metadata != nil && r.Header.Get("Authorization") == "Bearer "+p.register.token
	p.mu.Unlock()
	switch {
	case !good:
		answerJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token"})
	case r.Method == http.MethodGet:
		p.answerMetadata(w, http.StatusOK)
	case r.Method == http.MethodPut:
		p.takeMetadata(w, r, http.StatusOK)
	case r.Method == http.MethodDelete:
		p.mu.Lock()
		p.register = registration{}
		p.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	}
}

func (p *Provider) takeMetadata(w http.ResponseWriter, r *http.Request, status int) {
	var metadata map[string]any
	if json.NewDecoder(r.Body).Decode(&metadata) != nil || metadata["client_name"] == "evil" || r.Header.Get("Content-Type") != "application/json" {
		refuse(w, "invalid_client_metadata", "it is no good")
		return
	}
	p.mu.Lock()
	p.register.metadata = metadata
	p.mu.Unlock()
	p.answerMetadata(w, status)
}

func (p *Provider) answerMetadata(w http.ResponseWriter, status int) {
	p.mu.Lock()
	p.register.token = rand.Text()
	answer := maps.Clone(p.register.metadata)
	answer["registration_access_token"] = p.register.token
	p.mu.Unlock()
	answer["client_id"], answer["client_secret"], answer["client_secret_expires_at"] = p.ClientID, p.ClientSecret, 0
	answer["registration_client_uri"] = p.Issuer + "/register/" + p.ClientID
	p.changeClaims(answer)
	answerJSON(w, status, answer)
}

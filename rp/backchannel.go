package rp

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport-id/sallyport/internal/issuer"
)

const (
	longestLogoutRequest = 64 << 10 // bytes
	logoutEvent          = "http://schemas.openid.net/event/backchannel-logout"
)

// BackchannelLogout is the handler of the URL that the server tells about sessions
// that it has ended (backchannel_logout_uri), one for all providers. It ends those that began with them,
// and answers 200, or 400 with a JSON error if the logout token does not hold, is
// used again, or the logout failed (OpenID Connect Back-Channel Logout §2.5 to
// §2.8). No session or cookie takes part in it: leave it out of RequireSession and
// of protections against cross-site requests.
//
// It takes a SessionConfig.Store, and is an error without: a session that is all
// in a cookie cannot be ended from here.
func (s *Sessions) BackchannelLogout() (http.Handler, error) {
	if s.config.Store == nil {
		return nil, errors.New("rp: BackchannelLogout takes a SessionConfig.Store: a sealed cookie cannot be ended")
	}
	return http.HandlerFunc(s.serveBackchannelLogout), nil
}

func (s *Sessions) serveBackchannelLogout(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		plainAnswer(w, http.StatusMethodNotAllowed, "A logout takes a POST request.")
		return
	}
	client := s.clients[0]
	text, err := logoutTokenOf(w, r)
	if err == nil {
		client = s.claimedBy(text)
		err = s.backchannelLogout(r.Context(), client, text)
	}
	if err == nil {
		w.WriteHeader(http.StatusOK)
		return
	}
	client.config.Logger.WarnContext(r.Context(), "a back-channel logout is refused",
		slog.String("issuer", client.config.Issuer), slog.Any("error", err))
	code, text := "invalid_request", "the logout token is not accepted"
	var unavailable *UnavailableError
	if errors.As(err, &unavailable) {
		code, text = "temporarily_unavailable", "the logout cannot be carried out now"
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": text})
}

func (s *Sessions) backchannelLogout(ctx context.Context, client *Client, text string) error {
	token, err := client.verifyLogoutToken(ctx, text)
	if err != nil {
		return err
	}
	first, err := s.config.Store.Logout(ctx, token)
	if err != nil {
		return &UnavailableError{Doing: "ending sessions", Err: err}
	}
	if !first {
		return refuse("jti", "the logout token was used before")
	}
	return nil
}

// claimedBy is the client at the server that a token says it is from. Nothing in
// the token was checked: it chooses who does that.
func (s *Sessions) claimedBy(token string) *Client {
	if claims, err := issuer.UnverifiedClaims(token); err == nil {
		r := issuer.Reader{Object: claims}
		if c := s.of(r.Text("iss")); c != nil {
			return c
		}
	}
	return s.clients[0]
}

// logoutTokenOf reads a logout request (OpenID Connect Back-Channel Logout §2.5).
func logoutTokenOf(w http.ResponseWriter, r *http.Request) (string, error) {
	if form, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || form != "application/x-www-form-urlencoded" {
		return "", refuse("logout_token", "the request is no form")
	}
	r.Body = http.MaxBytesReader(w, r.Body, longestLogoutRequest)
	if err := r.ParseForm(); err != nil {
		return "", refuse("logout_token", "the request cannot be read")
	}
	if got := r.PostForm["logout_token"]; len(got) == 1 {
		return got[0], nil
	}
	return "", refuse("logout_token", "the request does not have exactly one")
}

// verifyLogoutToken checks a logout token (OpenID Connect Back-Channel Logout
// §2.6) but for that it was not used before. Errors are a *CheckError or an
// *UnavailableError.
func (c *Client) verifyLogoutToken(ctx context.Context, text string) (LogoutToken, error) {
	h, err := parseHeader(text, "logout+jwt")
	if err != nil {
		return LogoutToken{}, err
	}
	claims, err := c.verifySignature(ctx, text, h)
	if err != nil {
		return LogoutToken{}, err
	}
	return expected{
		issuerID: c.config.Issuer, clientID: c.config.ClientID, now: c.config.Now(), leeway: c.config.Leeway,
	}.checkLogout(claims)
}

// checkLogout checks the claims of a logout token whose signature is good.
func (want expected) checkLogout(claims Claims) (LogoutToken, error) {
	r := issuer.Reader{Object: issuer.Object(claims)}
	token := LogoutToken{Issuer: r.Text("iss"), SID: r.Text("sid"), Subject: r.Text("sub")}
	audience, id := r.OneOrMore("aud"), r.Text("jti")
	expiry, issued, notBefore := r.Instant("exp"), r.Instant("iat"), r.Instant("nbf")
	var events map[string]json.RawMessage
	r.Decode("events", &events)
	if r.Err != nil {
		return LogoutToken{}, refuse("logout_token", "%v", r.Err)
	}
	late, early := want.now.Add(-want.leeway), want.now.Add(want.leeway)
	switch _, nonce := claims["nonce"]; {
	case token.Issuer != want.issuerID:
		return LogoutToken{}, refuse("iss", "the token comes from %q", issuer.Clip(token.Issuer))
	case !slices.Contains(audience, want.clientID):
		return LogoutToken{}, refuse("aud", "the token is not for this client")
	case !expiry.After(late):
		return LogoutToken{}, refuse("exp", "it is missing or past")
	case issued.IsZero() || issued.After(early):
		return LogoutToken{}, refuse("iat", "it is missing or in the future")
	case notBefore.After(early):
		return LogoutToken{}, refuse("nbf", "it is in the future")
	case id == "":
		return LogoutToken{}, refuse("jti", "it is missing")
	case !isObject(events[logoutEvent]):
		return LogoutToken{}, refuse("events", "they do not tell of a logout")
	case nonce:
		return LogoutToken{}, refuse("nonce", "it is there, as in an ID token")
	case token.SID == "" && token.Subject == "":
		return LogoutToken{}, refuse("sid", "neither sid nor sub says whose session has ended")
	}
	token.ID, token.Expires = digest(want.issuerID+"\x00"+id), expiry.Add(want.leeway)
	return token, nil
}

func isObject(value json.RawMessage) bool {
	return strings.HasPrefix(strings.TrimLeft(string(value), " \t\r\n"), "{")
}

package rp

import (
	"log/slog"
	"net/http"
	"net/url"
)

// Logout ends the session of this browser and sends it to the server, to sign out
// there as well, and from there to SessionConfig.AfterLogout (303). It answers POST
// requests from this origin alone: a link or an image of somebody else signs
// nobody out. Who has no session any more, or one without an ID token, is sent to
// the server all the same, which asks then, and does not send the browser back. Of
// several providers nobody knows then which one that is.
//
// If the server has no page for that, is not known or does not answer, the logout is of this
// application alone, and AfterLogout comes at once. If the store fails, the
// session goes on, and Config.ErrorPage answers with an *UnavailableError.
//
// The tokens of the session are revoked, if there are SessionConfig.Tokens.
//
// (OpenID Connect RP-Initiated Logout §2.)
func (s *Sessions) Logout(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		plainAnswer(w, http.StatusMethodNotAllowed, "Signing out takes a POST request.")
		return
	}
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		plainAnswer(w, http.StatusForbidden, "The request comes from another site.")
		return
	}
	session, err := s.get(r)
	if err != nil {
		session = new(Session)
	}
	if err := s.endStored(r); err != nil {
		s.fail(w, r, err)
		return
	}
	s.revokeTokens(r.Context(), session)
	s.clients[0].deleteCookie(w, s.cookie)
	w.Header().Set("Location", s.afterLogout(r, session))
	w.WriteHeader(http.StatusSeeOther)
}

// afterLogout is where to go when a session has ended, or none was there. There is no state in the
// request: nothing happens to who comes back that it could protect.
func (s *Sessions) afterLogout(r *http.Request, session *Session) string {
	local := s.config.AfterLogout
	if local == "" {
		local = "/"
	}
	client := s.of(session.Issuer)
	if client == nil && len(s.clients) > 1 {
		return local
	}
	if client == nil {
		client = s.clients[0]
	}
	m, err := client.serverMetadata(r.Context())
	if err != nil {
		client.config.Logger.WarnContext(r.Context(), "signed out of the application alone",
			slog.String("issuer", client.config.Issuer), slog.Any("error", err))
		return local
	}
	u, err := url.Parse(m.endSessionEndpoint)
	if m.endSessionEndpoint == "" || err != nil {
		return local
	}
	q := u.Query()
	q.Set("client_id", client.config.ClientID)
	if session.IDToken != "" { // servers refuse to send anybody on who has none
		q.Set("id_token_hint", session.IDToken)
		if s.config.AfterLogout != "" {
			q.Set("post_logout_redirect_uri", s.config.AfterLogout)
		}
	}
	u.RawQuery = q.Encode()
	return u.String()
}

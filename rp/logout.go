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
// the server all the same, which asks then, and does not send the browser back.
//
// If the server has no page for that, or does not answer, the logout is of this
// application alone, and AfterLogout comes at once. If the store fails, the
// session goes on, and Config.ErrorPage answers with an *UnavailableError.
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
	var idToken string
	if session, err := s.get(r); err == nil {
		idToken = session.IDToken
	}
	if err := s.endStored(r); err != nil {
		s.client.report(r.Context(), err)
		s.client.config.ErrorPage(w, r, err)
		return
	}
	s.client.deleteCookie(w, s.cookie)
	w.Header().Set("Location", s.afterLogout(r, idToken))
	w.WriteHeader(http.StatusSeeOther)
}

// afterLogout is where to go when the session has ended. There is no state in the
// request: nothing happens to who comes back that it could protect.
func (s *Sessions) afterLogout(r *http.Request, idToken string) string {
	local := s.config.AfterLogout
	if local == "" {
		local = "/"
	}
	m, err := s.client.serverMetadata(r.Context())
	if err != nil {
		s.client.config.Logger.WarnContext(r.Context(), "signed out of the application alone",
			slog.String("issuer", s.client.config.Issuer), slog.Any("error", err))
		return local
	}
	u, err := url.Parse(m.endSessionEndpoint)
	if m.endSessionEndpoint == "" || err != nil {
		return local
	}
	q := u.Query()
	q.Set("client_id", s.client.config.ClientID)
	if idToken != "" { // servers refuse to send anybody on who has none
		q.Set("id_token_hint", idToken)
		if s.config.AfterLogout != "" {
			q.Set("post_logout_redirect_uri", s.config.AfterLogout)
		}
	}
	u.RawQuery = q.Encode()
	return u.String()
}

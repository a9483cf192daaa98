package web

import (
	"net/http"
	"net/url"

	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/token"
	"github.com/sallyport-id/sallyport/internal/web/page"
)

// endSession is the end session endpoint (OpenID Connect RP-Initiated Logout
// §2). It asks unless the hint proves that the request is about this very
// session.
func (s *server) endSession(w http.ResponseWriter, r *http.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return shown(http.StatusBadRequest, "invalid_request", "the query cannot be read")
	}
	req, c, hint, err := s.logoutRequest(r, query)
	if err != nil {
		return err
	}
	session, err := s.Flow.SessionToEnd(r.Context(), s.cookie(r, sessionCookie))
	if err != nil {
		return err
	}
	if session == nil {
		return s.signedOut(w, r, req, c)
	}
	if hint == nil || !s.Tokens.Names(hint, c, session.UserID) || !flow.NamesSession(session, hint.Audience, hint.SessionID) {
		return s.page(w, r, http.StatusOK, req.UILocales, s.confirmPage(r, session))
	}
	if err := s.signOut(w, r, session); err != nil {
		return err
	}
	return s.signedOut(w, r, req, c)
}

// logoutRequest reads a logout request. With a post_logout_redirect_uri, the
// client that it belongs to is proven by the hint; anything wrong is shown here
// and redirected nowhere (RP-Initiated Logout §4).
func (s *server) logoutRequest(r *http.Request, v url.Values) (req *oidc.EndSessionRequest, c *oidc.Client, hint *token.Hint, err error) {
	req, refusal := oidc.ParseEndSessionRequest(v)
	if refusal != nil {
		return nil, nil, nil, refusal
	}
	if req.IDTokenHint != "" {
		if hint, err = s.Tokens.ParseHint(req.IDTokenHint); err != nil {
			return nil, nil, nil, shown(http.StatusBadRequest, "invalid_request", "id_token_hint is not an ID token of this server")
		}
		if req.ClientID != "" && req.ClientID != hint.Audience {
			return nil, nil, nil, shown(http.StatusBadRequest, "invalid_request", "client_id is not the one of id_token_hint")
		}
		if c, err = s.client(r, hint.Audience); err != nil {
			return nil, nil, nil, err
		}
		if c != nil {
			noted(r).clientID = c.ID
		}
	}
	if refusal := req.Check(c); refusal != nil {
		return nil, nil, nil, refusal
	}
	return req, c, hint, nil
}

// confirmPage carries the request through the question.
func (s *server) confirmPage(r *http.Request, session *store.Session) page.ConfirmLogout {
	p := page.ConfirmLogout{Frame: page.Frame{Base: s.base, CSRF: s.formToken(r, "logout", session.ID)}}
	for _, name := range oidc.EndSessionParameters {
		if value := r.URL.Query().Get(name); value != "" {
			p.Fields = append(p.Fields, page.Field{Name: name, Value: value})
		}
	}
	return p
}

// confirmEndSession ends the session at the user's word.
func (s *server) confirmEndSession(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	req, c, _, err := s.logoutRequest(r, form)
	if err != nil {
		return err
	}
	session, err := s.Flow.SessionToEnd(r.Context(), s.cookie(r, sessionCookie))
	if err != nil {
		return err
	}
	if session == nil {
		return s.signedOut(w, r, req, c)
	}
	if !s.formTokenIs(r, form.Get("csrf"), "logout", session.ID) {
		return redirect(w, s.base+"/end_session?"+logoutQuery(form))
	}
	if err := s.signOut(w, r, session); err != nil {
		return err
	}
	return s.signedOut(w, r, req, c)
}

func logoutQuery(form url.Values) string {
	query := url.Values{}
	for _, name := range oidc.EndSessionParameters {
		if value := form.Get(name); value != "" {
			query.Set(name, value)
		}
	}
	return query.Encode()
}

func (s *server) signOut(w http.ResponseWriter, r *http.Request, session *store.Session) error {
	now, o := s.Now(), s.origin(r)
	event := store.Event{At: now, Type: store.EventSessionEnded, UserID: session.UserID, Session: session.ID, Address: o.Address, RequestID: o.RequestID}
	if err := s.Store.EndSession(r.Context(), session.ID, now, event); err != nil {
		return err
	}
	s.dropCookie(w, sessionCookie)
	s.dropCookie(w, browserCookie)
	return nil
}

// signedOut goes back to the client if the request proved where that is, else
// it says that the user is signed out.
func (s *server) signedOut(w http.ResponseWriter, r *http.Request, req *oidc.EndSessionRequest, c *oidc.Client) error {
	if c != nil && req.PostLogoutRedirectURI != "" {
		return redirect(w, req.ReturnURL())
	}
	return s.page(w, r, http.StatusOK, req.UILocales, page.SignedOut{Frame: page.Frame{Base: s.base}})
}

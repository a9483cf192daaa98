package rp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// RequireSession lets requests with a session through to h, which finds it with
// FromContext. Who goes to a page without one is sent to Login and, after
// Callback, back to it. Everything else (a script's request, a form, an image) is
// answered with 401 and the WWW-Authenticate header
//
//	Session error="no_session"
//
// Answers are not to be stored (Cache-Control: no-store), unless h says
// otherwise.
func (s *Sessions) RequireSession(h http.Handler) http.Handler { return s.require(h, Requirement{}) }

func (s *Sessions) require(h http.Handler, q Requirement) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		session, err := s.found(w, r)
		if err != nil {
			s.refuse(w, r, q, nil, err)
			return
		}
		if err := q.checkMet(&session.Identity, s.now(), s.of(session.Issuer).config.Leeway); err != nil {
			s.refuse(w, r, q, session, err)
			return
		}
		h.ServeHTTP(w, s.with(r, session, q))
	})
}

// with is a request that has its session, which meets q.
func (s *Sessions) with(r *http.Request, session *Session, q Requirement) *http.Request {
	if before, _ := r.Context().Value(contextKey{}).(inContext); before.owner == s {
		q, _ = q.and(before.require) // possible, for the session meets both
	}
	return r.WithContext(context.WithValue(r.Context(), contextKey{}, inContext{session, s, q}))
}

// WithSession lets every request through to h, which finds the session with FromContext,
// nil if there is none: for pages that greet who is signed in, and are for everybody.
// Answers are not to be stored, unless h says otherwise; where a store fails, Config.ErrorPage
// answers.
func (s *Sessions) WithSession(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		session, err := s.found(w, r)
		switch {
		case errors.Is(err, ErrNoSession):
		case err != nil:
			s.fail(w, r, err)
			return
		default:
			r = s.with(r, session, Requirement{})
		}
		h.ServeHTTP(w, r)
	})
}

// found is the session of a request, which a handler around this one may have
// looked up already.
func (s *Sessions) found(w http.ResponseWriter, r *http.Request) (*Session, error) {
	if found, _ := r.Context().Value(contextKey{}).(inContext); found.owner == s {
		return found.session, nil
	}
	return s.current(w, r)
}

// refuse answers a request that has no session (nil), or one that is not enough.
func (s *Sessions) refuse(w http.ResponseWriter, r *http.Request, q Requirement, session *Session, err error) {
	var unmet *UnmetError
	switch {
	case !errors.Is(err, ErrNoSession) && !errors.As(err, &unmet):
		s.fail(w, r, err)
	case isPageVisit(r) && session != nil:
		s.of(session.Issuer).Login(w, r, ReturnTo(pathOf(r)), require(q), sameUser(session))
	case isPageVisit(r) && s.config.SignIn != nil:
		s.config.SignIn.ServeHTTP(w, r)
	case isPageVisit(r):
		s.clients[0].Login(w, r, ReturnTo(pathOf(r)), require(q))
	default:
		w.Header().Set("WWW-Authenticate", `Session error="`+ReasonCode(err)+`"`)
		plainAnswer(w, http.StatusUnauthorized, Reason(err))
	}
}

// isPageVisit reports whether a person goes to a page and will see the answer.
// Browsers that do not tell with Sec-Fetch-Dest ask for HTML then, and scripts do
// not.
func isPageVisit(r *http.Request) bool {
	return r.Method == http.MethodGet && isNavigation(r.Header) &&
		(r.Header.Get("Sec-Fetch-Dest") != "" || strings.Contains(r.Header.Get("Accept"), "text/html"))
}

// pathOf is path and query as the browser asked for them: r.URL may have lost a
// prefix on its way here.
func pathOf(r *http.Request) string {
	u, err := url.ParseRequestURI(r.RequestURI)
	if err != nil {
		return "/"
	}
	return u.RequestURI()
}

func plainAnswer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	io.WriteString(w, text+"\n")
}

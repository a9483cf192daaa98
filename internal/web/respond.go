package web

import (
	"bytes"
	"crypto/hmac"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/sallyport-id/sallyport/internal/web/page"
)

// page renders a page in the language that the request and the browser ask for.
func (s *server) page(w http.ResponseWriter, r *http.Request, status int, uiLocales []string, p page.Page) error {
	var body bytes.Buffer
	locale := s.Pages.Locale(uiLocales, r.Header.Get("Accept-Language"))
	if err := s.Pages.Render(&body, locale, s.scheme(r), p); err != nil {
		return fmt.Errorf("render page: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", locale)
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
	return nil
}

// scheme is the colour scheme that was chosen in this browser; "" for the device's.
func (s *server) scheme(r *http.Request) string {
	chosen := s.cookie(r, schemeCookie)
	if !slices.Contains(page.Schemes, chosen) {
		return ""
	}
	return chosen
}

const schemeTTL = 365 * 24 * time.Hour

// setScheme keeps what was chosen, in this browser and for nothing else: so it asks for
// no fresh proof, and is there before anybody signs in.
func (s *server) setScheme(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	session, err := s.session(r)
	switch {
	case err != nil:
		return err
	case session == nil || !hmac.Equal([]byte(form.Get("csrf")), []byte(s.accountToken(r, session))):
		noted(r).because(reasonStale)
		return redirect(w, s.base+"/account")
	}
	if chosen := form.Get("scheme"); slices.Contains(page.Schemes, chosen) {
		s.setCookie(w, schemeCookie, chosen, schemeTTL)
	} else {
		s.dropCookie(w, schemeCookie)
	}
	return redirect(w, s.base+"/account")
}

func (s *server) home(w http.ResponseWriter, r *http.Request) error {
	return s.page(w, r, http.StatusOK, nil, page.Message{Frame: page.Frame{Base: s.base}, Code: "home", Status: http.StatusOK})
}

// asset serves a file whose name changes with its content.
func (s *server) asset(w http.ResponseWriter, r *http.Request) error {
	data, contentType, etag, ok := s.Pages.Asset(r.PathValue("name"))
	if !ok {
		return shown(http.StatusNotFound, "not_found", "")
	}
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("ETag", etag)
	h.Set("Content-Type", contentType)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data)
	return nil
}

// redirect sends the browser on with a GET; never 307 (RFC 9700 §4.12).
func redirect(w http.ResponseWriter, to string) error {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

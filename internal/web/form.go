package web

import (
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// readForm reads a urlencoded body: bounded, valid UTF-8, never the query.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/x-www-form-urlencoded" {
		return nil, oidc.Errorf(oidc.InvalidRequest, "the body must be application/x-www-form-urlencoded")
	}
	r.Body = http.MaxBytesReader(w, r.Body, largestForm)
	if err := r.ParseForm(); err != nil {
		if strings.Contains(err.Error(), "too large") {
			return nil, shown(http.StatusRequestEntityTooLarge, "form_too_large", "")
		}
		return nil, oidc.Errorf(oidc.InvalidRequest, "the body is not a form")
	}
	for name, values := range r.PostForm {
		if !utf8.ValidString(name) || !utf8.ValidString(strings.Join(values, "")) {
			return nil, oidc.Errorf(oidc.InvalidRequest, "the body is not UTF-8")
		}
	}
	return r.PostForm, nil
}

// readBearerForm reads the body of a POST that has one.
func readBearerForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") == "" {
		return nil, nil
	}
	return readForm(w, r)
}

// fieldError says which message a missing or overlong field gets.
type fieldError struct{ key string }

func (e *fieldError) Error() string { return "web: " + e.key }

// field returns a form field that must be there, at most so many bytes long.
func field(form url.Values, name string, most int) (string, error) {
	switch value := form.Get(name); {
	case value == "":
		return "", &fieldError{"error.missing"}
	case len(value) > most:
		return "", &fieldError{"error.too_long"}
	default:
		return value, nil
	}
}

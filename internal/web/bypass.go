package web

import (
	"net/http"
	"net/url"

	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/store"
)

// bypassMethod is the way of an operator's code, beside the kinds of authenticators.
const bypassMethod = "bypass"

func (s *server) recordBypass(_ http.ResponseWriter, r *http.Request, v *flow.Visit, form url.Values) (flow.Cookie, error) {
	if !v.Step.Bypass {
		return "", store.ErrStale
	}
	code, err := field(form, "code", 256)
	if err != nil {
		return "", err
	}
	hash, settle, err := s.Checker.CheckBypass(r.Context(), v.Bypass, code)
	if err != nil {
		return "", err
	}
	return s.Flow.RecordBypass(r.Context(), v, hash, settle)
}

package web

import (
	"net/http"
	"net/url"

	"github.com/sallyport-id/sallyport/internal/flow"
)

func (s *server) recordTrust(w http.ResponseWriter, r *http.Request, v *flow.Visit, form url.Values) (flow.Cookie, error) {
	decision := form.Get("decision")
	if decision != "yes" && decision != "no" {
		return "", &fieldError{"error.missing"}
	}
	device, err := s.Flow.RecordTrust(r.Context(), v, decision == "yes")
	if err != nil {
		return "", err
	}
	s.setDevice(w, device)
	return "", nil
}

// setDevice makes the browser known as a trusted device.
func (s *server) setDevice(w http.ResponseWriter, c flow.DeviceCookie) {
	if c.Value != "" {
		s.setCookie(w, deviceCookie, c.Value, c.Lasts)
	}
}

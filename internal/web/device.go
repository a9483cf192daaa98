package web

import (
	"crypto/hmac"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/web/page"
)

// devicePath is where users type the code that a device shows.
const devicePath = "/device"

// stepDevice is the step of a user code before there is an interaction.
const stepDevice = flow.StepName("device")

// deviceRoutes are the device flow's (RFC 8628).
func (s *server) deviceRoutes() []route {
	return []route{
		{"POST " + s.base + "/device_authorization", s.authorizeDevice},
		{"GET " + s.base + devicePath, s.showDevice},
		{"POST " + s.base + devicePath, s.answerDevice},
		{"GET " + s.base + devicePath + "/done", s.message("device_done")},
		{"GET " + s.base + devicePath + "/denied", s.message("device_denied")},
	}
}

// authorizeDevice is the device authorization endpoint (RFC 8628 §3.1). What it makes
// is counted against the address like a page: it needs no secret.
func (s *server) authorizeDevice(w http.ResponseWriter, r *http.Request) error {
	address := s.address(r)
	if wait := s.pageRate.take(address); wait > 0 {
		return s.tooMany(s.pageRate, wait)
	}
	if wait := s.guessRate.full(address); wait > 0 {
		return s.tooMany(s.guessRate, wait)
	}
	form, err := readForm(w, r)
	if err != nil {
		return s.machineError(w, r, err)
	}
	req, refusal := oidc.ParseDeviceAuthorizationRequest(r.Header.Values("Authorization"), form)
	if refusal != nil {
		return s.machineError(w, r, refusal)
	}
	o := s.origin(r)
	answer, err := s.Tokens.AuthorizeDevice(r.Context(), req, o, func(c *oidc.Client, wanted *oidc.AuthorizationRequest) (*oidc.DeviceAuthorization, error) {
		return s.Flow.AskForDevice(r.Context(), c, wanted, s.Tokens.Issuer+devicePath, o)
	})
	s.noteClient(r, req.Auth, err)
	if err != nil {
		return s.machineError(w, r, err)
	}
	w.Header().Set("Cache-Control", "no-store")
	return writeJSON(w, http.StatusOK, answer)
}

// showDevice asks for the code. It is never in the address: the user types it, so that
// no link that somebody sends can stand for having the device at hand.
func (s *server) showDevice(w http.ResponseWriter, r *http.Request) error {
	if err := s.mayAsk(r, stepDevice); err != nil {
		return err
	}
	return s.renderDevice(w, r, http.StatusOK, "")
}

func (s *server) renderDevice(w http.ResponseWriter, r *http.Request, status int, errorKey string) error {
	browser := s.browserOrNew(w, r)
	return s.page(w, r, status, nil, page.Device{
		Frame: page.Frame{Base: s.base, Action: s.base + devicePath, CSRF: s.tokenFor(browser, "device"), Step: string(stepDevice), Error: errorKey},
	})
}

// answerDevice takes the code, and begins the interaction that answers the device.
// Wrong ones count against the address.
func (s *server) answerDevice(w http.ResponseWriter, r *http.Request) error {
	if err := s.mayAsk(r, stepDevice); err != nil {
		return err
	}
	if wait := s.guessRate.full(s.address(r)); wait > 0 {
		return s.tooMany(s.guessRate, wait)
	}
	n := noted(r)
	n.action = "code"
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	browser := s.cookie(r, browserCookie)
	if browser == "" || !hmac.Equal([]byte(form.Get("csrf")), []byte(s.tokenFor(browser, "device"))) {
		n.because(reasonStale)
		return s.renderDevice(w, r, http.StatusConflict, "error.stale")
	}
	interaction, err := s.beginDevice(r, form, browser)
	if errors.Is(err, store.ErrNotFound) {
		s.guessRate.take(s.address(r))
		n.because(reasonCode)
		return s.renderDevice(w, r, http.StatusUnprocessableEntity, "error.device_code")
	}
	if err != nil {
		return err
	}
	return redirect(w, s.base+"/interaction/"+interaction)
}

func (s *server) beginDevice(r *http.Request, form url.Values, browser string) (string, error) {
	code, ok := oidc.ParseUserCode(form.Get("user_code"))
	if !ok {
		return "", store.ErrNotFound
	}
	return s.Flow.BeginDevice(r.Context(), code, store.HashSecret(browser))
}

// asksFor is what the user is told of the device that waits; nil if the visit answers
// none.
func (s *server) asksFor(v *flow.Visit) *page.AskingDevice {
	if v.DeviceCode == nil {
		return nil
	}
	d := &page.AskingDevice{Address: v.DeviceCode.Address, Minutes: int(s.Now().Sub(v.DeviceCode.CreatedAt) / time.Minute)}
	if v.Client.Refreshes() {
		d.Stays = s.Issuer.Host + s.base + "/account"
	}
	return d
}

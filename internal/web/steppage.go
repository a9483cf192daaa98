package web

import (
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/web/page"
)

// render shows the page of the step that is next.
func (s *server) render(w http.ResponseWriter, r *http.Request, v *flow.Visit, status int, errorKey string, args map[string]any) error {
	if v.Ends() {
		return s.proceed(w, r, v)
	}
	if v.Step.Reason == flow.ReasonInvitation {
		return noInvitation()
	}
	p, err := s.stepPage(r, v, s.frame(r, v, errorKey, args))
	if errors.Is(err, store.ErrStale) { // two loads at once: the other one's change is there by now
		return redirect(w, s.base+"/interaction/"+v.Interaction)
	}
	if err != nil {
		return err
	}
	allowForm(w, v.Request.RedirectURI)
	return s.page(w, r, status, v.Request.UILocales, p)
}

func (s *server) frame(r *http.Request, v *flow.Visit, errorKey string, args map[string]any) page.Frame {
	f := page.Frame{
		Base: s.base, Action: s.base + "/interaction/" + v.Interaction,
		CSRF: s.formToken(r, v.Interaction, sessionID(v)),
		Step: string(v.Step.Name), Subject: v.Subject(), Version: v.Version(),
		Client: v.Client.Name, Error: errorKey, ErrorArgs: args, Cancellable: true,
		FirstDone: v.Step.Evidence.Level >= oidc.Level1FA, SecondDone: v.Step.Evidence.Level >= oidc.Level2FA,
	}
	if v.User != nil {
		f.Account = v.User.Login
	}
	if v.Invited() {
		f.Invited, f.Cancellable = true, false
		f.FirstDone, f.SecondDone = true, v.Step.Name != flow.Enroll
	}
	return f
}

func (s *server) stepPage(r *http.Request, v *flow.Visit, f page.Frame) (page.Page, error) {
	switch v.Step.Name {
	case flow.Login:
		return page.Login{Frame: f, Username: loginHint(r, v)}, nil
	case flow.SecondFactor:
		return secondFactorPage(r, v, f), nil
	case flow.Enroll:
		p, err := s.enrollPage(r, v, f)
		p.Version = v.Version() // making the secret was a change
		return p, err
	case flow.SaveCodes:
		codes, err := s.Flow.Codes(v)
		return page.SaveCodes{Frame: f, Codes: codes}, err
	case flow.Consent:
		own, apis := askedScopes(v)
		return page.Consent{Frame: f, Scopes: own, APIs: apis, RedirectHost: host(v.Request.RedirectURI), Remember: flow.Rememberable(v.Client)}, nil
	case flow.Welcome:
		return page.Message{Frame: f, Code: "welcome"}, nil
	case flow.Refuse:
		f.Cancellable = false
		response := oidc.AuthorizationResponse{State: v.Request.State, Issuer: s.Tokens.Issuer, Error: v.Step.Refusal}
		return page.Message{Frame: f, Code: v.Step.Reason, BackURL: response.RedirectURL(v.Request.RedirectURI), BackLabel: v.Client.Name}, nil
	}
	return nil, fmt.Errorf("web: no page for step %q", v.Step.Name)
}

// askedScopes are the scopes of this server, and those at each API.
func askedScopes(v *flow.Visit) (own []string, apis []page.API) {
	within := func(list []string) []string {
		return slices.DeleteFunc(slices.Clone(v.Request.Scope), func(s string) bool { return !slices.Contains(list, s) })
	}
	for _, api := range v.APIs {
		apis = append(apis, page.API{Name: api.Name, Scopes: within(v.Client.ScopesAt(api))})
	}
	return within(v.Client.Scopes), apis
}

// loginHint is what the username field holds: what was typed just now, the
// account that is signed in, or what the request hints at.
func loginHint(r *http.Request, v *flow.Visit) string {
	switch typed := r.PostForm.Get("username"); {
	case typed != "" && len(typed) <= 1024:
		return typed
	case v.User != nil:
		return v.User.Login
	default:
		return v.Request.LoginHint
	}
}

func secondFactorPage(r *http.Request, v *flow.Visit, f page.Frame) page.Page {
	p := page.SecondFactor{Frame: f, Method: "totp"}
	for _, a := range v.Authenticators {
		switch {
		case !authn.Usable(a):
		case a.Kind == store.KindTOTP:
			p.HasTOTP = true
		case a.Kind == store.KindRecovery:
			p.HasRecovery, p.RecoveryLeft = true, a.CodesLeft
		}
	}
	asked := r.URL.Query().Get("method")
	if r.PathValue("action") == "recovery" || asked == "recovery" || !p.HasTOTP {
		p.Method = "recovery"
	}
	return p
}

func (s *server) enrollPage(r *http.Request, v *flow.Visit, f page.Frame) (page.Enroll, error) {
	secret, err := s.Flow.NewTOTP(r.Context(), v)
	if err != nil {
		return page.Enroll{}, err
	}
	issuer := s.Issuer.Host
	qr, err := authn.QRSVG(authn.TOTPURI(issuer, v.User.Login, secret), "QR")
	if err != nil {
		return page.Enroll{}, fmt.Errorf("draw qr code: %w", err)
	}
	again := v.Invited() && v.Progress.Invited.OldHash != ""
	return page.Enroll{Frame: f, QR: template.HTML(qr), Key: authn.FormatTOTPKey(secret), Issuer: issuer, Reset: again}, nil // our own SVG
}

func host(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	return u.Host
}

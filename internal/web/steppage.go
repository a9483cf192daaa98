package web

import (
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"time"

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
	switch v.Step.Reason {
	case flow.ReasonInvitation:
		return noInvitation()
	case flow.ReasonRegistration:
		return noRegistration()
	}
	p, err := s.stepPage(r, v, s.frame(r, v, errorKey, args))
	if errors.Is(err, store.ErrStale) { // two loads at once: the other one's change is there by now
		return redirect(w, s.samePage(r, v))
	}
	if err != nil {
		return err
	}
	allowForm(w, v.Request.RedirectURI)
	return s.page(w, r, status, languages(v), p)
}

// samePage is where the page can be asked for again, about the same method.
func (s *server) samePage(r *http.Request, v *flow.Visit) string {
	address := s.base + "/interaction/" + v.Interaction
	for _, about := range []string{"method", "add"} {
		if method := r.URL.Query().Get(about); method != "" {
			return address + "?" + about + "=" + url.QueryEscape(method)
		}
	}
	return address
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
	if v.SetsUp() {
		f.Invited, f.Cancellable = true, false
		f.SecondDone = v.Step.Name == flow.SaveCodes || v.Step.Name == flow.Welcome
		f.FirstDone = f.SecondDone || v.Step.Name == flow.Enroll
	}
	return f
}

func (s *server) stepPage(r *http.Request, v *flow.Visit, f page.Frame) (page.Page, error) {
	switch v.Step.Name {
	case flow.Login:
		p, err := s.loginPage(r, v, f)
		p.Version = v.Version() // making the challenge was a change
		return p, err
	case flow.SecondFactor:
		p, err := s.secondFactorPage(r, v, f)
		p.Version = v.Version() // making the challenge was a change
		return p, err
	case flow.Enroll:
		p, err := s.enrollPage(r, v, f)
		p.Version = v.Version() // making the secret was a change
		return p, err
	case flow.SaveCodes:
		codes, err := s.Flow.Codes(v)
		return page.SaveCodes{Frame: f, Codes: codes}, err
	case flow.Manage:
		return s.managePage(r, v, f)
	case flow.Trust:
		return page.Trust{Frame: f, Days: int(v.Policy.TrustFor(v.Case()) / (24 * time.Hour))}, nil
	case flow.Consent:
		own, apis := askedScopes(v)
		return page.Consent{Frame: f, Asked: v.Asked(), Scopes: own, APIs: apis, RedirectHost: host(v.Request.RedirectURI), Remember: flow.Rememberable(v.Client) && !v.ForDevice(), Device: s.asksFor(v)}, nil
	case flow.Welcome:
		if v.Registers() {
			return s.registeredPage(r, v, f)
		}
		return welcomePage(v, f), nil
	case flow.ConfirmEmail:
		return s.confirmEmailPage(v, f), nil
	case flow.Profile:
		return s.profilePage(r, v, f), nil
	case flow.Refuse:
		f.Cancellable = v.OfAccount() || v.DeviceCode != nil
		if v.OfAccount() || v.ForDevice() {
			return page.Message{Frame: f, Code: v.Step.Reason}, nil
		}
		response := oidc.AuthorizationResponse{State: v.Request.State, Issuer: s.Tokens.Issuer, Error: v.Step.Refusal}
		return page.Message{Frame: f, Code: v.Step.Reason, BackURL: response.RedirectURL(v.Request.RedirectURI), BackLabel: v.Client.Name}, nil
	}
	return nil, fmt.Errorf("web: no page for step %q", v.Step.Name)
}

// welcomePage is the last one of whoever has set an account up.
func welcomePage(v *flow.Visit, f page.Frame) page.Message {
	if v.Progress.Invited.Skipped {
		f.SecondDone = false
		return page.Message{Frame: f, Code: "welcome_skipped"}
	}
	return page.Message{Frame: f, Code: "welcome"}
}

// askedScopes are the scopes of this server, and those at each API.
func askedScopes(v *flow.Visit) (own []string, apis []page.API) {
	for _, api := range v.APIs {
		apis = append(apis, page.API{Name: api.Name, Scopes: v.ScopesAt(api)})
	}
	return v.OwnScopes(), apis
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

func (s *server) secondFactorPage(r *http.Request, v *flow.Visit, f page.Frame) (page.SecondFactor, error) {
	p := page.SecondFactor{Frame: f}
	var kinds []string
	for _, a := range v.Step.Factors {
		if kind := string(a.Kind); !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
		if a.Kind == store.KindRecovery {
			p.RecoveryLeft = a.CodesLeft
		}
	}
	if v.Step.Bypass {
		kinds = append(kinds, bypassMethod)
	}
	p.Method = chosen(r, kinds)
	p.Others = without(kinds, p.Method)
	if p.Method == emailMethod {
		p.Mailbox = s.mailboxPart(v)
	}
	if p.Method != string(store.KindWebAuthn) {
		return p, nil
	}
	options, err := s.Flow.RequestOptions(r.Context(), v)
	p.Options, p.Auto = string(options), r.Method == http.MethodGet
	return p, err
}

// chosen is which of the methods a page is about: the one that was answered just
// now, the one that was asked for, or the first.
func chosen(r *http.Request, methods []string) string {
	answered := r.PathValue("action")
	switch answered {
	case "enroll":
		answered = string(store.KindTOTP)
	case "register":
		answered = string(store.KindWebAuthn)
	case "mail", "mail_new", "mailbox":
		answered = emailMethod
	}
	for _, method := range []string{answered, r.URL.Query().Get("method"), r.URL.Query().Get("add")} {
		if slices.Contains(methods, method) {
			return method
		}
	}
	return methods[0]
}

// enrollPage offers what protects best first, for nothing of it can be typed into
// a false page; an app that was chosen stays chosen.
func (s *server) enrollPage(r *http.Request, v *flow.Visit, f page.Frame) (page.Enroll, error) {
	app := string(store.KindTOTP)
	var methods []string
	for _, kind := range v.FirstKinds() {
		methods = append(methods, string(kind))
	}
	if w := v.Progress.Enrolling; w != nil && w.UserID == v.User.ID && slices.Contains(methods, app) {
		methods = append([]string{app}, without(methods, app)...)
	}
	again := v.Invited() && v.Progress.Invited.OldHash != ""
	p := page.Enroll{Frame: f, Method: chosen(r, methods), Reset: again, Adding: v.Step.Name == flow.Manage}
	if v.MayPutOff() {
		p.Until, p.LastDay = s.putOffUntil(v)
	}
	p.Skippable = v.MaySkip()
	p.Others = without(methods, p.Method)
	switch p.Method {
	case app:
		return s.enrollAppPage(r, v, p)
	case emailMethod:
		p.Mailbox = s.mailboxPart(v)
		return p, nil
	}
	options, err := s.Flow.CreationOptions(r.Context(), v)
	p.Options, p.AsksMake = string(options), s.Flow.WebAuthn.Attests()
	return p, err
}

func without(methods []string, method string) []string {
	return slices.DeleteFunc(slices.Clone(methods), func(m string) bool { return m == method })
}

func (s *server) enrollAppPage(r *http.Request, v *flow.Visit, p page.Enroll) (page.Enroll, error) {
	secret, err := s.Flow.NewTOTP(r.Context(), v)
	if err != nil {
		return p, err
	}
	p.Issuer, p.Key = s.Issuer.Host, authn.FormatTOTPKey(secret)
	qr, err := authn.QRSVG(authn.TOTPURI(p.Issuer, v.User.Login, secret), "QR")
	if err != nil {
		return p, fmt.Errorf("draw qr code: %w", err)
	}
	p.QR = template.HTML(qr) // our own SVG
	return p, nil
}

func host(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	return u.Host
}

package web

import (
	"crypto/hmac"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/web/page"
)

const (
	fewCodes = 3 // and fewer: new ones are due
	// mostHappenings are shown, of so many events.
	mostHappenings = 20
	mostEvents     = 100
)

// showAccount shows a user the own account. Whoever is not signed in, or not as the
// policy requires, signs in to an interaction for changes.
func (s *server) showAccount(w http.ResponseWriter, r *http.Request) error {
	if wait := s.pageRate.take(s.address(r)); wait > 0 {
		return s.tooMany(s.pageRate, wait)
	}
	session, err := s.session(r)
	if err != nil {
		return err
	}
	v, err := s.Flow.LookAtAccount(r.Context(), session, s.origin(r))
	if err != nil {
		return err
	}
	if v.Step.Name != flow.Manage {
		return s.toAccount(w, r, session)
	}
	f := page.Frame{Base: s.base, CSRF: s.accountToken(r, session), Step: "account", Subject: v.Subject(), Account: v.User.Login}
	p, err := s.accountPage(r, v, f)
	if err != nil {
		return err
	}
	return s.page(w, r, http.StatusOK, languages(v), p)
}

// beginAccount begins an interaction for changes.
func (s *server) beginAccount(w http.ResponseWriter, r *http.Request) error {
	if wait := s.pageRate.take(s.address(r)); wait > 0 {
		return s.tooMany(s.pageRate, wait)
	}
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	session, err := s.session(r)
	if err != nil {
		return err
	}
	if session == nil || !hmac.Equal([]byte(form.Get("csrf")), []byte(s.accountToken(r, session))) {
		noted(r).because(reasonStale)
		return redirect(w, s.base+"/account")
	}
	return s.toAccount(w, r, session)
}

func (s *server) accountToken(r *http.Request, session *store.Session) string {
	return s.formToken(r, "account", session.ID)
}

func (s *server) toAccount(w http.ResponseWriter, r *http.Request, session *store.Session) error {
	id, err := s.Flow.BeginAccount(r.Context(), session, store.HashSecret(s.browserOrNew(w, r)))
	if err != nil {
		return err
	}
	return redirect(w, s.base+"/interaction/"+id)
}

// leaveAccount ends the interaction: to the account, if it could be changed.
func (s *server) leaveAccount(w http.ResponseWriter, r *http.Request, v *flow.Visit) error {
	if err := s.Flow.EndAccount(r.Context(), v); err != nil && !flow.Expected(err) {
		return err
	}
	if v.Step.Name == flow.Manage {
		return redirect(w, s.base+"/account")
	}
	return redirect(w, s.base+"/")
}

// managePage is the account with its forms, or the page that adds a factor.
func (s *server) managePage(r *http.Request, v *flow.Visit, f page.Frame) (page.Page, error) {
	f.Cancellable = false
	adds := r.URL.Query().Has("add") || slices.Contains([]string{"register", "enroll", "mail_new", "mailbox"}, r.PathValue("action"))
	if v.MayAdd() && adds {
		p, err := s.enrollPage(r, v, f)
		p.Version = v.Version() // making the secret was a change
		return p, err
	}
	return s.accountPage(r, v, f)
}

func (s *server) accountPage(r *http.Request, v *flow.Visit, f page.Frame) (page.Account, error) {
	u := v.User
	p := page.Account{
		Frame: f, Changing: v.Interaction != "", Name: u.Name, Email: u.Email, HasPassword: u.PasswordHash != "", Least: v.ShortestPassword(),
		MayAdd: v.MayAdd(), MustConfirm: v.MustConfirm(), Keys: offered(v, store.KindWebAuthn), Apps: offered(v, store.KindTOTP), Mail: offered(v, store.KindEmail), Locale: u.Locale, Locales: s.Pages.Languages(), Scheme: s.scheme(r),
	}
	p.FirstDone, p.SecondDone = true, v.Step.Evidence.Level >= oidc.Level2FA
	for _, a := range v.Authenticators {
		if a.Kind == store.KindRecovery {
			p.CodesLeft += a.CodesLeft
			continue
		}
		p.Factors = append(p.Factors, page.Factor{
			ID: a.ID, Kind: string(a.Kind), Name: a.Name, Added: day(a.CreatedAt), LastUsed: day(a.LastUsedAt), Removable: v.Removable(a.ID), Off: a.Disabled,
		})
	}
	p.FewCodes = p.CodesLeft <= fewCodes
	held, err := s.Flow.Holdings(r.Context(), v)
	if err != nil {
		return p, err
	}
	for _, n := range held.Sessions {
		browser, system := flow.Browser(n.UserAgent)
		p.Sessions = append(p.Sessions, page.Session{
			ID: n.ID, Browser: browser, System: system, Address: n.Address, Since: minute(n.CreatedAt), LastSeen: minute(n.LastSeenAt), This: n.ID == v.Session.ID,
		})
	}
	for _, d := range held.Devices {
		browser, system := flow.Browser(d.UserAgent)
		p.Devices = append(p.Devices, page.Session{
			ID: d.ID, Browser: browser, System: system, Address: d.Address, Since: day(d.CreatedAt), LastSeen: day(d.LastUsedAt),
		})
	}
	for _, a := range held.Applications {
		p.Applications = append(p.Applications, page.Application{ID: a.Client.ID, Name: a.Client.Name, Scopes: a.Scope, Since: day(a.Since), LastUsed: minute(a.LastGrant), Stays: a.Stays})
	}
	p.History, err = s.history(r, u.ID)
	return p, err
}

// history is what happened to the account lately, as far as there are words for it.
func (s *server) history(r *http.Request, userID string) (list []page.Happening, err error) {
	events, err := s.Store.UserEvents(r.Context(), userID, mostEvents)
	for _, e := range events {
		if len(list) < mostHappenings && slices.Contains(page.Happenings, e.Type) {
			list = append(list, page.Happening{Code: e.Type, At: minute(e.At), Address: e.Address})
		}
	}
	return list, err
}

func offered(v *flow.Visit, kind store.AuthenticatorKind) bool {
	return slices.Contains(v.FirstKinds(), kind)
}

// languages are those that the request asks for; of an account, what its user prefers.
func languages(v *flow.Visit) []string {
	if !v.OfAccount() || v.User == nil || v.User.Locale == "" {
		return v.Request.UILocales
	}
	return append(slices.Clip(v.Request.UILocales), v.User.Locale)
}

func day(t time.Time) page.Moment { return moment(t, time.DateOnly) }

func minute(t time.Time) page.Moment { return moment(t, "2006-01-02 15:04 UTC") }

func moment(t time.Time, layout string) page.Moment {
	if t.IsZero() {
		return ""
	}
	return page.Moment(t.UTC().Format(layout))
}

func (s *server) recordRename(_ http.ResponseWriter, r *http.Request, v *flow.Visit, form url.Values) (flow.Cookie, error) {
	name, err := field(form, "name", 4*flow.LongestName)
	if err != nil {
		return "", err
	}
	if flow.FactorName(name) == "" {
		return "", &fieldError{"error.name"}
	}
	return "", s.Flow.RenameFactor(r.Context(), v, form.Get("id"), name)
}

func (s *server) recordRemoval(_ http.ResponseWriter, r *http.Request, v *flow.Visit, form url.Values) (flow.Cookie, error) {
	return "", s.Flow.RemoveFactor(r.Context(), v, form.Get("id"))
}

func (s *server) recordCodes(_ http.ResponseWriter, r *http.Request, v *flow.Visit, _ url.Values) (flow.Cookie, error) {
	return "", s.Flow.RenewCodes(r.Context(), v)
}

func (s *server) recordNewPassword(_ http.ResponseWriter, r *http.Request, v *flow.Visit, form url.Values) (flow.Cookie, error) {
	password, err := field(form, "password", 4096)
	if err != nil {
		return "", err
	}
	if form.Get("again") != password {
		return "", &fieldError{"error.not_the_same"}
	}
	return "", s.Flow.ChangePassword(r.Context(), v, password, s.Checker.Forgiven(v.User))
}

func (s *server) recordSessionEnd(_ http.ResponseWriter, r *http.Request, v *flow.Visit, form url.Values) (flow.Cookie, error) {
	return "", s.Flow.EndOwnSession(r.Context(), v, form.Get("id"))
}

func (s *server) recordOthersEnd(_ http.ResponseWriter, r *http.Request, v *flow.Visit, _ url.Values) (flow.Cookie, error) {
	return "", s.Flow.EndOthers(r.Context(), v)
}

func (s *server) recordDeviceEnd(_ http.ResponseWriter, r *http.Request, v *flow.Visit, form url.Values) (flow.Cookie, error) {
	return "", s.Flow.EndOwnDevice(r.Context(), v, form.Get("id"))
}

func (s *server) recordRevocation(_ http.ResponseWriter, r *http.Request, v *flow.Visit, form url.Values) (flow.Cookie, error) {
	return "", s.Flow.RevokeConsent(r.Context(), v, form.Get("id"))
}

func (s *server) recordLanguage(_ http.ResponseWriter, r *http.Request, v *flow.Visit, form url.Values) (flow.Cookie, error) {
	locale := form.Get("locale")
	known := slices.ContainsFunc(s.Pages.Languages(), func(l page.Language) bool { return l.Code == locale })
	if locale != "" && !known {
		return "", errNoLanguage
	}
	return "", s.Flow.SetLocale(r.Context(), v, locale)
}

// errNoLanguage is of a form that was not ours.
var errNoLanguage = errors.Join(errors.New("web: pages are not to be had in that language"), store.ErrStale)

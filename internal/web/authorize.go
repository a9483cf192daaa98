package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/web/page"
)

// authorize is the authorization endpoint (RFC 6749 §3.1). No error is
// redirected before client and redirect URI are proven (RFC 9700 §4.11).
func (s *server) authorize(w http.ResponseWriter, r *http.Request) error {
	if wait := s.pageRate.take(s.address(r)); wait > 0 {
		return s.tooMany(s.pageRate, wait)
	}
	req, c, refusal, err := s.provenRequest(r)
	if err != nil {
		return err
	}
	var apis []*oidc.Resource
	if refusal == nil {
		if apis, err = s.Flow.APIs(r.Context(), req); err != nil {
			return err
		}
		refusal = req.Check(c, apis...)
	}
	if refusal != nil {
		return s.deliver(w, r, c, &flow.Answer{Request: req, Refusal: refusal})
	}
	session, err := s.session(r)
	if err != nil {
		return err
	}
	browser := s.cookie(r, browserCookie)
	fresh := browser == ""
	if fresh {
		browser, _ = store.NewSecret()
	}
	id, answer, err := s.Flow.Begin(r.Context(), req, c, apis, session, store.HashSecret(browser), s.origin(r))
	if errors.Is(err, store.ErrUsed) { // another tab has answered the pushed request
		return shown(http.StatusGone, "expired", "")
	}
	if err != nil {
		return err
	}
	if answer != nil {
		return s.deliver(w, r, c, answer)
	}
	if fresh {
		s.setCookie(w, browserCookie, browser, 0)
	}
	return redirect(w, s.base+"/interaction/"+id)
}

// provenRequest reads the request and proves client and redirect URI: until then
// an error is shown here, and from then on it is refusal, for the client.
func (s *server) provenRequest(r *http.Request) (req *oidc.AuthorizationRequest, c *oidc.Client, refusal *oidc.Error, err error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, nil, nil, shown(http.StatusBadRequest, "invalid_request", "the query cannot be read")
	}
	clientID, requestURI, unproven := oidc.ParsePushedReference(query)
	switch {
	case unproven != nil:
		return nil, nil, nil, unproven
	case requestURI != "":
		req, err = s.Tokens.Pushed(r.Context(), clientID, requestURI)
	case oidc.HasRequestObject(query):
		req, unproven, refusal, err = s.signedRequest(r, query)
	default:
		req, unproven, refusal = oidc.ParseAuthorizationRequest(query)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	if unproven != nil {
		return nil, nil, nil, unproven
	}
	if c, err = s.client(r, req.ClientID); err != nil {
		return nil, nil, nil, err
	}
	if c == nil {
		return nil, nil, nil, shown(http.StatusBadRequest, "invalid_request", "client_id is not registered")
	}
	noted(r).clientID = c.ID
	if unproven := req.CheckRedirectURI(c); unproven != nil {
		return nil, nil, nil, unproven
	}
	return req, c, refusal, nil
}

// signedRequest reads a request out of its request object (RFC 9101 §5). What is wrong
// with that is shown here: the redirect URI is in it.
func (s *server) signedRequest(r *http.Request, query url.Values) (req *oidc.AuthorizationRequest, unproven, refusal *oidc.Error, err error) {
	c, err := s.client(r, query.Get("client_id"))
	if err != nil {
		return nil, nil, nil, err
	}
	if c == nil {
		return nil, nil, nil, shown(http.StatusBadRequest, "invalid_request", "client_id is not registered")
	}
	if !c.HasKeys() { // it has said of no key that it is its own
		req, unproven, refusal = oidc.ParseAuthorizationRequest(query)
		return req, unproven, refusal, nil
	}
	inside, err := s.Tokens.OpenRequestObject(r.Context(), c, query)
	if err != nil {
		return nil, nil, nil, err
	}
	req, unproven, refusal = oidc.ParseAuthorizationRequest(inside)
	req.Signed = true
	return req, unproven, refusal, nil
}

// deliver sends the answer to the client, in the response mode that it asked
// for.
func (s *server) deliver(w http.ResponseWriter, r *http.Request, c *oidc.Client, a *flow.Answer) error {
	s.noteAnswer(r, a)
	s.setDevice(w, a.Device)
	response := oidc.AuthorizationResponse{Code: a.Code, State: a.Request.State, Issuer: s.Tokens.Issuer, Error: a.Refusal}
	if a.Request.ResponseMode != oidc.ResponseModeFormPost || !slices.Contains(c.ResponseModes, oidc.ResponseModeFormPost) {
		return redirect(w, response.RedirectURL(a.Request.RedirectURI))
	}
	p := page.FormPost{Frame: page.Frame{Base: s.base, Client: c.Name}, URL: a.Request.RedirectURI}
	for _, f := range response.Fields() {
		p.Fields = append(p.Fields, page.Field{Name: f.Name, Value: f.Value})
	}
	allowForm(w, a.Request.RedirectURI)
	return s.page(w, r, http.StatusOK, a.Request.UILocales, p)
}

func (s *server) noteAnswer(r *http.Request, a *flow.Answer) {
	n := noted(r)
	if a.Refusal == nil {
		n.next = flow.Done
		s.Metrics.Authorization("code")
		return
	}
	n.next = flow.Refuse
	n.because(a.Refusal.Code)
	s.Metrics.Authorization(a.Refusal.Code)
}

// longestQuery is the longest form that is turned into a query.
const longestQuery = 16 << 10

// formToQuery answers a POST of a foreign site with a redirect to the same
// request by GET (OpenID Connect Core §3.1.2.1 has both): the cookies, SameSite=Lax,
// come with that and not with the POST.
func (s *server) formToQuery(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	query := form.Encode()
	if len(query) > longestQuery {
		return shown(http.StatusRequestEntityTooLarge, "form_too_large", "")
	}
	return redirect(w, r.URL.EscapedPath()+"?"+query)
}

// allowForm lets the page's form end at the redirect URI: Chrome and Safari
// apply form-action to redirects, too (CSP 3 §6.4.1).
func allowForm(w http.ResponseWriter, redirectURI string) {
	u, err := url.Parse(redirectURI)
	if err != nil || redirectURI == "" {
		return
	}
	target := u.Scheme + ":"
	if u.Host != "" {
		target = u.Scheme + "://" + u.Host
	}
	w.Header().Set("Content-Security-Policy", policyFor(target))
}

package sallyport_test

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// leaves asks for the end of the session, and says yes where it is asked.
func (s *suite) leaves(request url.Values) *view {
	s.t.Helper()
	v := s.get("/end_session?" + request.Encode())
	if !strings.Contains(v.body, `/end_session/confirm"`) {
		return v
	}
	form := url.Values{}
	for _, field := range anyField.FindAllStringSubmatch(v.body, -1) {
		form.Set(field[1], field[2])
	}
	return s.post("/end_session/confirm", form)
}

// isOut wants the session to be over.
func (s *suite) isOut() {
	s.t.Helper()
	request := s.request("one", "prompt", "none")
	s.refusedWith(s.open(request), request, oidc.LoginRequired)
}

// logsOut is a module of a good request: the browser comes back to the client with
// exactly the state that was sent.
func logsOut(state string) func(*suite) {
	return func(s *suite) {
		request := changed(url.Values{"id_token_hint": {s.signsIn(s.request("one")).id}, "post_logout_redirect_uri": {suiteGoodbye}}, "state", state)
		want := suiteGoodbye
		if state != "" {
			want += "?state=" + url.QueryEscape(state)
		}
		if v := s.leaves(request); v.location == nil || v.location.String() != want {
			s.t.Errorf("got %d %v, want a redirect to %s", v.status, v.location, want)
		}
		s.isOut()
	}
}

// staysHere is a module of a request that must lead nowhere: the user sees an error or is
// asked, and is not sent to the client.
func staysHere(request func(s *suite, idToken string) url.Values) func(*suite) {
	return func(s *suite) {
		if v := s.leaves(request(s, s.signsIn(s.request("one")).id)); v.location != nil || v.status != http.StatusBadRequest {
			s.t.Errorf("got %d %v, want an error page", v.status, v.location)
		}
		s.same(s.signsIn(s.request("one")), s.silently(s.request("one", "prompt", "none")))
	}
}

// saysGoodbye is a module of a request that proves nothing and asks for no way back.
func saysGoodbye(request func(s *suite, idToken string) url.Values) func(*suite) {
	return func(s *suite) {
		v := s.leaves(request(s, s.signsIn(s.request("one")).id))
		if v.location != nil || v.status != http.StatusOK || !strings.Contains(v.body, "signed out") {
			s.t.Errorf("got %d %v, want a page that says signed out\n%s", v.status, v.location, v.body)
		}
		s.isOut()
	}
}

// back is a logout request with a way back.
func back(idToken, uri string) url.Values {
	return changed(url.Values{"state": {"st"}}, "id_token_hint", idToken, "post_logout_redirect_uri", uri)
}

var logoutModules = map[string]func(*suite){
	"oidcc-rp-initiated-logout-discovery-endpoint-verification": func(s *suite) {
		got := s.discovery()
		s.schema(got)
		if got["end_session_endpoint"] != s.issuer+"/end_session" {
			s.t.Errorf("got end_session_endpoint %v", got["end_session_endpoint"])
		}
	},
	"oidcc-rp-initiated-logout":          logsOut(random(128)),
	"oidcc-rp-initiated-logout-no-state": logsOut(""),
	"oidcc-rp-initiated-logout-bad-post-logout-redirect-uri": staysHere(func(_ *suite, idToken string) url.Values {
		return back(idToken, "https://suite.example/"+random(10))
	}),
	"oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri": staysHere(func(_ *suite, idToken string) url.Values {
		return back(idToken, suiteGoodbye+"?foo=bar")
	}),
	"oidcc-rp-initiated-logout-modified-id-token-hint": staysHere(func(_ *suite, idToken string) url.Values {
		return back(object("")[:strings.Index(object(""), ".")]+idToken[strings.Index(idToken, "."):strings.LastIndex(idToken, ".")+1], suiteGoodbye)
	}),
	"oidcc-rp-initiated-logout-bad-id-token-hint": staysHere(func(s *suite, idToken string) url.Values {
		return back(s.holder().resigned(idToken), suiteGoodbye)
	}),
	"oidcc-rp-initiated-logout-no-id-token-hint": staysHere(func(_ *suite, _ string) url.Values { return back("", suiteGoodbye) }),
	"oidcc-rp-initiated-logout-no-params":        saysGoodbye(func(_ *suite, _ string) url.Values { return url.Values{} }),
	"oidcc-rp-initiated-logout-no-post-logout-redirect-uri": saysGoodbye(func(_ *suite, idToken string) url.Values {
		return back(idToken, "")
	}),
	"oidcc-rp-initiated-logout-only-state": saysGoodbye(func(_ *suite, _ string) url.Values { return back("", "") }),
}

// resigned is a JWS's claims under a signature of the holder's, who says that the key is
// the server's.
func (h *holder) resigned(text string) string {
	h.t.Helper()
	kid := h.kids()[0]
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: h.key, KeyID: kid}}, nil)
	h.must(err)
	jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.RS256})
	h.must(err)
	forged, err := signer.Sign(jws.UnsafePayloadWithoutVerification())
	h.must(err)
	text, err = forged.CompactSerialize()
	h.must(err)
	return text
}

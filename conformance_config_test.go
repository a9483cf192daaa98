package sallyport_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

var configModules = map[string]func(*suite){
	"oidcc-discovery-endpoint-verification": func(s *suite) {
		got := s.discovery()
		s.schema(got)
		for list, values := range map[string][]string{
			"id_token_signing_alg_values_supported": {"RS256"}, "subject_types_supported": {"public"}, "response_types_supported": {"code"},
			"scopes_supported": {"openid"}, "claims_supported": {"sub", "iss", "name", "email"}, "code_challenge_methods_supported": {"S256"},
			"grant_types_supported": {"authorization_code"},
		} {
			for _, value := range values {
				if !s.supports(list, value) {
					s.t.Errorf("%s lacks %s: %v", list, value, got[list])
				}
			}
		}
		for _, name := range []string{"claims_parameter_supported", "request_parameter_supported", "request_uri_parameter_supported"} {
			if _, ok := got[name].(bool); !ok {
				s.t.Errorf("%s: got %v, want true or false", name, got[name])
			}
		}
		for _, locale := range got["ui_locales_supported"].([]any) {
			if !canonicalLocale.MatchString(locale.(string)) {
				s.t.Errorf("ui_locales_supported: %q is not canonical BCP 47", locale)
			}
		}
	},
}

var canonicalLocale = regexp.MustCompile(`^[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?$`)

// registered are the members of server metadata that are registered with IANA, but for
// endpoints, by the type of their values.
var registered = map[string][]string{
	"boolean": {"claims_parameter_supported", "request_parameter_supported", "request_uri_parameter_supported", "require_request_uri_registration",
		"require_pushed_authorization_requests", "require_signed_request_object", "authorization_response_iss_parameter_supported",
		"tls_client_certificate_bound_access_tokens", "backchannel_logout_supported", "backchannel_logout_session_supported"},
	"array": {"scopes_supported", "response_types_supported", "response_modes_supported", "grant_types_supported", "acr_values_supported",
		"subject_types_supported", "claims_supported", "ui_locales_supported", "prompt_values_supported", "id_token_signing_alg_values_supported",
		"token_endpoint_auth_methods_supported", "introspection_endpoint_auth_methods_supported", "revocation_endpoint_auth_methods_supported",
		"token_endpoint_auth_signing_alg_values_supported", "introspection_endpoint_auth_signing_alg_values_supported",
		"revocation_endpoint_auth_signing_alg_values_supported", "request_object_signing_alg_values_supported", "code_challenge_methods_supported",
		"dpop_signing_alg_values_supported", "userinfo_signing_alg_values_supported", "authorization_details_types_supported", "display_values_supported",
		"claim_types_supported", "claims_locales_supported"},
	"URL": {"jwks_uri", "service_documentation", "op_policy_uri", "op_tos_uri", "authorization_endpoint", "token_endpoint", "userinfo_endpoint",
		"end_session_endpoint", "introspection_endpoint", "revocation_endpoint", "device_authorization_endpoint",
		"pushed_authorization_request_endpoint", "registration_endpoint"},
}

// schema: registered members alone, of the right types, and every address is the
// server's own.
func (s *suite) schema(metadata map[string]any) {
	s.t.Helper()
	for name, value := range metadata {
		text, err := json.Marshal(value)
		s.must(err)
		switch {
		case name == "issuer":
		case slices.Contains(registered["boolean"], name):
			if _, ok := value.(bool); !ok {
				s.t.Errorf("%s: got %s, want true or false", name, text)
			}
		case slices.Contains(registered["array"], name):
			if !strings.HasPrefix(string(text), `["`) {
				s.t.Errorf("%s: got %s, want strings", name, text)
			}
		case slices.Contains(registered["URL"], name):
			if url, _ := value.(string); !strings.HasPrefix(url, s.issuer+"/") {
				s.t.Errorf("%s: got %s, want an address of %s", name, text, s.issuer)
			}
		default:
			s.t.Errorf("%s is no registered member", name)
		}
	}
}

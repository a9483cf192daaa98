package oidc_test

import (
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

func TestParseClaims(t *testing.T) {
	t.Parallel()
	type claims = map[string]oidc.ClaimRequest
	for _, tt := range []struct {
		name, text string
		want       oidc.ClaimsRequest
	}{
		{"OpenID Connect Core §5.5", `{
		   "userinfo":
		    {
		     "given_name": {"essential": true},
		     "nickname": null,
		     "email": {"essential": true},
		     "email_verified": {"essential": true},
		     "picture": null,
		     "http://example.info/claims/groups": null
		    },
		   "id_token":
		    {
		     "auth_time": {"essential": true},
		     "acr": {"values": ["urn:mace:incommon:iap:silver"] }
		    }
		  }`, oidc.ClaimsRequest{
			UserInfo: claims{"given_name": {Essential: true}, "nickname": {}, "email": {Essential: true}, "email_verified": {Essential: true},
				"picture": {}, "http://example.info/claims/groups": {}},
			IDToken: claims{"auth_time": {Essential: true}, "acr": {Values: []string{"urn:mace:incommon:iap:silver"}}},
		}},
		{"§5.5.1.1", `{"id_token":{"acr":{"essential":true,"values":["urn:mace:incommon:iap:silver","urn:mace:incommon:iap:bronze"]}}}`,
			oidc.ClaimsRequest{IDToken: claims{"acr": {Essential: true, Values: []string{"urn:mace:incommon:iap:silver", "urn:mace:incommon:iap:bronze"}}}}},
		{"§5.5.1, one user", `{"id_token":{"sub":{"value":"248289761001"}}}`,
			oidc.ClaimsRequest{IDToken: claims{"sub": {Values: []string{"248289761001"}}}}},
		{"§5.2, in a language", `{"userinfo":{"name#ja-Kana-JP":null}}`, oidc.ClaimsRequest{UserInfo: claims{"name#ja-Kana-JP": {}}}},
		{"nothing", ` {} `, oidc.ClaimsRequest{}},
		{"null members", `{"userinfo": null ,"id_token":null}`, oidc.ClaimsRequest{}},
		{"null in a claim", `{"id_token":{"acr":{"essential":false,"value": null ,"values":null}}}`, oidc.ClaimsRequest{IDToken: claims{"acr": {}}}},
		{"unknown members", `{"verified_claims":[1],"userinfo":{"name":{"purpose":"greeting","essential":true}}}`,
			oidc.ClaimsRequest{UserInfo: claims{"name": {Essential: true}}}},
		{"values of other types", `{"userinfo":{"email_verified":{"value":true},"updated_at":{"values":[1,"2",null,{}]}}}`,
			oidc.ClaimsRequest{UserInfo: claims{"email_verified": {}, "updated_at": {Values: []string{"2"}}}}},
		{"names are exact", `{"USERINFO":{"name":null},"id_token":{"ACR":{"value":1}}}`, oidc.ClaimsRequest{IDToken: claims{"ACR": {}}}},
	} {
		got, err := oidc.ParseClaims(tt.text)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %+v, %v\nwant %+v", tt.name, got, err, tt.want)
		}
	}
}

func TestParseClaimsRefuses(t *testing.T) {
	t.Parallel()
	many := make([]string, 101)
	for i := range many {
		many[i] = `"c` + strconv.Itoa(i) + `":null`
	}
	for name, text := range map[string]string{
		"empty":                     ``,
		"no object":                 `[]`,
		"null":                      `null`,
		"a string":                  `"{}"`,
		"unfinished":                `{"userinfo":{}`,
		"more behind":               `{} {}`,
		"comma at the end":          `{"userinfo":{},}`,
		"no colon":                  `{"userinfo"{}}`,
		"member twice":              `{"id_token":{},"id_token":{}}`,
		"member twice, escaped":     `{"id_token":{},"id_t\u006fken":{}}`,
		"claim twice":               `{"id_token":{"acr":null,"acr":null}}`,
		"essential twice":           `{"id_token":{"acr":{"essential":true,"essential":false}}}`,
		"userinfo no object":        `{"userinfo":[]}`,
		"claim no object":           `{"userinfo":{"name":true}}`,
		"essential no boolean":      `{"userinfo":{"name":{"essential":"true"}}}`,
		"values no array":           `{"userinfo":{"name":{"values":"a"}}}`,
		"control character":         `{"userinfo":{"na\u0000me":null}}`,
		"too many":                  `{"userinfo":{` + strings.Join(many, ",") + `}}`,
		"too many values":           `{"userinfo":{"a":{"values":[` + strings.Repeat(`"b",`, 128) + `"c"]}}}`,
		"too long":                  `{"x":"` + strings.Repeat("a", 16<<10) + `"}`,
		"too deep for the decoder":  `{"x":` + strings.Repeat("[", 12000),
		"acr that cannot be met":    `{"id_token":{"acr":{"essential":true,"values":[2]}}}`,
		"acr half understood":       `{"id_token":{"acr":{"essential":true,"values":["phr",2]}}}`,
		"acr of nothing":            `{"id_token":{"acr":{"essential":true,"values":[]}}}`,
		"acr with a line break":     `{"id_token":{"acr":{"essential":true,"value":"a\nb"}}}`,
		"sub that is a number":      `{"id_token":{"sub":{"value":248289761001}}}`,
		"sub of two users":          `{"id_token":{"sub":{"values":["a","b"]}}}`,
		"sub said in two ways":      `{"id_token":{"sub":{"value":"a","values":["b"]}}}`,
		"sub of nobody in userinfo": `{"userinfo":{"sub":{"values":[]}}}`,
	} {
		if got, err := oidc.ParseClaims(text); err == nil || !reflect.DeepEqual(got, oidc.ClaimsRequest{}) {
			t.Errorf("%s: got %+v, %v, want an error and nothing else", name, got, err)
		}
	}
}

func TestUserClaims(t *testing.T) {
	t.Parallel()
	all := map[string]any{
		"name": "Alice", "email": "alice@example.com", "email_verified": true, "phone_number": "+82 2", "birthdate": "0000-10-31",
		"groups": []string{"staff"}, "name#ko": "앨리스",
		"sub": "mallory", "iss": "https://evil.example", "acr": "phrh", "amr": []string{"hwk"}, "auth_time": 1, "SUB": "mallory", "ſub": "mallory",
		"nonce_supported": false, "_claim_sources": map[string]any{},
	}
	ask := func(names ...string) map[string]oidc.ClaimRequest {
		set := map[string]oidc.ClaimRequest{}
		for _, name := range names {
			set[name] = oidc.ClaimRequest{}
		}
		return set
	}
	for _, tt := range []struct {
		name  string
		scope []string
		asked map[string]oidc.ClaimRequest
		want  map[string]any
	}{
		{"nothing", []string{"openid"}, nil, map[string]any{}},
		{"profile (§5.4)", []string{"openid", "profile"}, nil, map[string]any{"name": "Alice", "birthdate": "0000-10-31"}},
		{"email (§5.4)", []string{"email"}, nil, map[string]any{"email": "alice@example.com", "email_verified": true}},
		{"phone (§5.4)", []string{"phone", "address"}, nil, map[string]any{"phone_number": "+82 2"}},
		{"one by one (§5.5)", nil, ask("groups", "name#ko", "gender"), map[string]any{"groups": []string{"staff"}, "name#ko": "앨리스"}},
		{"the protocol's names", nil, ask("sub", "iss", "acr", "amr", "auth_time", "SUB", "ſub", "nonce_supported", "_claim_sources"), map[string]any{}},
	} {
		if got := oidc.UserClaims(tt.scope, tt.asked, all); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

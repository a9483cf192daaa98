package sallyport_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/oidc"
)

// TestEndpoints is docs/endpoints.md: each check of each endpoint refuses with the error
// that is there, and nothing was written by then. What was refused so often is good in
// the end.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	columns, rows := endpointTable(t)
	for _, endpoint := range columns {
		t.Run(endpoint, func(t *testing.T) {
			t.Parallel()
			good := endpoints[endpoint](newChecked(t))
			for check, cells := range rows {
				change, has := checks[check][endpoint]
				if want := cells[endpoint]; has != (want != "") {
					t.Errorf("%s: the page has %q, and a test is there: %v", check, want, has)
				} else if has {
					good.refuses(check, change, want)
				}
			}
			if got, status := good.send(); got != "" {
				t.Errorf("without a change: got %s %d", got, status)
			}
		})
	}
	for check, cells := range checks {
		for endpoint := range cells {
			if rows[check] == nil || endpoints[endpoint] == nil {
				t.Errorf("%s at %s is not on the page", check, endpoint)
			}
		}
	}
	if len(columns) != len(endpoints) {
		t.Errorf("got the columns %v, want %v", columns, slices.Sorted(maps.Keys(endpoints)))
	}
}

// endpointTable reads the page.
func endpointTable(t *testing.T) (columns []string, rows map[string]map[string]string) {
	t.Helper()
	text, err := os.ReadFile("docs/endpoints.md")
	if err != nil {
		t.Fatal(err)
	}
	rows = map[string]map[string]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "|"), "|"), "|")
		for i := range cells {
			cells[i] = strings.Trim(cells[i], " `")
		}
		switch {
		case len(cells) < 3 || cells[0] == "---":
		case columns == nil:
			columns = cells[1:]
		default:
			row := map[string]string{}
			for i, cell := range cells[1:] {
				row[columns[i]] = cell
			}
			rows[cells[0]] = row
		}
	}
	return columns, rows
}

// checked is a rig whose rows can be read, with a browser that is signed in as mina.
type checked struct {
	*browser
	rows   *sql.DB
	tables []string
}

func newChecked(t *testing.T) *checked {
	t.Helper()
	var database string
	r := newRig(t, func(c *sallyport.Config) { database = c.Database })
	box := admin.Device("box", "Box")
	box.AuthMethod = oidc.AuthBasic
	r.must(r.Admin().Allow(t.Context(), box, orders))
	r.addClient(t.Context(), box)
	r.changeClient("web", func(c *oidc.Client) { c.PostLogoutRedirectURIs = []string{callback + "/bye"} })
	c := &checked{browser: r.browser()}
	c.signIn(r.mina, c.authorize("web")).mustCode()
	driver, names := "sqlite", `SELECT name FROM sqlite_schema WHERE type = 'table'`
	if *onPostgres {
		driver, names = "pgx", `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()`
	}
	var err error
	c.rows, err = sql.Open(driver, database)
	r.must(err)
	t.Cleanup(func() { c.rows.Close() })
	list, err := c.rows.QueryContext(t.Context(), names)
	r.must(err)
	defer list.Close()
	for list.Next() {
		var name string
		r.must(list.Scan(&name))
		if name != "audit" && name != "used_once" {
			c.tables = append(c.tables, name)
		}
	}
	r.must(list.Err())
	return c
}

// dump is every row of every table, but of what is kept of every try: the audit log, the
// proofs and assertions that were seen, and when a device asked (RFC 8628 §3.5).
func (c *checked) dump() map[string]int {
	c.t.Helper()
	all := map[string]int{}
	for _, table := range c.tables {
		rows, err := c.rows.QueryContext(c.t.Context(), `SELECT * FROM `+table)
		c.must(err)
		columns, err := rows.Columns()
		c.must(err)
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		for rows.Next() {
			c.must(rows.Scan(values...))
			line := table
			for i := range values {
				if slices.Contains([]string{"polled_at", "pace", "too_fast"}, columns[i]) {
					continue
				}
				line += fmt.Sprintf(" %s=%v", columns[i], *values[i].(*any))
			}
			all[line]++
		}
		c.must(rows.Err())
		rows.Close()
	}
	return all
}

// ask is a request to an endpoint: good, until a check changes it.
type ask struct {
	*checked
	path   string
	client string // whose secret it has; "": a browser's, or a token's bearer's
	form   url.Values
	header http.Header
	proof  func() string // makes the DPoP header, if the request has none
	undo   []func()
}

// refuses changes the request, or what is registered, so that a check fails.
func (a ask) refuses(check string, change func(*ask), want string) {
	a.t.Helper()
	a.form, a.header = maps.Clone(a.form), a.header.Clone()
	change(&a)
	before := a.dump()
	if got, status := a.send(); got != want || status >= http.StatusInternalServerError {
		a.t.Errorf("%s: got %q %d, want %q", check, got, status, want)
	}
	if after := a.dump(); !maps.Equal(before, after) {
		maps.DeleteFunc(after, func(line string, n int) bool { return before[line] == n })
		a.t.Errorf("%s: was written: %v", check, after)
	}
	for _, undo := range a.undo {
		undo()
	}
}

// send returns what was wrong, in the words of the page; "" if nothing was.
func (a ask) send() (wrong string, status int) {
	a.t.Helper()
	if a.path == "/authorize" || a.path == "/end_session" {
		return a.browse()
	}
	req, err := http.NewRequest("POST", a.issuer+a.path, strings.NewReader(a.form.Encode()))
	a.must(err)
	maps.Copy(req.Header, a.header)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if a.proof != nil {
		req.Header.Set("DPoP", a.proof())
	}
	if a.client != "" {
		req.SetBasicAuth(a.client, a.secret[a.client])
	}
	resp, err := http.DefaultClient.Do(req)
	a.must(err)
	defer resp.Body.Close()
	var answer struct {
		Error  string
		Active *bool
	}
	_ = json.NewDecoder(resp.Body).Decode(&answer)
	switch {
	case answer.Active != nil && !*answer.Active:
		return "inactive", resp.StatusCode
	case answer.Error == "" && resp.StatusCode >= 300:
		return "nothing in JSON", resp.StatusCode
	case answer.Error != "" && resp.StatusCode < 400:
		return answer.Error + " as if it were good", resp.StatusCode
	}
	return answer.Error, resp.StatusCode
}

func (a ask) browse() (wrong string, status int) {
	a.t.Helper()
	v := a.get(a.path + "?" + a.form.Encode())
	switch {
	case v.location != nil:
		return v.location.Query().Get("error"), v.status
	case v.status >= 400 && v.step() == "":
		return "a page", v.status
	}
	return "no answer", v.status
}

// endpoints are the good requests.
var endpoints = map[string]func(*checked) ask{
	"authorize": func(c *checked) ask {
		return ask{checked: c, path: "/authorize", form: authorizeQuery("web", "prompt", "none")}
	},
	"par": func(c *checked) ask {
		return ask{checked: c, path: "/par", client: "web", form: wanted("web")}
	},
	"code": func(c *checked) ask {
		return ask{checked: c, path: "/token", client: "web", form: redeeming(c.authorize("web").mustCode())}
	},
	"refresh": func(c *checked) ask {
		return ask{checked: c, path: "/token", client: "web", form: refreshing(c.redeem("web", c.authorize("web").mustCode()).Refresh)}
	},
	"client": func(c *checked) ask {
		return ask{checked: c, path: "/token", client: "worker", form: url.Values{"grant_type": {oidc.GrantClientCredentials}}}
	},
	"device": func(c *checked) ask {
		return ask{checked: c, path: "/token", client: "box", form: url.Values{"grant_type": {oidc.GrantDeviceCode}, "device_code": {c.allowedDevice()}}}
	},
	"device_authorization": func(c *checked) ask {
		return ask{checked: c, path: "/device_authorization", client: "box", form: url.Values{"scope": {"openid"}}}
	},
	"introspect": func(c *checked) ask {
		return ask{checked: c, path: "/introspect", client: "orders", form: url.Values{"token": {c.tokenFor("orders:read", orders)}}}
	},
	"revoke": func(c *checked) ask {
		return ask{checked: c, path: "/revoke", client: "web", form: url.Values{"token": {c.redeem("web", c.authorize("web").mustCode()).Access}}}
	},
	"userinfo": func(c *checked) ask {
		h := c.holder()
		got, _ := h.sends("web", redeeming(c.authorize("web").mustCode()), h.proof("POST", "/token"))
		a := ask{checked: c, path: "/userinfo", form: url.Values{}}.with("Authorization", "DPoP "+got.Access)
		a.proof = func() string { return h.proof("POST", "/userinfo", "ath", ath(got.Access)) }
		return a
	},
	"end_session": func(c *checked) ask {
		id := c.redeem("web", c.authorize("web").mustCode()).ID
		return ask{checked: c, path: "/end_session", form: url.Values{"id_token_hint": {id}, "post_logout_redirect_uri": {callback + "/bye"}}}
	},
}

// with is the request with these headers, and no others.
func (a ask) with(header ...string) ask {
	a.header, a.proof = http.Header{}, nil
	for i := 0; i < len(header); i += 2 {
		a.header.Set(header[i], header[i+1])
	}
	return a
}

// allowedDevice is a device code that mina has allowed.
func (c *checked) allowedDevice() string {
	c.t.Helper()
	_, answer := c.postForm("/device_authorization", "box", url.Values{"scope": {"openid"}})
	c.clock.advance(30 * time.Second) // TOTP codes are good once
	b := c.rig.browser()
	b.answer(b.signIn(c.mina, b.types(answer["user_code"].(string))).mustStep("consent", 200), "consent", "decision", "allow")
	return answer["device_code"].(string)
}

// tokenFor is an access token of mina's for an API.
func (c *checked) tokenFor(scope, api string) string {
	c.t.Helper()
	v := c.authorize("portal", "resource", api, "scope", scope)
	return c.redeem("portal", c.answer(v.mustStep("consent", 200), "consent", "decision", "allow").mustCode()).Access
}

// set puts a parameter in the place of its own; none takes it away.
func set(name string, values ...string) func(*ask) {
	return func(a *ask) {
		if a.form[name] = values; len(values) == 0 {
			a.form.Del(name)
		}
	}
}

// register changes the client's registration for the time of the check.
func register(id string, change func(*oidc.Client)) func(*ask) {
	return func(a *ask) {
		old, err := a.Store().Client(a.t.Context(), id)
		a.must(err)
		a.changeClient(id, change)
		a.undo = append(a.undo, func() { a.changeClient(id, func(c *oidc.Client) { *c = *old }) })
	}
}

// by authenticates as another client.
func by(client string) func(*ask) { return func(a *ask) { a.client = client } }

func wrongSecret(a *ask) {
	a.header = http.Header{"Authorization": {"Basic " + "d2ViOndyb25n"}} // web:wrong
	if a.client != "web" {
		a.form.Set("client_id", a.client)
		a.form.Set("client_secret", "wrong")
		a.header = nil
	}
	a.client = ""
}

func twoWays(a *ask) { a.form.Set("client_secret", a.secret[a.client]) }

// proofOf sends a proof of a fresh key, for an address.
func proofOf(path string) func(*ask) {
	return func(a *ask) { *a = a.with("DPoP", a.holder().proof("POST", path)) }
}

// newToken puts another access token in the place of a good one, as Bearer.
func newToken(token func(*ask) string) func(*ask) {
	return func(a *ask) { *a = a.with("Authorization", "Bearer "+token(a)) }
}

func disabled(c *oidc.Client)  { c.Disabled = true }
func grantless(c *oidc.Client) { c.GrantTypes = []string{"none"} }
func dpopBound(c *oidc.Client) { c.DPoPBound = true }
func highest(c *oidc.Client)   { c.MinLevel = oidc.LevelPHRH }

// everywhere is a check that is the same at all endpoints that authenticate clients.
func everywhere(change func(*ask), others map[string]func(*ask)) map[string]func(*ask) {
	all := maps.Clone(others)
	for _, endpoint := range []string{"par", "code", "refresh", "client", "device", "device_authorization", "introspect", "revoke"} {
		all[endpoint] = change
	}
	return all
}

// own changes the registration of the client of the good request.
func own(change func(*oidc.Client)) func(*ask) {
	return func(a *ask) { register(a.client, change)(a) }
}

// checks are the rows of the page.
var checks = map[string]map[string]func(*ask){
	"the client is registered": everywhere(by("nobody"), map[string]func(*ask){"authorize": set("client_id", "nobody")}),
	"the client is not disabled": everywhere(own(disabled), map[string]func(*ask){
		"authorize": register("web", disabled), "userinfo": register("web", disabled), "end_session": register("web", disabled),
	}),
	"the client's secret or assertion": everywhere(wrongSecret, map[string]func(*ask){}),
	"one way to authenticate": everywhere(twoWays, map[string]func(*ask){
		"userinfo": set("access_token", "at_a.b"),
	}),
	"each parameter once": {
		"authorize": set("scope", "openid", "openid"), "par": set("scope", "openid", "openid"), "code": set("redirect_uri", callback, callback),
		"refresh": set("scope", "openid", "openid"), "client": set("scope", "orders:read", "orders:read"),
		"device": func(a *ask) { a.form.Add("device_code", a.form.Get("device_code")) }, "device_authorization": set("scope", "openid", "openid"),
		"introspect": set("token", "at_a.b", "at_a.b"), "revoke": set("token", "at_a.b", "at_a.b"),
		"userinfo": func(a *ask) { *a = a.with(); a.form["access_token"] = []string{"at_a.b", "at_a.b"} }, "end_session": set("state", "a", "b"),
	},
	"the client may do this": {
		"authorize": register("web", grantless), "par": own(grantless), "code": own(grantless), "refresh": own(grantless), "client": own(grantless),
		"device": own(grantless), "device_authorization": own(grantless), "introspect": by("worker"),
	},
	"the redirect URI": {
		"authorize": set("redirect_uri", callback+"/x"), "par": set("redirect_uri", callback+"/x"), "code": set("redirect_uri", callback+"/x"),
		"end_session": set("post_logout_redirect_uri", callback),
	},
	"the response type":          {"authorize": set("response_type", "token"), "par": set("response_type", "token")},
	"pushed, if the client must": {"authorize": register("web", func(c *oidc.Client) { c.RequirePushed = true })},
	"signed, if the client must": {
		"authorize": register("web", func(c *oidc.Client) { c.RequireSigned = true }), "par": own(func(c *oidc.Client) { c.RequireSigned = true }),
	},
	"PKCE": {
		"authorize": set("code_challenge_method", "plain"), "par": set("code_challenge_method", "plain"),
		"code": set("code_verifier", strings.Repeat("x", 43)),
	},
	"scope": {
		"authorize": set("scope", "openid admin"), "par": set("scope", "openid admin"), "refresh": set("scope", "openid orders:read"),
		"client": set("scope", "orders:write"), "device_authorization": set("scope", "openid admin"),
		"userinfo": newToken(func(a *ask) string {
			return a.redeem("web", a.authorize("web", "scope", "profile").mustCode()).Access
		}),
	},
	"resource": {
		"authorize": set("resource", billing), "par": set("resource", billing), "code": set("resource", billing), "refresh": set("resource", billing),
		"client": set("resource", billing), "device": set("resource", billing), "device_authorization": set("resource", billing),
		"introspect": func(a *ask) { set("token", a.tokenFor("bills:read", billing))(a) },
		"userinfo":   newToken(func(a *ask) string { return a.tokenFor("orders:read", orders) }),
	},
	"a DPoP proof that is good": {
		"par": proofOf("/token"), "code": proofOf("/par"), "refresh": proofOf("/par"), "client": proofOf("/par"), "device": proofOf("/par"),
		"userinfo": func(a *ask) {
			*a = a.with("Authorization", a.header.Get("Authorization"), "DPoP", a.holder().proof("GET", "/userinfo"))
		},
	},
	"a DPoP proof, if there must be one": {
		"code": own(dpopBound), "refresh": own(dpopBound), "client": own(dpopBound), "device": own(dpopBound),
		"userinfo": newToken(func(a *ask) string { return strings.TrimPrefix(a.header.Get("Authorization"), "DPoP ") }),
	},
	"the key that it is bound to": {
		"par": func(a *ask) { proofOf("/par")(a); a.form.Set("dpop_jkt", a.holder().thumbprint()) },
		"code": func(a *ask) {
			set("code", a.authorize("web", "dpop_jkt", a.holder().thumbprint()).mustCode())(a)
			proofOf("/token")(a)
		},
		"userinfo": func(a *ask) {
			token := a.header.Get("Authorization")
			*a = a.with("Authorization", token, "DPoP", a.holder().proof("POST", "/userinfo", "ath", ath(strings.TrimPrefix(token, "DPoP "))))
		},
	},
	"it exists: code, token, request_uri, hint": {
		"authorize": set("request_uri", oidc.RequestURIPrefix+"a.b"), "code": set("code", "co_a.b"), "refresh": set("refresh_token", "rt_a.b"),
		"device": set("device_code", "dc_a.b"), "introspect": set("token", "at_a.b"),
		"userinfo": newToken(func(*ask) string { return "at_a.b" }), "end_session": set("id_token_hint", "e30.e30.AA"),
	},
	"it is this client's": {
		"authorize": func(a *ask) { set("request_uri", a.push("asks"))(a) }, "code": by("asks"), "refresh": by("asks"),
		"device": func(a *ask) {
			a.client = "web"
			own(func(c *oidc.Client) { c.GrantTypes = append(c.GrantTypes, oidc.GrantDeviceCode) })(a)
		},
		"introspect": by("billing"), "revoke": by("asks"), "end_session": set("client_id", "asks"),
	},
	"the least level, by today's policy": {
		"authorize": register("web", highest), "code": own(highest), "refresh": own(highest), "device": own(highest),
		"introspect": register("portal", highest), "userinfo": register("web", highest),
	},
}

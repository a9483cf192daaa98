package page

import (
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// The parts of keys that templates put together.
var (
	errorKeys = []string{
		"error.credentials", "error.code", "error.code_used", "error.throttled", "error.locked", "error.busy",
		"error.missing", "error.stale", "error.saved_required", "error.too_long", "error.not_the_same",
		"error.webauthn", "error.webauthn_unknown", "error.webauthn_taken", "error.webauthn_make",
		"error.passkey_unknown", "error.passkey_unverified", "error.passkey_no_pin", "error.passkey_password_first", "error.passkey_excluded", "error.last_factor", "error.many_factors", "error.name", "error.device_code",
		"error.mail_code", "error.mail_code_void", "error.mail_code_wait", "error.mail_code_many", "error.email", "error.email_domain", "error.mail_code_hour", "error.login", "error.login_taken",
		"password.short", "password.long", "password.common", "password.context", "password.guessable", "password.invalid",
	}
	messageCodes = []string{
		"invalid_request", "expired", "not_found", "server_error", "temporarily_unavailable", "too_many_requests",
		"access_denied", "no_second_factor", "other_factor", "unknown_make", "disabled", "home", "method_not_allowed", "form_too_large", "other_browser",
		"invitation", "welcome", "reset_sent", "reset_done", "reset_ended", "reset_gone",
		"device_done", "device_denied", "device_gone", "device_level",
		"needs_invitation", "welcome_skipped", "registration", "registered", "registered_go_on",
	}
	// Happenings are the events that a user's history has words for.
	Happenings = []string{
		"login.password", "login.totp", "login.email", "login.recovery", "login.webauthn", "login.password.failed", "login.code.failed",
		"login.code.reused", "login.webauthn.failed", "login.throttled", "invitation.redeemed", "invitation.skipped", "registration.done", "enroll.email.mailed", "enroll.email.confirmed", "enroll.email.failed", "enroll.totp", "enroll.webauthn", "enroll.email", "mail_code.asked",
		"authenticator.added", "recovery.replaced", "device.trusted", "device.ended", "device.reused", "consent.given",
		"account.factor.added", "account.factor.removed", "account.factor.renamed", "account.codes", "account.password",
		"account.session.ended", "account.others.ended", "account.consent.revoked", "account.locale",
		"session.ended", "session.replaced", "session.switched", "user.reset", "user.reset.factors", "user.unlocked",
	}
	scopes = []string{"openid", "profile", "email", "address", "phone", "groups", "offline_access"}
)

// catalog holds the texts of all languages, the default language first.
type catalog struct {
	names   []string
	texts   map[string]map[string]string // locale, key
	matcher language.Matcher
}

func newCatalog(files overlay) (*catalog, error) {
	c := &catalog{texts: map[string]map[string]string{}}
	for _, fsys := range []fs.FS{files.base, files.theme} {
		if fsys == nil {
			continue
		}
		if err := c.add(fsys); err != nil {
			return nil, err
		}
	}
	var tags []language.Tag
	for _, name := range c.names {
		tag, err := language.Parse(name)
		if err != nil {
			return nil, fmt.Errorf("page: locale %s: %w", name, err)
		}
		tags = append(tags, tag)
	}
	c.matcher = language.NewMatcher(tags)
	return c, nil
}

// add lays the texts of fsys over those that are there.
func (c *catalog) add(fsys fs.FS) error {
	found, err := fs.Glob(fsys, "locales/*.json") // sorted: en comes before ko
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	for _, file := range found {
		name := strings.TrimSuffix(path.Base(file), ".json")
		data, err := fs.ReadFile(fsys, file)
		if err != nil {
			return wrap(file, err)
		}
		if c.texts[name] == nil {
			c.texts[name] = map[string]string{}
			c.names = append(c.names, name)
		}
		texts := c.texts[name]
		if err := json.Unmarshal(data, &texts); err != nil {
			return fmt.Errorf("page: %s: %w", file, err)
		}
	}
	return nil
}

// keyInTemplate finds the keys that templates name in full.
var keyInTemplate = regexp.MustCompile(`\bt[hw]? "([^"]+)"`)

// check compares the keys of every language with those that the templates use.
// A theme's template may use fewer than the embedded one.
func (c *catalog) check(files overlay, sources map[string]string) error {
	used := slices.Clone(errorKeys)
	for _, code := range messageCodes {
		used = append(used, "message."+code+".title", "message."+code+".text")
	}
	for _, happening := range Happenings {
		used = append(used, "event."+happening)
	}
	for _, scope := range scopes {
		used = append(used, "scope."+scope)
	}
	for _, source := range sources {
		used = append(used, keysIn(source)...)
	}
	mayBeUsed := slices.Clone(used)
	own, err := fs.Glob(files.base, "templates/*.html")
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	for _, file := range own {
		source, err := fs.ReadFile(files.base, file)
		if err != nil {
			return wrap(file, err)
		}
		mayBeUsed = append(mayBeUsed, keysIn(string(source))...)
	}
	slices.Sort(used)
	used = slices.Compact(used)
	var errs []error
	for _, name := range c.names {
		errs = append(errs, c.checkOne(name, used, mayBeUsed))
	}
	return errors.Join(errs...)
}

func keysIn(source string) (keys []string) {
	for _, match := range keyInTemplate.FindAllStringSubmatch(source, -1) {
		keys = append(keys, match[1])
	}
	return keys
}

func (c *catalog) checkOne(name string, used, mayBeUsed []string) error {
	var errs []error
	for _, key := range used {
		if c.texts[name][key] == "" {
			errs = append(errs, fmt.Errorf("page: locale %s: no text for %q", name, key))
		}
	}
	for key := range c.texts[name] {
		if !slices.Contains(mayBeUsed, key) {
			errs = append(errs, fmt.Errorf("page: locale %s: nothing uses %q", name, key))
		}
	}
	return errors.Join(errs...)
}

// funcs are what templates say things with: t gives a text whose braces are
// filled from pairs of name and value, or from one map; th and tw the same as HTML,
// with the values emphasised, or each whole on one line.
func (c *catalog) funcs(locale string) template.FuncMap {
	text := func(key string) (string, error) {
		if s := c.texts[locale][key]; s != "" {
			return s, nil
		}
		return "", fmt.Errorf("no text for %q in locale %s", key, locale)
	}
	html := func(show func(string) string) func(string, ...any) (template.HTML, error) {
		return func(key string, args ...any) (template.HTML, error) {
			s, err := text(key)
			return template.HTML(fill(template.HTMLEscapeString(s), args, show)), err
		}
	}
	return template.FuncMap{
		"lang": func() string { return locale },
		"t": func(key string, args ...any) (string, error) {
			s, err := text(key)
			return fill(s, args, func(v string) string { return v }), err
		},
		"th":    html(emphasise),
		"tw":    html(keepWhole),
		"scope": func(name string) string { return c.texts[locale]["scope."+name] },
	}
}

func emphasise(value string) string {
	return `<strong dir="auto">` + template.HTMLEscapeString(value) + `</strong>`
}

// keepWhole is for dates, which a browser breaks at their hyphens.
func keepWhole(value string) string {
	return `<span class="whole">` + template.HTMLEscapeString(value) + `</span>`
}

// fill replaces {Name} in one pass, so that a value is never read as a text.
func fill(s string, args []any, show func(string) string) string {
	var pairs []string
	add := func(name, value any) {
		pairs = append(pairs, "{"+fmt.Sprint(name)+"}", show(fmt.Sprint(value)))
	}
	if len(args) == 1 {
		if m, ok := args[0].(map[string]any); ok {
			for name, value := range m {
				add(name, value)
			}
		}
	}
	for i := 0; i+1 < len(args); i += 2 {
		add(args[i], args[i+1])
	}
	return strings.NewReplacer(pairs...).Replace(s)
}

// Languages are those that pages are to be had in, each by its own name.
func (r *Renderer) Languages() []Language {
	list := make([]Language, 0, len(r.catalog.names))
	for _, name := range r.catalog.names {
		list = append(list, Language{name, display.Self.Name(language.MustParse(name))})
	}
	return list
}

// Bounds on what a request may ask to be parsed: languages, and bytes of each.
const (
	mostLanguages   = 16
	longestLanguage = 512
)

// Locale chooses the language of a page: the first that is to be had of
// uiLocales (OpenID Connect Core §3.1.2.1), else the best of the
// Accept-Language header, else English. What cannot be parsed is skipped.
func (r *Renderer) Locale(uiLocales []string, acceptLanguage string) string {
	asked := append(slices.Clone(uiLocales[:min(len(uiLocales), mostLanguages)]), acceptLanguage)
	asked = slices.DeleteFunc(asked, func(s string) bool { return s == "" || len(s) > longestLanguage })
	_, i := language.MatchStrings(r.catalog.matcher, asked...)
	return r.catalog.names[i]
}

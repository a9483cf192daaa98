package page

import (
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/url"
	"strings"
)

//go:embed templates locales assets
var embedded embed.FS

// every is one page of each kind: New makes sure that it has a template and
// that this can be executed.
var every = []Page{
	Invitation{}, Login{}, Forgot{}, Device{}, Register{}, ConfirmEmail{}, Profile{}, Reset{}, SecondFactor{}, Enroll{}, SaveCodes{}, Trust{}, Consent{}, FormPost{}, SignedOut{}, ConfirmLogout{}, Account{}, Message{Code: "home"},
}

// Renderer holds all templates, locales and assets. It never changes and may be
// used by many goroutines.
type Renderer struct {
	templates map[string]map[string]*template.Template // locale, page
	catalog   *catalog
	assets    map[string]asset // by hashed name
}

// New parses everything. theme, which may be nil, is laid over the embedded
// files: a template or an asset of the same name replaces, the texts of
// locales/*.json replace one by one (a further language needs all of them), and
// assets/theme.css is added to the style sheet.
//
// It fails if a template is missing or cannot be executed, and if a text is
// missing or not used by any template.
func New(theme fs.FS) (*Renderer, error) {
	files := overlay{theme, embedded}
	layout, err := files.read("templates/layout.html")
	if err != nil {
		return nil, err
	}
	sources := map[string]string{}
	for _, p := range every {
		page, err := files.read("templates/" + p.name() + ".html")
		if err != nil {
			return nil, err
		}
		sources[p.name()] = layout + page
	}
	r := &Renderer{}
	if r.catalog, err = newCatalog(files); err != nil {
		return nil, err
	}
	if err := r.catalog.check(files, sources); err != nil {
		return nil, err
	}
	names, err := r.loadAssets(files)
	if err != nil {
		return nil, err
	}
	return r, r.parse(sources, names)
}

func (r *Renderer) parse(sources, assetNames map[string]string) error {
	r.templates = map[string]map[string]*template.Template{}
	for _, locale := range r.catalog.names {
		r.templates[locale] = map[string]*template.Template{}
		funcs := r.catalog.funcs(locale)
		funcs["link"] = link
		funcs["asset"] = func(name string) string { return assetNames[name] }
		for name, source := range sources {
			t, err := template.New(name).Funcs(funcs).Option("missingkey=error").Parse(source)
			if err != nil {
				return fmt.Errorf("page: parse template: %w", err)
			}
			r.templates[locale][name] = t
		}
		for _, p := range every {
			if err := r.Render(io.Discard, locale, "", p); err != nil {
				return err
			}
		}
	}
	return nil
}

// Schemes are the colour schemes that a user can choose; "" is as the device has it.
var Schemes = []string{"light", "dark"}

// document is what the layout is about.
type document struct {
	Page   Page
	Scheme string
}

// Render writes a whole HTML document, in one of Schemes, or "". When it fails, part
// of the document may have been written; it fails for a locale, an error key or a
// message code that does not exist.
func (r *Renderer) Render(w io.Writer, locale, scheme string, p Page) error {
	t := r.templates[locale][p.name()]
	if t == nil {
		return fmt.Errorf("page: no page %q in locale %q", p.name(), locale)
	}
	if err := t.ExecuteTemplate(w, "layout", document{p, scheme}); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	return nil
}

// link lets through the redirect URIs of native applications, whose schemes
// have a dot (RFC 8252 §7.1), and leaves all others to html/template, which
// knows only http, https and mailto.
func link(uri string) any {
	u, err := url.Parse(uri)
	if err == nil && strings.Contains(u.Scheme, ".") {
		return template.URL(uri)
	}
	return uri
}

// overlay reads a file of the theme, or else the embedded one.
type overlay struct{ theme, base fs.FS }

func (o overlay) read(name string) (string, error) {
	if o.theme != nil {
		data, err := fs.ReadFile(o.theme, name)
		if !errors.Is(err, fs.ErrNotExist) {
			return string(data), wrap(name, err)
		}
	}
	data, err := fs.ReadFile(o.base, name)
	return string(data), wrap(name, err)
}

func wrap(name string, err error) error {
	if err != nil {
		return fmt.Errorf("page: read %s: %w", name, err)
	}
	return nil
}

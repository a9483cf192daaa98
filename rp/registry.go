package rp

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
)

// A Registry has the servers, by names of its own, at any of which the users of an
// application sign in. Login and Callback take the name from the path value
// "provider", so that two routes are enough:
//
//	GET /login/{provider}
//	GET /callback/{provider}
//
// It is safe for concurrent use.
type Registry struct {
	clients map[string]*Client
}

// NewRegistry makes a client of each configuration, as New does. Each has an
// Issuer of its own, since an Identity says no more about where it is from, and a
// RedirectURL of its own on one origin: an answer that a server passes on to the
// route of another one belongs to no login there, whether or not it says who it
// is from (RFC 9700 §4.4.2). A CookieKey may be shared. Of logins at most five are
// pending in a browser, as Login says, wherever they are.
//
// The error names the client and the field that is wrong.
func NewRegistry(ctx context.Context, configs map[string]Config) (*Registry, error) {
	if len(configs) == 0 {
		return nil, errors.New("rp: a registry of no clients")
	}
	g := &Registry{clients: map[string]*Client{}}
	for _, name := range slices.Sorted(maps.Keys(configs)) {
		client, err := New(ctx, configs[name])
		if err == nil {
			err = g.checkApart(client)
		}
		if err != nil {
			return nil, fmt.Errorf("rp: provider %q: %w", name, err)
		}
		g.clients[name] = client
	}
	family := slices.Collect(maps.Values(g.clients))
	for _, client := range family {
		client.family = family
	}
	return g, nil
}

// checkApart checks a client against those that are there.
func (g *Registry) checkApart(c *Client) error {
	if c.config.RedirectURL == "" {
		return errors.New("Config.RedirectURL is empty: nobody signs in there by a browser")
	}
	for _, name := range g.Names() {
		other := g.clients[name].config
		switch {
		case other.Issuer == c.config.Issuer:
			return fmt.Errorf("Config.Issuer is that of %q", name)
		case route(other.RedirectURL) == route(c.config.RedirectURL):
			return fmt.Errorf("Config.RedirectURL is that of %q", name)
		case originOf(other.RedirectURL) != originOf(c.config.RedirectURL):
			return fmt.Errorf("Config.RedirectURL is on another origin than that of %q", name)
		}
	}
	return nil
}

// originOf is the origin of a URL that was checked.
func originOf(text string) string {
	u, _ := url.Parse(text)
	return origin(u)
}

// route is what handlers are found by.
func route(text string) string {
	u, _ := url.Parse(text)
	return u.Path
}

// Names are the providers' names in alphabetical order, for a page where users
// choose one.
func (g *Registry) Names() []string { return slices.Sorted(maps.Keys(g.clients)) }

// Client is the client at a provider, nil if there is none of that name.
func (g *Registry) Client(name string) *Client { return g.clients[name] }

// Login is Client.Login at the provider that the path names, or the status 404.
func (g *Registry) Login(w http.ResponseWriter, r *http.Request, options ...LoginOption) {
	client := g.Client(r.PathValue("provider"))
	if client == nil {
		plainAnswer(w, http.StatusNotFound, "There is no such sign-in service.")
		return
	}
	client.Login(w, r, options...)
}

// Callback is Client.Callback of the provider that the path names. Where there is
// none, there is no login either: the error is a *StateError.
func (g *Registry) Callback(w http.ResponseWriter, r *http.Request) (*Identity, error) {
	client := g.Client(r.PathValue("provider"))
	if client == nil {
		return nil, &StateError{CookieMissing}
	}
	return client.Callback(w, r)
}

// Sessions makes sessions for whoever signs in at one of the providers, as
// Client.Sessions does. A browser has one of them at a time. What a session needs
// of a server, such as a step-up or a logout, is done at the one it is from.
//
// With more than one provider SessionConfig.SignIn must be set. In Now, Logger and
// ErrorPage the configurations should agree.
func (g *Registry) Sessions(config SessionConfig) (*Sessions, error) {
	var clients []*Client
	for _, name := range g.Names() {
		clients = append(clients, g.clients[name])
	}
	if len(clients) > 1 && config.SignIn == nil {
		return nil, errors.New("rp: SessionConfig.SignIn is nil, but there are several providers to choose from")
	}
	first := clients[0]
	return newSessions(clients, sessionName(cookiePrefix(first.secure, originOf(first.config.RedirectURL), "")), config)
}

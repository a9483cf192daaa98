package oidc

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// The subject types (OpenID Connect Core §8).
const (
	SubjectPublic   = "public"   // one sub for all clients
	SubjectPairwise = "pairwise" // one for each sector
)

// PairwisePrefix begins every pairwise sub: none can be taken for the id of a user, or
// for a client_id.
const PairwisePrefix = "p."

// Pairwise reports whether the client knows users by subjects of its sector's own.
func (c *Client) Pairwise() bool { return c.SubjectType == SubjectPairwise }

// TakesHint reports whether an ID token for the audience, with the subject, says to this
// client whom it means. One that is another's could tell a pairwise client that the two
// have a user in common: answers depend on whether it is the user who is signed in.
func (c *Client) TakesHint(audience, subject string) bool {
	return audience == c.ID || !c.Pairwise() && !strings.HasPrefix(subject, PairwisePrefix)
}

// SectorOf returns the sector that redirect URIs are of: their one host. An error says
// why they have none, so that the operator names it (OpenID Connect Core §8.1).
func SectorOf(redirectURIs []string) (string, error) {
	sector := ""
	for _, uri := range redirectURIs {
		u, err := url.Parse(uri)
		if err != nil {
			return "", errors.New("a redirect URI is not a URI")
		}
		host := strings.ToLower(u.Hostname())
		switch {
		case host == "" || loopback(host):
			return "", errors.New("a redirect URI is on the user's own machine, as others' are")
		case sector != "" && host != sector:
			return "", errors.New("the redirect URIs have several hosts")
		}
		sector = host
	}
	if sector == "" {
		return "", errors.New("there is no redirect URI")
	}
	return sector, nil
}

// validateSubject: a pairwise client has a sector that stays, whatever becomes of its
// redirect URIs.
func (c *Client) validateSubject() error {
	switch {
	case c.SubjectType != "" && c.SubjectType != SubjectPublic && c.SubjectType != SubjectPairwise:
		return errors.New("subject_type must be public or pairwise")
	case !c.Pairwise() && c.Sector != "":
		return errors.New("sector_identifier is for the subject type pairwise")
	case c.Pairwise() && !sectorForm(c.Sector):
		return errors.New("sector_identifier must be a host in lower case, without scheme, port and path")
	}
	return nil
}

// sectorForm: a name of one form, for two that look the same are two sectors.
func sectorForm(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Zone() == "" && a.String() == host
	}
	return host != "" && len(host) <= 253 && !strings.HasSuffix(host, ".") && !strings.HasPrefix(host, ".") && !strings.Contains(host, "..") &&
		!strings.ContainsFunc(host, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_')
		})
}

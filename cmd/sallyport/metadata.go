package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/policy"
	"github.com/sallyport-id/sallyport/internal/store"
)

// metadata of authenticators are nil if none are configured.
func (s *settings) metadata() *sallyport.Metadata {
	if s.WebAuthnMetadataFile == "" {
		return nil
	}
	return &sallyport.Metadata{
		File: s.WebAuthnMetadataFile, RootFile: s.WebAuthnMetadataRootFile,
		Allow: s.WebAuthnAllow, AllowHardwareBound: s.WebAuthnAllowHardwareBound, Deny: s.WebAuthnDeny,
	}
}

// checkMetadata reads no file, which a check of the configuration need not have.
func (s *settings) checkMetadata() error {
	if m := s.metadata(); m != nil {
		return m.Check()
	}
	if s.WebAuthnMetadataRootFile != "" || len(s.WebAuthnAllow)+len(s.WebAuthnAllowHardwareBound)+len(s.WebAuthnDeny) > 0 {
		return errors.New("webauthn_metadata_file is missing: without it no key's make is known, and the other keys of webauthn_ are of no use")
	}
	if err := s.checkHardwareBound(s.Policy.policy()); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	return nil
}

// checkHardwareBound says which rule nobody could meet.
func (s *settings) checkHardwareBound(rules []sallyport.Rule) error {
	if name, ok := policy.HardwareBoundRule(rules); ok && s.metadata() == nil {
		return fmt.Errorf("rule %s: require %s needs webauthn_metadata_file: nobody could meet it", name, policy.HardwareBound)
	}
	return nil
}

// judge fills in which authenticators are hardware-bound, as the server sees them.
func (s *settings) judge(list []store.Authenticator, now time.Time) error {
	m := s.metadata()
	if m == nil {
		return nil
	}
	issuer, err := url.Parse(s.Issuer)
	if err != nil {
		return err
	}
	rp, err := authn.NewRelyingParty(issuer)
	if err != nil {
		return err
	}
	if _, err := m.Use(rp, now); err != nil {
		return err
	}
	rp.Judge(list)
	return nil
}

// metadata reads the file as the server would.
func (d *doctor) metadata(ctx context.Context) {
	const check, download = "metadata of authenticators", "Download it anew from https://mds.fidoalliance.org; the server takes the new file without a restart."
	m := d.settings.metadata()
	if m == nil {
		d.hardwareBound(ctx, check)
		return
	}
	read, err := m.Read(d.now())
	switch {
	case err != nil:
		d.bad(check, "webauthn_metadata_file is the file as its authority signs it, and webauthn_metadata_root_file has the authority's roots, PEM; without it the authority is the FIDO Alliance. A running server goes on with what it has read before.", "%v", err)
	case read.Outdated(d.now()):
		d.warn(check, download+" Until then what became known of makes since is not.", "number %d, of %d makes; the next was due %s", read.Number, read.Makes, read.NextUpdate.Format(time.DateOnly))
	default:
		d.ok(check, "number %d, of %d makes; the next is due %s", read.Number, read.Makes, read.NextUpdate.Format(time.DateOnly))
	}
}

// hardwareBound looks for a rule in the database that was set while there were metadata.
func (d *doctor) hardwareBound(ctx context.Context, check string) {
	if d.db == nil {
		return
	}
	r, err := d.settings.rulesInForce(ctx, d.db)
	if err == nil {
		err = d.settings.checkHardwareBound(r.Rules)
	}
	if err != nil {
		d.bad(check, "Give the server the file again, or set other rules with \"sallyport policy set\".", "%v", err)
	}
}

package issuer

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// CheckURL accepts absolute https URLs, and http where the host is this one.
func CheckURL(text string, allowHTTP bool) error {
	if text == "" {
		return errors.New("it is empty")
	}
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("it is no URL")
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Hostname() == "" {
		return fmt.Errorf("%q is no absolute https URL", u.Redacted())
	}
	if u.User != nil || strings.Contains(text, "#") {
		return fmt.Errorf("%q has a user or a fragment", u.Redacted())
	}
	if u.Scheme == "http" && !allowHTTP && !isLoopback(u.Hostname()) {
		return fmt.Errorf("%q is plain http on another host; use https, or set InsecureAllowHTTP", text)
	}
	return nil
}

func isLoopback(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	host = strings.ToLower(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// NotVisible reports what is no visible ASCII.
func NotVisible(r rune) bool { return r <= ' ' || r > '~' }

// NotScope reports what no scope contains (RFC 6749 §3.3).
func NotScope(r rune) bool { return NotVisible(r) || r == '"' || r == '\\' }

// CheckEndpoint accepts the URLs of an issuer that are as safe as the issuer is
// (OpenID Connect Discovery §4.3).
func CheckEndpoint(issuer, endpoint string, allowHTTP bool) error {
	if err := CheckURL(endpoint, allowHTTP); err != nil {
		return err
	}
	if strings.HasPrefix(issuer, "https:") && !strings.HasPrefix(endpoint, "https:") {
		return errors.New("it is not https, as the issuer is")
	}
	return nil
}

// Clip makes foreign text fit for an error: printable ASCII, at most 256 bytes.
func Clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), 256)]
}

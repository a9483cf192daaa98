package rp

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

const longestReturnTo = 512 // bytes; with it, the cookie of a login has at most 1200, that of a step-up 1700

// localPath returns the path if it leads nowhere but to this origin, else "/".
// Browsers drop tabs and newlines from URLs and read a backslash as a slash.
func localPath(path string) string {
	if len(path) > longestReturnTo || !utf8.ValidString(path) || !strings.HasPrefix(path, "/") ||
		strings.HasPrefix(path, "//") || strings.Contains(path, `\`) || strings.ContainsFunc(path, unicode.IsControl) {
		return "/"
	}
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil {
		return "/"
	}
	return path
}

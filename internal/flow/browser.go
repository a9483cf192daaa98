package flow

import "strings"

// named is a part of a browser's name for itself, and what people call it.
type named struct{ part, name string }

// browsers and systems, in an order in which the first part that is there decides:
// most browsers claim to be some older ones, too.
var (
	browsers = []named{
		{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"Whale/", "Whale"}, {"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chromium/", "Chromium"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
	}
	systems = []named{
		{"Windows", "Windows"}, {"Android", "Android"}, {"iPhone", "iOS"}, {"iPad", "iPadOS"}, {"CrOS", "ChromeOS"},
		{"Mac OS X", "macOS"}, {"Linux", "Linux"},
	}
)

// Browser says in words of ours what a User-Agent header claims to be, and on which
// system; "" for what we do not know. Nothing of the header is in it, and it is good
// for nothing but for a user to recognise.
func Browser(userAgent string) (browser, system string) {
	return firstNamed(browsers, userAgent), firstNamed(systems, userAgent)
}

// BrowserName is Browser in one.
func BrowserName(userAgent string) string {
	browser, system := Browser(userAgent)
	if browser == "" || system == "" {
		return browser + system
	}
	return browser + ", " + system
}

func firstNamed(list []named, in string) string {
	for _, n := range list {
		if strings.Contains(in, n.part) {
			return n.name
		}
	}
	return ""
}

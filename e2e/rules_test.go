package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
)

// TestRequirements: what comes after the password, at an application under each
// requirement, of somebody with an authenticator app and of somebody with nothing.
func TestRequirements(t *testing.T) {
	t.Parallel()
	in := install(t, `SALLYPORT_POLICY=[{clients: [none], require: "off"}, {clients: [asked], require: optional},
		{clients: [strong], require: phishing-resistant}, {require: required}]`, "SALLYPORT_ENROLLMENT=password")
	for _, client := range []string{"none", "asked", "strong"} {
		in.sallyport("client", "add", client, "--redirect-uri", in.callback, "--config", in.config())
	}
	b := newBrowser(t, "en")
	in.setUp(b, "app")
	add := exec.Command(command, "user", "add", "nothing", "--password-stdin", "--config", in.config())
	add.Stdin = strings.NewReader("quiet lantern otter\n")
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("user add: %v\n%s", err, out)
	}

	const application = "" // whose page has no step
	for _, c := range []struct{ client, user, want string }{
		{"none", "nothing", application},
		{"none", "app", application},
		{"asked", "nothing", application},
		{"asked", "app", "second_factor"},
		{"shop", "nothing", "enroll"},
		{"shop", "app", "second_factor"},
		{"strong", "nothing", "refuse"}, // a first factor, set up by a password, is none of that level
		{"strong", "app", "refuse"},
	} {
		call(b, network.ClearBrowserCookies, cdp.Empty{})
		b.open(with(t, in.request(), "client_id", c.client))
		b.password(c.user, "quiet lantern otter")
		got := b.step()
		if got != c.want {
			t.Errorf("%s at %s: got step %q, want %q\n%s\n%s", c.user, c.client, got, c.want, b.url(), b.text())
		}
		if got == application {
			b.mustBeAt(in.callback)
		}
	}
}

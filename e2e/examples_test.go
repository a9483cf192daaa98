package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// startExample builds a program of examples/ and runs it, as dev's file says it has to
// be run, until the test ends. settings are added to the environment.
func startExample(t *testing.T, d *dev, name string, settings ...string) {
	t.Helper()
	env, err := os.ReadFile(d.Examples)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), name)
	build := exec.Command("go", "build", "-o", program, "./"+name)
	build.Dir, build.Stderr = "../examples", os.Stderr
	if err := build.Run(); err != nil {
		t.Fatal(err)
	}
	cmd, log := exec.Command(program), &lockedBuffer{}
	cmd.Env = append(append(os.Environ(), strings.Fields(string(env))...), settings...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the log of %s:\n%s", name, log)
		}
	})
}

// example is a program of examples/ that a browser can go to. A proxy is in front of it,
// which answers instead of it where between says so.
func example(t *testing.T, name string, between func(w http.ResponseWriter, r *http.Request) (answered bool)) (d *dev, origin string) {
	t.Helper()
	listen := &url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", freePort(t))}
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(listen)
		p.Out.Host = p.In.Host
	}}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !between(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(front.Close)
	origin = strings.Replace(front.URL, "127.0.0.1", "localhost", 1)
	d = startDev(t, "--shop", origin)
	startExample(t, d, name, "SHOP_LISTEN="+listen.Host)
	return d, origin
}

// TestExampleSPA: the page of examples/spa signs in, is told by the API that this is not
// enough, has it proven and goes on; and there is nothing in the browser to steal.
func TestExampleSPA(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	for language, words := range map[string][]string{
		"en": {"A small shop", "Now press Refund", "Refunded: 1001 Lantern"},
		"ko": {"작은 가게", "환불을 누르세요", "환불했습니다: 1001 Lantern"},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			d, origin := example(t, "spa", func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/my/orders/1001/refund" || asked.Add(1) > 1 {
					return false
				}
				w.Header().Set("WWW-Authenticate", `Session error="old"`)
				w.WriteHeader(http.StatusUnauthorized)
				return true
			})
			w := &walk{tab: newBrowser(t, language), titles: map[string]string{}}
			for _, path := range []string{"/my/session", "/my/orders/1001/refund"} { // what Chromium notes as failed
				w.refused[origin+path] = true
			}
			w.waitFor("the program", func() bool { return w.open(origin+"/") == 200 })
			w.waitFor("the link to sign in", func() bool { return w.textOf("#out:not([hidden])") != "" })
			w.mustText(words[0])
			w.look("demo-spa-out")
			w.press("#login")
			w.tab.signIn(d.user(t, "mina"), d.code(t, "mina"))
			w.waitFor("the orders", func() bool { return w.has("#refund-1001") })
			if got := w.textOf("#who") + " " + w.textOf("#acr"); got != "김미나 urn:sallyport:acr:2fa" {
				t.Errorf("got %q", got)
			}
			w.look("demo-spa-in")

			w.do(pressed("#refund-1001"))
			w.waitFor("the way there and back", func() bool { return strings.Contains(w.textOf("#said"), words[1]) })
			if got := eval[string](w.tab, `document.activeElement.id`); got != "refund-1001" {
				t.Errorf("the focus is on %q", got)
			}
			w.do(pressed("#refund-1001"))
			w.waitFor("the refund", func() bool { return strings.Contains(w.textOf("#said"), words[2]) })
			w.look("demo-spa-refunded")
			if got := eval[string](w.tab, `document.cookie + JSON.stringify({...localStorage, ...sessionStorage})`); got != "{}" {
				t.Errorf("a script can read %q", got)
			}
			if got := w.url(); got != origin+"/" {
				t.Errorf("the address is %s", got)
			}
			w.press("#logout")
			w.waitFor("the end", func() bool { return w.textOf("#out:not([hidden])") != "" })
			w.press("#login")
			w.mustStep("login")
		})
	}
}

// TestExampleShop looks at the pages of both shops.
func TestExampleShop(t *testing.T) {
	t.Parallel()
	needBrowser(t)
	for language, name := range map[string]string{"en": "shop", "ko": "shop-chi"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, origin := example(t, name, func(http.ResponseWriter, *http.Request) bool { return false })
			w := &walk{tab: newBrowser(t, language), titles: map[string]string{}}
			w.refused[origin+"/"] = true // while it starts
			w.waitFor("the program", func() bool { return w.open(origin+"/") == 200 })
			w.look("demo-shop-home")
			w.press("#orders")
			w.press("#cancel")
			w.look("demo-shop-problem")
			w.press("#home")
			w.press("#orders")
			w.mustStatus(w.tab.signIn(d.user(t, "mina"), d.code(t, "mina")), 200)
			w.look("demo-shop-orders")
			w.press("#refund-1002")
			w.look("demo-shop-refund")
			w.mustStatus(w.press("#refund"), 200)
			w.look("demo-shop-refunded")
			w.open(origin + "/orders")
			w.mustStatus(w.press("#logout"), 200)
			w.mustBeAt(origin + "/")
		})
	}
}

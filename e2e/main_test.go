package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

var (
	screenshots = flag.String("screenshots", "", "directory for a PNG of each page")
	command     string          // the path of the sallyport command: SALLYPORT, or built for the run
	ca          *authority      // of each installation's certificate
	chrome      context.Context // the one browser process; nil if there is none
)

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

// run builds the command, starts the browser and runs the tests.
func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "sallyport-e2e-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if command = os.Getenv("SALLYPORT"); command == "" {
		command = filepath.Join(dir, "sallyport")
		build := exec.Command("go", "build", "-o", command, "./cmd/sallyport")
		build.Dir, build.Stderr = "..", os.Stderr
		if err := build.Run(); err != nil {
			return 0, fmt.Errorf("build the command: %w", err)
		}
	}
	if ca, err = newAuthority(dir); err != nil {
		return 0, err
	}
	if err := ca.trust(); err != nil {
		return 0, err
	}
	if path := chromium(); path != "" {
		ctx, stop := chromedp.NewExecAllocator(context.Background(), chromiumOptions(path, dir)...)
		defer stop()
		ctx, cancel := chromedp.NewContext(ctx)
		defer cancel()
		if err := chromedp.Do(ctx); err != nil {
			return 0, fmt.Errorf("start %s: %w", path, err)
		}
		chrome = ctx
	}
	return m.Run(), nil
}

// chromium is the path of a browser, "" if there is none.
func chromium() string {
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path
		}
	}
	return ""
}

func chromiumOptions(path, dir string) []chromedp.ExecAllocatorOption {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.UserDataDir(filepath.Join(dir, "profile")),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("ignore-certificate-errors-spki-list", ca.pin),
		chromedp.DisableGPU,
	)
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	return options
}

// needBrowser skips a test on a machine without a browser, and fails it in CI.
func needBrowser(t *testing.T) {
	t.Helper()
	if chrome == nil {
		leaveOut(t, "no Chromium found; install one or name it in CHROMIUM")
	}
}

func leaveOut(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

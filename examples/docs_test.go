package examples

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// fragment is a program around a piece of one: what the piece takes for granted.
const fragment = `package fragment

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os"

	"github.com/sallyport-id/sallyport/rp"
)

var (
	_ = errors.Is
	_ = log.Print
	_ = os.Getenv
)

func _(ctx context.Context, w http.ResponseWriter, r *http.Request, cookieKey []byte, cart http.Handler, shop *rp.Client, sessions *rp.Sessions) {
	_, _, _, _, _, _, _ = ctx, w, r, cookieKey, cart, shop, sessions
	{
%s
	}
}
`

// TestGuideCompiles: the pieces of Go in the guide for users of Authlib.
func TestGuideCompiles(t *testing.T) {
	text, err := os.ReadFile("../docs/authlib.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := goBlock.FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 2 {
		t.Fatalf("found %d pieces, want more: is the page still read?", len(blocks))
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for i, block := range blocks {
		dir := t.TempDir()
		file := filepath.Join(dir, "fragment.go")
		overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(here, "fragment", "fragment.go"): file}})
		if err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string][]byte{file: fmt.Appendf(nil, fragment, block[1]), filepath.Join(dir, "overlay.json"): overlay} {
			if err := os.WriteFile(name, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out, err := exec.Command("go", "build", "-o", os.DevNull, "-overlay", filepath.Join(dir, "overlay.json"), "./fragment").CombinedOutput()
		if err != nil {
			t.Errorf("piece %d: %v\n%s\n%s", i+1, err, out, strings.TrimSpace(block[1]))
		}
	}
}

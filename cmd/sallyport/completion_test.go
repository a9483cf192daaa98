package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestComplete: commands, flags, the values of enumerations, files.
func TestComplete(t *testing.T) {
	t.Parallel()
	var c commands
	k, err := kong.New(&c, kong.Name("sallyport"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a[b].yaml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "ab"), 0o700); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"ser":                                  "serve",
		"client ":                              "add list show set set-keys test-logout logouts rotate-secret remove",
		"client ro":                            "rotate-secret",
		"client rotate-secret x --keep":        "--keep-old",
		"client list --out":                    "--output",
		"client list --output ":                "text json",
		"client list --output j":               "json",
		"client add shop --preset s":           "spa",
		"client add --preset spa shop --pres":  "--preset",
		"client add shop --redirect-uri ":      "",
		"dev --po":                             "--port",
		"dev ":                                 "run code",
		"completion ":                          "bash zsh fish",
		"nonsense ser":                         "serve",
		"serve --config " + dir + "/a":         dir + "/a[b].yaml " + dir + "/ab/",
		"serve --config " + dir + "/a[":        dir + "/a[b].yaml",
		"serve --config " + dir + "/nothing/x": "",
		"complete --":                          "--help",
	} {
		var got []string
		for _, candidate := range complete(k.Model.Node, strings.Split(line, " ")) {
			word, _, _ := strings.Cut(candidate, "\t")
			got = append(got, word)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: got %q, want %q", line, strings.Join(got, " "), want)
		}
	}
}

// TestEveryHelpIsOneLine: completion shows it beside the word.
func TestEveryHelpIsOneLine(t *testing.T) {
	t.Parallel()
	var c commands
	k, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	var walk func(n *kong.Node)
	walk = func(n *kong.Node) {
		if n.Help == "" && !n.Hidden && n.Parent != nil || strings.ContainsAny(n.Help, "\n\t") {
			t.Errorf("%s has the help %q", n.FullPath(), n.Help)
		}
		for _, f := range n.Flags {
			if f.Help == "" || strings.ContainsAny(f.Help, "\n\t") {
				t.Errorf("%s --%s has the help %q", n.FullPath(), f.Name, f.Help)
			}
		}
		for _, child := range n.Children {
			walk(child)
		}
	}
	walk(k.Model.Node)
}

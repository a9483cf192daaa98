package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

func packaging(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "packaging", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// composeFile is what we look at of packaging/compose.yaml.
type composeFile struct {
	Services map[string]struct {
		User        string
		ReadOnly    bool     `yaml:"read_only"`
		CapDrop     []string `yaml:"cap_drop"`
		SecurityOpt []string `yaml:"security_opt"`
		Environment map[string]string
		Ports       []string
		Secrets     []string
		Networks    []string
	}
	Networks map[string]struct{ Internal bool }
	Secrets  map[string]struct{ File string }
}

// TestPackagesAreHardened: the container has no root, no way to become it, no file
// system to write to but its own directory, and no secret in its environment.
func TestPackagesAreHardened(t *testing.T) {
	t.Parallel()
	var c composeFile
	if err := yaml.Unmarshal([]byte(packaging(t, "compose.yaml")), &c); err != nil {
		t.Fatal(err)
	}
	s := c.Services["sallyport"]
	if s.User != "65532:65532" || !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) {
		t.Errorf("got user %q, read-only %v, capabilities dropped %v", s.User, s.ReadOnly, s.CapDrop)
	}
	for name, service := range c.Services {
		if !slices.Contains(service.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may get new privileges", name)
		}
		for key, value := range service.Environment {
			if secret := strings.Contains(key, "PASSWORD") || strings.Contains(key, "KEY"); secret && !strings.HasPrefix(value, "/run/secrets/") {
				t.Errorf("%s: %s is in the environment, want a file", name, key)
			}
		}
		for _, port := range service.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s: port %s is open to all", name, port)
			}
		}
		for _, secret := range service.Secrets {
			if c.Secrets[secret].File == "" {
				t.Errorf("%s: the secret %s is no file", name, secret)
			}
		}
	}
	if database := c.Services["database"]; !slices.Equal(database.Networks, []string{"back"}) || !c.Networks["back"].Internal {
		t.Error("the database can be reached from elsewhere than the server")
	}
	users := regexp.MustCompile(`(?m)^USER (.*)$`).FindAllStringSubmatch(packaging(t, "Dockerfile"), -1)
	if len(users) != 1 || users[0][1] != "65532:65532" {
		t.Errorf("got the users %v, want one that is a number and not root", users)
	}
}

// TestPackagesNameWhatExists: environment variables are settings that can be read,
// and commands can be parsed.
func TestPackagesNameWhatExists(t *testing.T) {
	t.Parallel()
	dockerfile, compose, unit := packaging(t, "Dockerfile"), packaging(t, "compose.yaml"), packaging(t, "sallyport.service")
	s := defaultSettings()
	known := []string{"SALLYPORT_CONFIG"}
	for _, f := range s.fields() {
		known = append(known, f.env())
	}
	var given []string
	for _, m := range regexp.MustCompile(`\b(SALLYPORT_[A-Z_]+)(?:=|: )"?([^\s"]+)`).FindAllStringSubmatch(dockerfile+compose+unit, -1) {
		if !slices.Contains(known, m[1]) {
			t.Errorf("%s is no setting", m[1])
		}
		given = append(given, m[1], m[2])
	}
	if len(given) < 6 {
		t.Errorf("found only %v: are the files still read?", given)
	}
	if s, _, err := parseSettings([]byte("issuer: https://id.example.com"), environment(given...)); err != nil || s.check() != nil {
		t.Errorf("got %v %v", err, s.check())
	}

	unwrapped := regexp.MustCompile(`\\\n#\s*`).ReplaceAllString(compose+unit, "")
	var commandLines [][]string
	for _, m := range regexp.MustCompile(`(?m)(?:^ExecStart=\S*/|-- |--rm |sallyport )sallyport ([a-z].*)$`).FindAllStringSubmatch(unwrapped, -1) {
		commandLines = append(commandLines, strings.Fields(strings.ReplaceAll(m[1], "'", "")))
	}
	for _, m := range regexp.MustCompile(`CMD (\[.*\])`).FindAllStringSubmatch(dockerfile, -1) {
		var words []string
		if err := json.Unmarshal([]byte(m[1]), &words); err != nil {
			t.Fatal(err)
		}
		commandLines = append(commandLines, slices.DeleteFunc(words, func(w string) bool { return strings.HasPrefix(w, "/") }))
	}
	if len(commandLines) < 6 {
		t.Errorf("found only %q: are the files still read?", commandLines)
	}
	for _, words := range commandLines {
		parser, err := kong.New(&commands{}, kong.Exit(func(int) { t.Errorf("%q ends in the parser", words) }))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(words); err != nil {
			t.Errorf("%q: %v", words, err)
		}
	}
}

package sallyport_test

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	testName  = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	checkName = regexp.MustCompile(`(?m)^\t\{"(\w+)", \w+\},$`) // of the store's suite
	quoted    = regexp.MustCompile("`([A-Z]\\w+)`")
	isNumber  = regexp.MustCompile(`^ *\d+ *$`)
	link      = regexp.MustCompile(`\]\(([^)#]+)(?:#[^)]*)?\)`)
)

// knownTests are the names of all tests, and of the checks of the store's suite.
func knownTests(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	walkFiles(t, ".go", func(_, text string) {
		for _, m := range append(testName.FindAllStringSubmatch(text, -1), checkName.FindAllStringSubmatch(text, -1)...) {
			known[m[1]] = true
		}
	})
	return known
}

// TestThreatModelNamesTestsThatExist: the table of rules stays true.
func TestThreatModelNamesTestsThatExist(t *testing.T) {
	known := knownTests(t)
	text, err := os.ReadFile("docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) == 5 { // a rule: number, what, tests
			line = cells[3]
		}
		for _, m := range quoted.FindAllStringSubmatch(line, -1) {
			if len(cells) != 5 && !strings.HasPrefix(m[1], "Test") {
				continue
			}
			found++
			if !known[m[1]] {
				t.Errorf("docs/threat-model.md names %s, which is no test", m[1])
			}
		}
	}
	if found < 60 {
		t.Errorf("found %d names of tests, want more: is the page still read?", found)
	}
}

// TestAttacksNameTestsThatExist: each attack is another one, is shown by a test that
// there is, and every test of an attack is on the page.
func TestAttacksNameTestsThatExist(t *testing.T) {
	known := knownTests(t)
	text, err := os.ReadFile("docs/attacks.md")
	if err != nil {
		t.Fatal(err)
	}
	number, attacks, named := 0, map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 7 || !isNumber.MatchString(cells[1]) { // number, has, tries, happens, tests
			continue
		}
		number++
		if strings.TrimSpace(cells[1]) != strconv.Itoa(number) {
			t.Errorf("got the number%s, want %d", cells[1], number)
		}
		attacks[cells[2]+cells[3]] = true
		tests := quoted.FindAllStringSubmatch(cells[5], -1)
		if len(tests) == 0 {
			t.Errorf("no test shows attack %s", cells[1])
		}
		for _, m := range tests {
			named[m[1]] = true
			if !known[m[1]] {
				t.Errorf("docs/attacks.md names %s, which is no test", m[1])
			}
		}
	}
	for name := range known {
		if strings.HasPrefix(name, "TestAttack") && !strings.HasPrefix(name, "TestAttacks") && !named[name] {
			t.Errorf("docs/attacks.md does not name %s", name)
		}
	}
	if len(attacks) != number {
		t.Errorf("%d attacks are %d different ones", number, len(attacks))
	}
	if len(attacks) < 60 || len(named) < 50 {
		t.Errorf("found %d attacks and %d tests, want at least 60 and 50", len(attacks), len(named))
	}
}

// TestDocsLinkToWhatExists: relative links of our pages lead to files.
func TestDocsLinkToWhatExists(t *testing.T) {
	walkFiles(t, ".md", func(name, text string) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], ":") {
				continue
			}
			if _, err := os.Stat(path.Join(path.Dir(name), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", name, m[1])
			}
		}
	})
}

// walkFiles reads every file with the extension, other modules included.
func walkFiles(t *testing.T, ext string, read func(name, text string)) {
	t.Helper()
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ext:
			return nil
		}
		text, err := os.ReadFile(name)
		read(name, string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

package sallyport_test

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

var (
	testName  = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	checkName = regexp.MustCompile(`(?m)^\t\{"(\w+)", \w+\},$`) // of the store's suite
	quoted    = regexp.MustCompile("`([A-Z]\\w+)`")
	link      = regexp.MustCompile(`\]\(([^)#]+)(?:#[^)]*)?\)`)
)

// TestThreatModelNamesTestsThatExist: the table of rules stays true.
func TestThreatModelNamesTestsThatExist(t *testing.T) {
	known := map[string]bool{}
	walkFiles(t, ".go", func(_, text string) {
		for _, m := range append(testName.FindAllStringSubmatch(text, -1), checkName.FindAllStringSubmatch(text, -1)...) {
			known[m[1]] = true
		}
	})
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
		case d.IsDir() && name != "." && strings.HasPrefix(d.Name(), "."):
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

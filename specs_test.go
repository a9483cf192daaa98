package sallyport_test

import (
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// specRow is a row of docs/SPECS.md.
type specRow struct {
	specs, sections, files []string
	status                 string
	of                     string // the package that the table is about: rp or rs; "": the server, and what all share
}

var (
	rfc       = regexp.MustCompile(`RFC \d+`)
	section   = regexp.MustCompile(`§([0-9A-Z]+(?:\.[0-9]+)*)`)
	heading   = regexp.MustCompile("^## .*?(?:package `(\\w+)`)?\n$")
	shortSpec = regexp.MustCompile(`^\d+$`) // "RFC 7515, 7517"
)

// specTable reads the page.
func specTable(t *testing.T) (rows []specRow) {
	t.Helper()
	text, err := os.ReadFile("docs/SPECS.md")
	if err != nil {
		t.Fatal(err)
	}
	var specs []string
	of := ""
	for line := range strings.Lines(string(text)) {
		if m := heading.FindStringSubmatch(line); m != nil {
			of = m[1]
		}
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) < 2 || strings.HasPrefix(line, "| ---") || strings.HasPrefix(line, "| spec") {
			continue
		}
		if len(cells) != 6 {
			t.Errorf("not spec, section, status and where: %s", line)
			continue
		}
		if name := strings.TrimSpace(cells[1]); name != "" {
			specs = nil
			for _, spec := range strings.Split(name, ", ") {
				if shortSpec.MatchString(spec) {
					spec = "RFC " + spec
				}
				specs = append(specs, spec)
			}
		}
		row := specRow{specs: specs, status: strings.TrimSpace(cells[3]), of: of}
		for _, m := range section.FindAllStringSubmatch(cells[2], -1) {
			row.sections = append(row.sections, m[1])
		}
		if where := strings.TrimSpace(cells[4]); where != "" {
			row.files = strings.Split(where, ", ")
		}
		rows = append(rows, row)
	}
	return rows
}

// covers: a row is about its sections and what is below them; of the table of a package,
// for that package alone.
func (r specRow) covers(file, spec, section string) bool {
	return strings.HasPrefix(file, r.of) && slices.Contains(r.specs, spec) && slices.ContainsFunc(r.sections, func(own string) bool {
		return section == own || strings.HasPrefix(section, own+".")
	})
}

// citation is a section that a comment names.
type citation struct{ spec, section string }

// citations are those of the comments of a file: a section is of the specification that
// was named last before it. mentioned are all that are named, with a section or not.
func citations(t *testing.T, name, text string, known *regexp.Regexp) (cited []citation, mentioned []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Comments {
		spec := ""
		for _, word := range known.FindAllString(strings.Join(strings.Fields(group.Text()), " "), -1) {
			switch number, isSection := strings.CutPrefix(word, "§"); {
			case !isSection:
				spec = word
				mentioned = append(mentioned, spec)
			case spec == "":
				t.Errorf("%s: %s of what? %s", name, word, group.Text())
			default:
				cited = append(cited, citation{spec, number})
			}
		}
	}
	return cited, mentioned
}

// TestSpecsAreComplete: every section that the code names is on docs/SPECS.md, and every
// file that the page names is there and names the specification.
func TestSpecsAreComplete(t *testing.T) {
	t.Parallel()
	rows := specTable(t)
	names := []string{rfc.String(), section.String()}
	for _, row := range rows {
		for _, spec := range row.specs {
			if !rfc.MatchString(spec) {
				names = append(names, regexp.QuoteMeta(spec))
			}
		}
	}
	known := regexp.MustCompile(strings.Join(names, "|"))
	mentions := map[string][]string{}
	walkFiles(t, ".go", func(name, text string) {
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "e2e/") || strings.HasPrefix(name, "examples/") {
			return
		}
		cited, mentioned := citations(t, name, text, known)
		mentions[strings.TrimPrefix(name, "internal/")] = mentioned
		for _, c := range cited {
			if !slices.ContainsFunc(rows, func(r specRow) bool { return r.covers(name, c.spec, c.section) }) {
				t.Errorf("%s names %s §%s, of which docs/SPECS.md has no row", name, c.spec, c.section)
			}
		}
	})
	for _, row := range rows {
		if done := !strings.HasPrefix(row.status, "no"); done != (len(row.files) > 0) {
			t.Errorf("%v %v: status %q, and files %v", row.specs, row.sections, row.status, row.files)
		}
		for _, file := range row.files {
			if !slices.ContainsFunc(row.specs, func(spec string) bool { return slices.Contains(mentions[file], spec) }) {
				t.Errorf("%v %v: %s is not there, or does not name it", row.specs, row.sections, file)
			}
		}
	}
}

package sallyport_test

import (
	"path"
	"regexp"
	"strings"
	"testing"
)

var (
	sealedPlace  = regexp.MustCompile(`Place\{Table: "(\w+)", Column: "(\w+)"`)
	sealedColumn = regexp.MustCompile(`(?m)^\t\{"(\w+)", "(\w+)", "[^"]*", "[^"]*"\},$`)
)

// TestWhatIsSealedIsResealed: every place that something is sealed for is one that
// "key reseal" reaches, or is held by an interaction, which ends.
func TestWhatIsSealedIsResealed(t *testing.T) {
	t.Parallel()
	places, reached := map[string]string{}, map[string]bool{"interactions.codes": true}
	walkFiles(t, ".go", func(name, text string) {
		if strings.HasSuffix(name, "_test.go") {
			return
		}
		for _, m := range sealedPlace.FindAllStringSubmatch(text, -1) {
			places[m[1]+"."+m[2]] = name
		}
		if path.Base(name) == "sealed.go" {
			for _, m := range sealedColumn.FindAllStringSubmatch(text, -1) {
				reached[m[1]+"."+m[2]] = true
			}
		}
	})
	for place, name := range places {
		if !reached[place] {
			t.Errorf("%s seals %s, which internal/store/sqlstore/sealed.go does not name", name, place)
		}
	}
	if len(places) < 3 {
		t.Errorf("got the places %v, want those of TOTP secrets, signing keys and recovery codes: is the code still read?", places)
	}
}

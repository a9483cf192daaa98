package issuer

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

const white = " \t\r\n" // RFC 8259 §2

// A walker looks for members that occur twice in a JSON object that is known to be
// well formed. Each token that an API gets passes here, several times: the tokens of
// a json.Decoder were half of what is not cryptography.
type walker struct {
	data []byte
	at   int
}

// value steps over the value that begins here.
func (w *walker) value(depth int) error {
	if depth >= deepestJSON {
		return errors.New("nested too deeply")
	}
	switch w.space() {
	case '{':
		return w.object(depth)
	case '[':
		return w.array(depth)
	case '"':
		w.text()
	default: // a number or a word
		for strings.IndexByte(",]}"+white, w.data[w.at]) < 0 {
			w.at++
		}
	}
	return nil
}

func (w *walker) object(depth int) error {
	var names names
	for w.more('}') {
		if !names.add(w.text()) {
			return errors.New("a member occurs twice")
		}
		w.space()
		w.at++ // the colon
		if err := w.value(depth + 1); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) array(depth int) error {
	for w.more(']') {
		if err := w.value(depth + 1); err != nil {
			return err
		}
	}
	return nil
}

// more steps over a bracket that opens, a comma, or the bracket that ends, and
// reports whether it was not the last.
func (w *walker) more(end byte) bool {
	if w.space() == end {
		w.at++
		return false
	}
	w.at++                // the opening bracket, or a comma
	if w.space() == end { // an empty one: no comma stands before an end
		w.at++
		return false
	}
	return true
}

// space steps over white space and returns what comes then.
func (w *walker) space() byte {
	for strings.IndexByte(white, w.data[w.at]) >= 0 {
		w.at++
	}
	return w.data[w.at]
}

// text steps over a string and returns what it says.
func (w *walker) text() string {
	begin, escaped := w.at, false
	for w.at++; w.data[w.at] != '"'; w.at++ {
		if w.data[w.at] == '\\' {
			escaped = true
			w.at++
		}
	}
	w.at++
	if !escaped {
		return string(w.data[begin+1 : w.at-1])
	}
	var s string
	_ = json.Unmarshal(w.data[begin:w.at], &s) // it is well formed
	return s
}

// names are those of one object, in a list while they are few.
type names struct {
	few  []string
	many map[string]bool
}

const fewNames = 32

// add adds a name, and reports whether it was new.
func (n *names) add(name string) bool {
	if n.many == nil && len(n.few) < fewNames {
		if slices.Contains(n.few, name) {
			return false
		}
		n.few = append(n.few, name)
		return true
	}
	if n.many == nil {
		n.many = map[string]bool{}
		for _, f := range n.few {
			n.many[f] = true
		}
	}
	if n.many[name] {
		return false
	}
	n.many[name] = true
	return true
}

package issuer

import (
	"fmt"
	"testing"
)

// objects are texts, and whether they are one good object.
var objects = map[string]bool{
	`{}`:                          true,
	`{"sub":"a","SUB":"b"}`:       true, // two names
	`{"a":[{"b":1},{"b":2}]}`:     true,
	`{"sub":"a","sub":"b"}`:       false,
	`{"sub":"a","\u0073ub":"b"}`:  false, // the same name
	`{"a":{"b":1,"b":2}}`:         false,
	`{"a":[{"b":1,"b":2}]}`:       false,
	`{"a":1}{"a":2}`:              false,
	`{"a":1} x`:                   false,
	`{"a":1`:                      false,
	`{"a":1]`:                     false,
	`[]`:                          false,
	`"a"`:                         false,
	`null`:                        false,
	``:                            false,
	"{\"a\":\"\xff\"}":            false,
	`{"a":` + nested(40) + `}`:    false,
	`{"a":` + nested(20) + `}`:    true,
	`{"a":` + nested(31) + `}`:    true,
	`{"a":` + nested(32) + `}`:    false,
	`{` + members(33) + `"z":1}`:  true, // more than are in a list
	`{` + members(33) + `"3":1}`:  false,
	`{` + members(33) + `"32":1}`: false,
}

func TestParseObjectIsStrict(t *testing.T) {
	t.Parallel()
	for text, want := range objects {
		if _, err := ParseObject([]byte(text)); (err == nil) != want {
			t.Errorf("%s: got %v, want accepted = %t", text, err, want)
		}
	}
}

// members are so many members by the names of numbers, and a comma.
func members(n int) (text string) {
	for i := range n {
		text += fmt.Sprintf("%q:1,", fmt.Sprint(i))
	}
	return text
}

func nested(depth int) string {
	var open, end string
	for range depth {
		open, end = open+"[", end+"]"
	}
	return open + end
}

func TestObjectHasExactNames(t *testing.T) {
	t.Parallel()
	object, err := ParseObject([]byte(`{"SUB":"a","email":null,"n":1}`))
	if err != nil {
		t.Fatal(err)
	}
	var s string
	for name, wantError := range map[string]bool{"sub": false, "email": false, "n": true} {
		if ok, err := object.Decode(name, &s); ok || (err != nil) != wantError {
			t.Errorf("%s: got %t, %v", name, ok, err)
		}
	}
}

package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// longestText is of rules in the database, in bytes.
const longestText = 256 << 10

// Format is rules as the database keeps them; they must pass Check.
func Format(rules []Rule) (string, error) {
	if err := Check(rules); err != nil {
		return "", err
	}
	if rules == nil {
		rules = []Rule{}
	}
	text, err := json.Marshal(rules)
	if err != nil {
		return "", fmt.Errorf("marshal rules: %w", err)
	}
	if len(text) > longestText {
		return "", fmt.Errorf("the rules are longer than %d bytes", longestText)
	}
	return string(text), nil
}

// Parse reads what Format wrote; "" has no rules. What it does not know, as a newer
// release may have written it, is an error: nobody can say what was meant to be asked.
func Parse(text string) ([]Rule, error) {
	if text == "" {
		return nil, nil
	}
	var rules []Rule
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&rules); err != nil {
		return nil, fmt.Errorf("parse rules: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("parse rules: something follows them")
	}
	return rules, Check(rules)
}

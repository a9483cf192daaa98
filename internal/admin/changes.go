package admin

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
)

// changes are the fields of a client that are others now, for the audit log: by the names
// that they are kept under, so that none is forgotten. What a secret is checked by is left
// out.
func changes(old, c *oidc.Client) string {
	before, after := fields(old), fields(c)
	var list []string
	all := maps.Clone(before)
	maps.Copy(all, after)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if name != "secret_hashes" && name != "sealed_secrets" && !bytes.Equal(before[name], after[name]) {
			list = append(list, name+": "+fieldText(name, before[name])+" → "+fieldText(name, after[name]))
		}
	}
	return strings.Join(list, "; ")
}

func fields(c *oidc.Client) map[string]json.RawMessage {
	text, _ := json.Marshal(c) // a registration: cannot fail
	named := map[string]json.RawMessage{}
	_ = json.Unmarshal(text, &named)
	return named
}

// fieldText is a field as a person would write it.
func fieldText(name string, value json.RawMessage) string {
	var text string
	var words []string
	var d time.Duration
	switch {
	case value == nil:
		return "none"
	case json.Unmarshal(value, &text) == nil:
		return text
	case json.Unmarshal(value, &words) == nil:
		return strings.Join(words, " ")
	case slices.Contains([]string{"access_token_ttl", "refresh_token_ttl", "refresh_token_idle", "default_max_age"}, name) && json.Unmarshal(value, &d) == nil:
		return d.String()
	}
	return string(value)
}

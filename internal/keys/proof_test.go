package keys_test

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// TestProof: of this key, for this purpose, for a minute.
func TestProof(t *testing.T) {
	t.Parallel()
	own, other := sealer(t, bytes.Repeat([]byte{1}, 32)), sealer(t, bytes.Repeat([]byte{2}, 32))
	now := time.Unix(1_800_000_000, 0)
	good := own.Proof("doctor", now)
	for _, c := range []struct {
		name, proof, purpose string
		now                  time.Time
		want                 bool
	}{
		{"good", good, "doctor", now, true},
		{"a minute later", good, "doctor", now.Add(time.Minute), true},
		{"a minute earlier", good, "doctor", now.Add(-time.Minute), true},
		{"old", good, "doctor", now.Add(61 * time.Second), false},
		{"of the future", good, "doctor", now.Add(-61 * time.Second), false},
		{"for another purpose", good, "csrf", now, false},
		{"of another key", other.Proof("doctor", now), "doctor", now, false},
		{"of another time", strings.Replace(good, "1800000000", "1800000001", 1), "doctor", now, false},
		{"without its end", good[:len(good)-1], "doctor", now, false},
		{"nothing", "", "doctor", now, false},
		{"a time alone", "1800000000", "doctor", now, false},
		{"no time", "x" + good, "doctor", now, false},
		{"the end of time", "-9223372036854775808.AAAA", "doctor", now, false},
	} {
		if got := own.ProofIs(c.proof, c.purpose, c.now); got != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
}

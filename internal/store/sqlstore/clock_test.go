package sqlstore

import (
	"testing"
	"time"
)

// TestClock: the database says what time it is, in time's own unit.
func TestClock(t *testing.T) {
	t.Parallel()
	for name, config := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := openStore(t, config(t)).Clock(t.Context())
			if off := time.Since(got); err != nil || off < -time.Hour || off > time.Hour {
				t.Errorf("got %v, %v; want now, %v", got, err, time.Now())
			}
		})
	}
}

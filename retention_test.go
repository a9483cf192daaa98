package sallyport_test

import (
	"testing"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/store"
)

// TestAuditKeep: an event stays as long as the configuration says, 400 days if it
// says nothing.
func TestAuditKeep(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		keep time.Duration
		want int // of the events that are 1, 399, 401 and 5000 days old
	}{
		"nothing said": {0, 2}, "two days": {2 * day, 1}, "for ever": {sallyport.AuditKeepAll, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(config *sallyport.Config) { config.AuditKeep = c.keep })
			now := r.clock.Now()
			for _, days := range []int{1, 399, 401, 5000} {
				e := store.Event{At: now.Add(-time.Duration(days) * day), Type: store.EventSessionEnded, Detail: "old"}
				if err := r.Store().Record(t.Context(), e); err != nil {
					t.Fatal(err)
				}
			}
			r.SweepNow(t.Context())
			events, err := r.Store().Events(t.Context(), store.EventQuery{Type: store.EventSessionEnded, Limit: 10})
			if err != nil || len(events) != c.want {
				t.Errorf("got %d events %v, want %d", len(events), err, c.want)
			}
		})
	}
}

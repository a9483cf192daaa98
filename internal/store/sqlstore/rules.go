package sqlstore

import (
	"context"
	"errors"

	"github.com/sallyport-id/sallyport/internal/store"
)

// Rules implements store.Rules.
func (s *Store) Rules(ctx context.Context) (text string, version int64, err error) {
	err = s.row(ctx, `SELECT rules, version FROM policy_rules WHERE id = 1`, nil, &text, &version)
	if errors.Is(err, store.ErrNotFound) {
		return "", 0, nil
	}
	return text, version, err
}

// SetRules implements store.Rules. The first row decides between those who make it at
// once, and its version between those who change it.
func (s *Store) SetRules(ctx context.Context, text string, version int64, events ...store.Event) error {
	set := must(store.ErrStale, `UPDATE policy_rules SET rules = $1, version = version + 1 WHERE id = 1 AND version = $2`, text, version)
	if version == 0 {
		set = must(store.ErrStale, `INSERT INTO policy_rules (id, version, rules) VALUES (1, 1, $1) ON CONFLICT DO NOTHING`, text)
	}
	return s.update(ctx, set, record(events))
}

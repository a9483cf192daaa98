package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/policy"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

// The places that rules are from.
const (
	fromConfiguration = "configuration"
	fromDatabase      = "database"
)

// inForce are the rules that apply.
type inForce struct {
	Source  string        `json:"source"`
	Version int64         `json:"version,omitempty"` // of the database's; 0 before any were set
	Rules   []policy.Rule `json:"-"`
	Written any           `json:"rules"` // in the words of a file
}

// rulesInForce are the configuration's or, if it has none, the database's.
func (s settings) rulesInForce(ctx context.Context, db store.Rules) (r inForce, err error) {
	r = inForce{Source: fromConfiguration, Rules: s.Policy.policy()}
	if s.Policy == nil {
		var text string
		r.Source = fromDatabase
		if text, r.Version, err = db.Rules(ctx); err != nil {
			return r, err
		}
		if r.Rules, err = policy.Parse(text); err != nil {
			return r, fmt.Errorf("version %d of the rules in the database is none that this release understands; the one that wrote it does: %w", r.Version, err)
		}
	}
	r.Written, err = written(r.Rules).plain()
	return r, err
}

func (r inForce) String() string {
	switch {
	case r.Source == fromConfiguration:
		return "the configuration's, which apply before those of the database"
	case r.Version == 0:
		return "the database's, where none were set yet"
	}
	return fmt.Sprintf("the database's, version %d", r.Version)
}

type policyShowCmd struct {
	configFlag
	outputFlag
}

// Run prints the rules that apply, as a file that policy set takes.
func (c *policyShowCmd) Run() error {
	s, _, err := c.load()
	if err != nil {
		return err
	}
	return c.operate(func(ctx context.Context, db *sqlstore.Store, _ *admin.Admin) error {
		r, err := s.rulesInForce(ctx, db)
		if err != nil {
			return err
		}
		return c.print(os.Stdout, r, func(w io.Writer) error {
			text, err := yaml.Marshal(written(r.Rules))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(w, "# %s\n%s", r, text)
			return err
		})
	})
}

type policyCheckCmd struct {
	configFlag
	outputFlag
	File string `arg:"" help:"A list of rules as YAML, or - for standard input."`
}

// Run says what would change, and changes nothing.
func (c *policyCheckCmd) Run() error {
	s, _, err := c.load()
	if err != nil {
		return err
	}
	rules, err := s.readRules(c.File)
	if err != nil {
		return err
	}
	if err := s.checkHardwareBound(rules); err != nil {
		return err
	}
	return c.operate(func(ctx context.Context, db *sqlstore.Store, _ *admin.Admin) error {
		r, err := s.rulesInForce(ctx, db)
		if err != nil {
			return err
		}
		changes := compare(r.Rules, rules)
		return c.print(os.Stdout, changes, func(w io.Writer) error {
			if _, err := fmt.Fprintf(w, "the rules that apply are %s\n", r); err != nil {
				return err
			}
			return changes.print(w)
		})
	})
}

type policySetCmd struct {
	configFlag
	outputFlag
	File  string `arg:"" optional:"" help:"A list of rules as YAML, or - for standard input."`
	Clear bool   `help:"No rules: two factors are required of everyone."`
	Over  int64  `default:"-1" placeholder:"VERSION" help:"Only if these, which \"policy show\" names, are still the ones."`
}

// Run replaces the rules in the database, all at once.
func (c *policySetCmd) Run() error {
	if c.Clear == (c.File != "") {
		return errors.New("name a file of rules, or say --clear")
	}
	s, origins, err := c.load()
	if err != nil {
		return err
	}
	if s.Policy != nil {
		return fmt.Errorf("the rules are the configuration's (%s), and those of the database do not apply before policy is taken out of it", origins["policy"])
	}
	rules := []policy.Rule{}
	if !c.Clear {
		if rules, err = s.readRules(c.File); err != nil {
			return err
		}
		if err := s.checkHardwareBound(rules); err != nil {
			return err
		}
	}
	return c.operate(func(ctx context.Context, db *sqlstore.Store, a *admin.Admin) error {
		return c.set(ctx, s, db, a, rules)
	})
}

func (c *policySetCmd) set(ctx context.Context, s settings, db *sqlstore.Store, a *admin.Admin, rules []policy.Rule) error {
	r, err := s.rulesInForce(ctx, db)
	if err != nil {
		return err
	}
	changes := compare(r.Rules, rules)
	changes.Version = r.Version
	if c.Over >= 0 && c.Over != r.Version {
		err = store.ErrStale
	} else if changes.any() {
		changes.Version, err = a.SetRules(ctx, rules, r.Version)
	}
	if errors.Is(err, store.ErrStale) {
		return errors.New("somebody else has changed the rules: \"sallyport policy show\" has them, and nothing was set")
	}
	if err != nil {
		return err
	}
	return c.print(os.Stdout, changes, func(w io.Writer) error {
		if err := changes.print(w); err != nil || !changes.any() {
			return err
		}
		_, err := fmt.Fprintf(w, "version %d is set, and applies within a second\n", changes.Version)
		return err
	})
}

// changed is what replacing some rules by others does.
type changed struct {
	Version int64    `json:"version,omitempty"` // what is in the database then, where it is set
	Added   []string `json:"added,omitempty"`
	Removed []string `json:"removed,omitempty"`
	Changed []string `json:"changed,omitempty"`
	Order   bool     `json:"order,omitempty"` // those that stay are tried in another one
}

// compare goes by names; of rules without one by numbers.
func compare(before, after []policy.Rule) (c changed) {
	places := map[string][]int{} // of those before that have no counterpart yet
	for i := range before {
		places[labelOf(before, i)] = append(places[labelOf(before, i)], i)
	}
	var stay []int
	for i := range after {
		name := labelOf(after, i)
		if len(places[name]) == 0 {
			c.Added = append(c.Added, name)
			continue
		}
		was := places[name][0]
		places[name], stay = places[name][1:], append(stay, was)
		if written(before[was:was+1]).String() != written(after[i:i+1]).String() {
			c.Changed = append(c.Changed, name)
		}
	}
	for i := range before {
		if slices.Contains(places[labelOf(before, i)], i) {
			c.Removed = append(c.Removed, labelOf(before, i))
		}
	}
	c.Order = !slices.IsSorted(stay)
	return c
}

func labelOf(rules []policy.Rule, i int) string { return cmp.Or(rules[i].Name, strconv.Itoa(i+1)) }

func (c changed) any() bool { return len(c.Added)+len(c.Removed)+len(c.Changed) > 0 || c.Order }

func (c changed) print(w io.Writer) error {
	var lines []string
	for _, part := range []struct {
		what  string
		names []string
	}{{"added", c.Added}, {"removed", c.Removed}, {"changed", c.Changed}} {
		for _, name := range part.names {
			lines = append(lines, fmt.Sprintf("rule %s: %s", name, part.what))
		}
	}
	if c.Order {
		lines = append(lines, "the rules that stay are tried in another order")
	}
	if len(lines) == 0 {
		lines = []string{"nothing changes"}
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

package flow_test

import (
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/store"
)

// TestMailedCodeIsGood: for its purpose, its user, its time and five guesses.
func TestMailedCodeIsGood(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*store.MailCode)
		good   bool
	}{
		"as it was asked for": {func(*store.MailCode) {}, true},
		"after four guesses":  {func(c *store.MailCode) { c.Guesses = 4 }, true},
		"after five":          {func(c *store.MailCode) { c.Guesses = 5 }, false},
		"at its end":          {func(c *store.MailCode) { c.ExpiresAt = noon }, false},
		"something else":      {func(c *store.MailCode) { c.For = store.MailCodeEnroll }, false},
		"somebody else":       {func(c *store.MailCode) { c.UserID = "v" }, false},
		"nobody yet":          {func(c *store.MailCode) { c.UserID = "" }, false},
		"void":                {func(c *store.MailCode) { *c = *c.Void() }, false},
	} {
		code := &store.MailCode{ID: "m", For: store.MailCodeProof, UserID: "u", Address: mailbox, SentAt: noon.Add(-time.Minute), ExpiresAt: noon.Add(time.Minute), Mails: 1}
		c.change(code)
		v := &flow.Visit{State: flow.State{Now: noon, User: &store.User{ID: "u", Email: mailbox}, Progress: store.Progress{MailCode: code}}}
		if got := v.CodeSent(store.MailCodeProof) != nil; got != c.good {
			t.Errorf("%s: good is %v, want %v", name, got, c.good)
		}
	}
}

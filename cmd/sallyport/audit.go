package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

type auditCommands struct {
	List   auditListCmd   `cmd:"" help:"List what happened, the newest first."`
	Export auditExportCmd `cmd:"" help:"Write what happened as JSON, one event a line, the oldest first."`
}

// spanFlags bound a time.
type spanFlags struct {
	Since moment `placeholder:"TIME" help:"Not before: 2026-11-28, 2026-11-28T09:30:00Z, or a time ago like 90m, 24h or 7d. A day begins in UTC."`
	Until moment `placeholder:"TIME" help:"Before, likewise."`
}

// moment is a time as an operator says it.
type moment struct{ time.Time }

var errMoment = errors.New("want a day like 2026-11-28, a time like 2026-11-28T09:30:00Z, or a time ago like 90m, 24h or 7d")

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *moment) UnmarshalText(text []byte) (err error) {
	m.Time, err = parseMoment(string(text), time.Now())
	return err
}

func parseMoment(text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	const day = 24 * time.Hour
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := time.ParseDuration(days + "h"); err == nil && n >= 0 && n < 100*365*time.Hour {
			return now.Add(-n * (day / time.Hour)).UTC(), nil
		}
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago).UTC(), nil
	}
	return time.Time{}, errMoment
}

func (f spanFlags) query() (store.EventQuery, error) {
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until.Time) {
		return store.EventQuery{}, errors.New("--since must be before --until")
	}
	return store.EventQuery{Since: f.Since.Time, Until: f.Until.Time}, nil
}

// eventView is an event as programs read it.
type eventView struct {
	ID          int64     `json:"id"`
	At          time.Time `json:"at"`
	Type        string    `json:"type"`
	UserID      string    `json:"sub,omitempty"`
	Login       string    `json:"login,omitempty"` // "audit list" alone
	ClientID    string    `json:"client_id,omitempty"`
	Session     string    `json:"session,omitempty"`
	Interaction string    `json:"interaction,omitempty"`
	Address     string    `json:"address,omitempty"`
	RequestID   string    `json:"request_id,omitempty"`
	Actor       string    `json:"actor,omitempty"`
	Detail      string    `json:"detail,omitempty"`
}

func shownEvent(e store.Event) eventView {
	return eventView{
		ID: e.ID, At: e.At, Type: e.Type, UserID: e.UserID, ClientID: e.ClientID, Session: e.Session, Interaction: e.Interaction,
		Address: e.Address, RequestID: e.RequestID, Actor: e.Actor, Detail: e.Detail,
	}
}

// look opens the installation's database to read only, and does something with it.
func (c configFlag) look(do func(ctx context.Context, db *sqlstore.Store) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, _, err := c.load()
	if err != nil {
		return err
	}
	database, err := s.databaseAt()
	if err != nil {
		return err
	}
	if err := checkInstalled(ctx, database); err != nil {
		return err
	}
	db, err := sqlstore.OpenToRead(ctx, sqlstore.At(database))
	if err != nil {
		return err
	}
	return errors.Join(plainStore(do(ctx, db)), db.Close())
}

type auditListCmd struct {
	configFlag
	outputFlag
	spanFlags
	User   string `placeholder:"LOGIN" help:"Of one user: the login, or the subject of one who is there no more."`
	Client string `placeholder:"ID" help:"Of one application: its client_id."`
	Type   string `help:"Of one type, e.g. login.totp, or of a family of types, e.g. login."`
	Limit  int    `default:"50" help:"At most so many."`
}

// Run lists the events.
func (c *auditListCmd) Run() error {
	q, err := c.query()
	if err != nil {
		return err
	}
	return c.look(func(ctx context.Context, db *sqlstore.Store) error {
		if q.UserID, err = findSubject(ctx, db, c.User); err != nil {
			return err
		}
		events, err := db.Events(ctx, q)
		if err != nil {
			return err
		}
		list, err := withLogins(ctx, db, events)
		if err != nil {
			return err
		}
		return c.print(os.Stdout, list, func(w io.Writer) error { return printEvents(w, list) })
	})
}

func (c *auditListCmd) query() (store.EventQuery, error) {
	q, err := c.spanFlags.query()
	if err != nil {
		return q, err
	}
	if c.Limit < 1 || c.Limit > 10_000 {
		return q, errors.New("--limit must be 1 to 10000: \"sallyport audit export\" writes all")
	}
	known := slices.ContainsFunc(store.EventTypes(), func(t string) bool { return t == c.Type || strings.HasPrefix(t, c.Type+".") })
	if c.Type != "" && !known {
		return q, fmt.Errorf("--type %s: there is none such; the types are %s", c.Type, strings.Join(store.EventTypes(), ", "))
	}
	q.ClientID, q.Type, q.Limit = c.Client, c.Type, c.Limit
	return q, nil
}

// findSubject returns the id of a user by login. Of one who was removed only the id
// is left.
func findSubject(ctx context.Context, db *sqlstore.Store, login string) (string, error) {
	if login == "" {
		return "", nil
	}
	if key, err := authn.LoginKey(login); err == nil {
		u, err := db.UserByLogin(ctx, key)
		if err == nil {
			return u.ID, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return "", err
		}
	}
	events, err := db.Events(ctx, store.EventQuery{UserID: login, Limit: 1})
	if err == nil && len(events) == 0 {
		err = fmt.Errorf("user %q: %w", login, store.ErrNotFound)
	}
	return login, err
}

// withLogins looks each user up once.
func withLogins(ctx context.Context, db *sqlstore.Store, events []store.Event) ([]eventView, error) {
	list, logins := []eventView{}, map[string]string{"": ""}
	for _, e := range events {
		if _, ok := logins[e.UserID]; !ok {
			u, err := db.User(ctx, e.UserID)
			switch {
			case err == nil:
				logins[e.UserID] = u.Login
			case errors.Is(err, store.ErrNotFound):
				logins[e.UserID] = "" // removed
			default:
				return nil, err
			}
		}
		v := shownEvent(e)
		v.Login = logins[e.UserID]
		list = append(list, v)
	}
	return list, nil
}

func printEvents(w io.Writer, list []eventView) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TIME\tTYPE\tUSER\tCLIENT\tADDRESS\tBY\tDETAIL")
	for _, e := range list {
		user := e.Login
		if user == "" {
			user = e.UserID
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.At.Format("2006-01-02T15:04:05.000Z"), e.Type,
			cell(user), cell(e.ClientID), cell(e.Address), cell(e.Actor), cell(e.Detail))
	}
	return t.Flush()
}

// cell is a value that cannot move the cursor of a terminal or the columns of a
// table; "-" for none.
func cell(s string) string {
	if s == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

type auditExportCmd struct {
	configFlag
	spanFlags
}

// Run writes the events.
func (c *auditExportCmd) Run() error {
	q, err := c.query()
	if err != nil {
		return err
	}
	return c.look(func(ctx context.Context, db *sqlstore.Store) error { return exportEvents(ctx, db, q, os.Stdout) })
}

// exportPage is how many events are in memory at once.
const exportPage = 1000

// exportEvents writes page by page. What happens meanwhile is left to the next one.
func exportEvents(ctx context.Context, db store.Audit, q store.EventQuery, to io.Writer) error {
	if q.Until.IsZero() {
		q.Until = time.Now()
	}
	q.OldestFirst, q.Limit = true, exportPage
	w := bufio.NewWriterSize(to, 64<<10)
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	for {
		events, err := db.Events(ctx, q)
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := lines.Encode(shownEvent(e)); err != nil {
				return fmt.Errorf("write: %w", err)
			}
			q.After = e
		}
		if len(events) < exportPage {
			return w.Flush()
		}
	}
}

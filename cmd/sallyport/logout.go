package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"text/tabwriter"
	"time"

	"github.com/sallyport-id/sallyport/internal/admin"
	outbound "github.com/sallyport-id/sallyport/internal/fetch"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/logout"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

type testLogoutCmd struct {
	configFlag
	outputFlag
	ID   string `arg:"" help:"The client_id."`
	User string `placeholder:"LOGIN" help:"Name this user: where the application goes by people, it signs them out."`
	SID  string `name:"sid" placeholder:"SID" help:"Name this session, as an ID token of the application's does."`
}

// logoutTest is how it went, for programs.
type logoutTest struct {
	URI    string `json:"backchannel_logout_uri"`
	Status int    `json:"status,omitempty"`
	Millis int64  `json:"milliseconds"`
	Means  string `json:"means"`
}

// Run sends a logout token past the queue. No session ends here.
func (c *testLogoutCmd) Run() error {
	s, _, err := c.load()
	if err != nil {
		return err
	}
	sealer, err := openKeyFile(s.KeyFile)
	if err != nil {
		return err
	}
	return c.operate(func(ctx context.Context, db *sqlstore.Store, _ *admin.Admin) error {
		client, err := db.Client(ctx, c.ID)
		if err != nil {
			return fmt.Errorf("client %q: %w", c.ID, err)
		}
		if client.BackchannelLogoutURI == "" {
			return fmt.Errorf("client %q has no backchannel_logout_uri: \"sallyport client set --backchannel-logout-uri\" gives it one", c.ID)
		}
		user, sid := store.NewID(), store.NewID() // nobody's
		if c.User != "" {
			if user, err = findSubject(ctx, db, c.User); err != nil {
				return err
			}
		}
		if c.SID != "" {
			sid = c.SID
		}
		keeper := &keys.Keeper{Store: db, Sealer: sealer, Now: time.Now}
		if err := keeper.Refresh(ctx); err != nil {
			return err
		}
		subjects, err := keys.OpenSubjects(ctx, db, sealer)
		if err != nil {
			return err
		}
		requests := outbound.New(outbound.Config{Allow: s.OutboundAllow})
		defer requests.Close()
		sender := &logout.Sender{Keys: &keeper.Ring, Issuer: s.Issuer, Poster: requests, Now: time.Now}
		test, began := logoutTest{URI: client.BackchannelLogoutURI}, time.Now()
		test.Status, err = sender.Send(ctx, client, subjects.Of(client, user), sid)
		test.Millis, test.Means = time.Since(began).Milliseconds(), meaning(test.Status, err)
		if err := c.print(os.Stdout, test, test.print); err != nil {
			return err
		}
		if err != nil || !logout.Took(test.Status) {
			return errors.New("the application did not take it")
		}
		return nil
	})
}

// meaning is what an answer says, and what to look at.
func meaning(status int, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case logout.Took(status):
		return "the application has taken it; whether it ended anything, it does not say"
	case status == http.StatusBadRequest:
		return "the application refuses the token: does it have this issuer, this client_id, and our keys of today? Or it refuses a session that it does not know"
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return "something before the handler wants a login or a token against cross-site requests: nothing of that comes with the request"
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		return "there is no handler at that path"
	}
	return "the application, or what is before it, is in trouble; a real message would be sent again"
}

func (t logoutTest) print(w io.Writer) error {
	status := "none"
	if t.Status != 0 {
		status = fmt.Sprintf("%d %s", t.Status, http.StatusText(t.Status))
	}
	return printLines(w, []line{{"sent_to", t.URI}, {"answer", status}, {"time", fmt.Sprintf("%d ms", t.Millis)}, {"means", t.Means}})
}

type logoutsCmd struct {
	configFlag
	outputFlag
	ID    string `arg:"" optional:"" help:"The client_id; without one, of all applications."`
	Limit int    `default:"100" help:"At most so many."`
}

// logoutView is a message as programs read it.
type logoutView struct {
	ID       string    `json:"id"`
	ClientID string    `json:"client_id"`
	UserID   string    `json:"sub"`
	SID      string    `json:"sid"`
	At       time.Time `json:"at"`
	Attempts int       `json:"attempts"`
	DueAt    time.Time `json:"due_at"`
	Error    string    `json:"error,omitempty"`
}

// Run lists them, the oldest first.
func (c *logoutsCmd) Run() error {
	if c.Limit < 1 || c.Limit > store.MostLogouts {
		return fmt.Errorf("--limit must be 1 to %d", store.MostLogouts)
	}
	return c.look(func(ctx context.Context, db *sqlstore.Store) error {
		waiting, err := db.Logouts(ctx, c.ID, c.Limit)
		if err != nil {
			return err
		}
		list := make([]logoutView, len(waiting))
		for i, m := range waiting {
			list[i] = logoutView(m)
		}
		return c.print(os.Stdout, list, func(w io.Writer) error { return printLogouts(w, list) })
	})
}

func printLogouts(w io.Writer, list []logoutView) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TIME\tCLIENT\tUSER\tATTEMPTS\tNEXT\tLAST ERROR")
	for _, m := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\n", m.At.Format(time.RFC3339), m.ClientID, m.UserID, m.Attempts, m.DueAt.Format(time.RFC3339), cell(m.Error))
	}
	return t.Flush()
}

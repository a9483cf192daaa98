package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/mail"
	"github.com/sallyport-id/sallyport/internal/policy"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

type mailCommands struct {
	Test mailTestCmd `cmd:"" help:"Send a mail, now, and say how it went."`
	List mailListCmd `cmd:"" help:"List the mails that wait or were given up."`
}

// smtp is the server that takes mail, nil if none is configured.
func (s *settings) smtp() (*sallyport.SMTP, error) {
	if s.SMTPHost == "" {
		return nil, nil
	}
	c := &sallyport.SMTP{Host: s.SMTPHost, Port: s.SMTPPort, User: s.SMTPUser, From: s.SMTPFrom, TLS: mail.TLS(s.SMTPTLS), Hello: s.SMTPHello}
	if s.SMTPPasswordFile == "" {
		return c, nil
	}
	var err error
	if c.Password, err = readSecretFile(s.SMTPPasswordFile); err != nil {
		return nil, fmt.Errorf("smtp_password_file: %w", err)
	}
	return c, nil
}

// checkMail does not read the password, which a check of the file need not have.
func (s *settings) checkMail() error {
	if s.SMTPHost == "" {
		if s.SMTPUser != "" || s.SMTPPasswordFile != "" || s.SMTPFrom != "" {
			return errors.New("smtp_host is missing: the other keys of smtp_ are of no use without it")
		}
		return nil
	}
	if (s.SMTPUser == "") != (s.SMTPPasswordFile == "") {
		return errors.New("smtp_user and smtp_password_file go together")
	}
	c := &sallyport.SMTP{Host: s.SMTPHost, Port: s.SMTPPort, From: s.SMTPFrom, TLS: mail.TLS(s.SMTPTLS)}
	return c.Check()
}

// checkEmailCodes: mail that resets the password is no second factor beside it.
func (s *settings) checkEmailCodes() error {
	rule := policy.NamesMailCodes(s.Policy.policy())
	switch {
	case s.EmailCodes && s.SMTPHost == "":
		return errors.New("email_codes needs smtp_host")
	case s.EmailCodes && s.PasswordResetByMail:
		return errors.New("email_codes needs password_reset_by_mail to be false: whoever reads somebody's mail would have both factors")
	case !s.EmailCodes && rule != "":
		return fmt.Errorf("policy: rule %s has the method email, which needs email_codes", rule)
	}
	return nil
}

// errNoMail: there is no server for it.
var errNoMail = errors.New("no mail is sent: the configuration has no smtp_host")

type mailTestCmd struct {
	configFlag
	Address string `arg:"" help:"Whom to send it to."`
}

// Run sends one mail past the outbox.
func (c *mailTestCmd) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, _, err := c.load()
	if err != nil {
		return err
	}
	server, err := s.smtp()
	if err != nil {
		return err
	}
	if server == nil {
		return errNoMail
	}
	err = server.Send(ctx, mail.Message{
		To: c.Address, Subject: "A test of " + issuerHost(s.Issuer), Text: "This mail was sent by \"sallyport mail test\" for " + s.Issuer + ".\n",
	})
	if err != nil {
		return fmt.Errorf("%s did not take it: %w", server.Address(), err)
	}
	_, err = fmt.Printf("%s has taken it. Whether it arrives is up to the servers behind it.\n", server.Address())
	return err
}

type mailListCmd struct {
	configFlag
	outputFlag
	Limit int `default:"100" help:"At most so many."`
}

// mailView is a mail as programs read it: neither its text nor a link is kept.
type mailView struct {
	ID       string    `json:"id"`
	At       time.Time `json:"at"`
	Kind     string    `json:"kind"`
	UserID   string    `json:"sub,omitempty"`
	State    string    `json:"state"`
	Attempts int       `json:"attempts"`
	DueAt    time.Time `json:"due_at,omitzero"`
	Error    string    `json:"error,omitempty"`
}

func shownMail(m store.Mail) mailView {
	v := mailView{ID: m.ID, At: m.At, Kind: string(m.Kind), UserID: m.UserID, State: "pending", Attempts: m.Attempts, DueAt: m.DueAt, Error: m.Error}
	if m.Dead {
		v.State = "dead"
	}
	return v
}

// Run lists them, the oldest first.
func (c *mailListCmd) Run() error {
	if c.Limit < 1 || c.Limit > store.MostMails {
		return fmt.Errorf("--limit must be 1 to %d", store.MostMails)
	}
	return c.look(func(ctx context.Context, db *sqlstore.Store) error {
		mails, err := db.Mails(ctx, c.Limit)
		if err != nil {
			return err
		}
		list := make([]mailView, len(mails))
		for i, m := range mails {
			list[i] = shownMail(m)
		}
		return c.print(os.Stdout, list, func(w io.Writer) error { return printMails(w, list) })
	})
}

func printMails(w io.Writer, list []mailView) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TIME\tKIND\tUSER\tSTATE\tATTEMPTS\tLAST ERROR")
	for _, m := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\n", m.At.Format(time.RFC3339), m.Kind, cell(m.UserID), m.State, m.Attempts, cell(m.Error))
	}
	return t.Flush()
}

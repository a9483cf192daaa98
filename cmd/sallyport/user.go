package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

type userCommands struct {
	Add     userAddCmd     `cmd:"" help:"Register somebody, and print a link with which one chooses a password and sets up a second factor."`
	Invite  userInviteCmd  `cmd:"" help:"Print a new link for one who has not set up the account; older ones work no more."`
	Reset   userResetCmd   `cmd:"" help:"End what was issued to one, take password and second factor, and print a link to set them up again."`
	Set     userSetCmd     `cmd:"" help:"Change what applications are told of one."`
	Bypass  userBypassCmd  `cmd:"" help:"Print a code for one who has lost the second factor: with the password it lets one set up another, once."`
	Devices userDevicesCmd `cmd:"" help:"List the browsers that one trusts, or end the trust."`
	List    userListCmd    `cmd:"" help:"List everybody."`
	Show    userShowCmd    `cmd:"" help:"Show one."`
	Find    userFindCmd    `cmd:"" help:"Say whom an application means by a sub."`
	Groups  userGroupsCmd  `cmd:"" help:"Put one into groups, which rules of the policy know."`
	Grace   userGraceCmd   `cmd:"" help:"Move the end of the time in which one may put a second factor off."`
	Unlock  userUnlockCmd  `cmd:"" help:"Forget the wrong passwords and codes of one, so that the right ones count again at once."`
	Disable userDisableCmd `cmd:"" help:"Let one sign in no more, and end what was issued."`
	Enable  userEnableCmd  `cmd:"" help:"Take that back; what ended stays ended."`
	Remove  userRemoveCmd  `cmd:"" help:"Forget one. The login is never given to another."`
}

type userAddCmd struct {
	configFlag
	outputFlag
	Login         string `arg:"" help:"What one signs in with; letters and digits of one script."`
	Name          string `help:"What is shown of one, and told to applications."`
	Email         string `help:"Told to applications, as not verified. Mail about the account goes there."`
	Locale        string `help:"en, ko or empty." enum:",en,ko" default:""`
	PasswordStdin bool   `help:"Read a first password from standard input instead of making a link. Until a second factor is set up, as the setting enrollment says, it is all that protects the account."`
}

// Run registers the user.
func (c *userAddCmd) Run() error {
	return c.operate(func(ctx context.Context, db *sqlstore.Store, a *admin.Admin) error {
		n := admin.NewUser{Login: c.Login, Name: c.Name, Email: c.Email, Locale: c.Locale}
		if c.PasswordStdin {
			return c.withPassword(ctx, db, a, n)
		}
		u, in, err := a.InviteUser(ctx, n)
		if err != nil {
			return fmt.Errorf("user %q: %w", c.Login, err)
		}
		return c.printInvited(os.Stdout, u, in)
	})
}

func (c *userAddCmd) withPassword(ctx context.Context, db *sqlstore.Store, a *admin.Admin, n admin.NewUser) (err error) {
	s, _, err := c.load()
	if err != nil {
		return err
	}
	if err := mustBeFree(ctx, db, c.Login); err != nil {
		return err
	}
	if n.Password, err = readNewPassword(os.Stdin, os.Stderr); err != nil {
		return err
	}
	u, err := a.AddUser(ctx, n)
	if err != nil {
		return fmt.Errorf("user %q: %w", c.Login, err)
	}
	return c.print(os.Stdout, shownUser(u, nil), func(w io.Writer) error {
		_, err := fmt.Fprintln(w, afterPassword(u.Login, s.enrollment()))
		return err
	})
}

// mustBeFree spares the operator a password for a login that cannot be.
func mustBeFree(ctx context.Context, db *sqlstore.Store, login string) error {
	key, err := authn.LoginKey(login)
	if err != nil {
		return err
	}
	switch _, err := db.UserByLogin(ctx, key); {
	case err == nil:
		return fmt.Errorf("user %q: %w", login, store.ErrExists)
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	return nil
}

// userView is what an operator sees of a user.
type userView struct {
	ID             string          `json:"sub"`
	SubjectAt      string          `json:"sub_at_client,omitempty"` // with --client
	Login          string          `json:"login"`
	Name           string          `json:"name,omitempty"`
	Email          string          `json:"email,omitempty"`
	EmailVerified  bool            `json:"email_verified"`
	Locale         string          `json:"locale,omitempty"`
	Claims         json.RawMessage `json:"claims,omitempty"`
	Groups         []string        `json:"groups,omitempty"`
	HasPassword    bool            `json:"has_password"`
	MayEnroll      bool            `json:"may_enroll"`
	GraceUntil     *time.Time      `json:"grace_until,omitempty"`
	Registered     bool            `json:"registered"` // by the user, not by an operator
	Disabled       bool            `json:"disabled"`
	CreatedAt      time.Time       `json:"created_at"`
	Authenticators []authView      `json:"authenticators,omitempty"`
	Invitation     *inviteView     `json:"invitation,omitempty"` // an open one
	Bypass         *bypassView     `json:"bypass,omitempty"`     // an open one
	Guesses        []guessView     `json:"guesses,omitempty"`    // nil: none, or GuessesUnknown
	// GuessesUnknown says why nothing is known of them.
	GuessesUnknown string `json:"guesses_unknown,omitempty"`
}

// inviteView is an open invitation. Its link is shown when it is made, and never
// again.
type inviteView struct {
	URL       string     `json:"url,omitempty"`
	MadeBy    string     `json:"made_by,omitempty"`
	CreatedAt *time.Time `json:"created_at,omitempty"`
	ExpiresAt time.Time  `json:"expires_at"`
}

type authView struct {
	ID         string     `json:"id"`
	Kind       string     `json:"kind"`
	Name       string     `json:"name,omitempty"`
	Address    string     `json:"address,omitempty"` // that codes go to
	Alone      bool       `json:"alone,omitempty"`   // it signs in without the password
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
	CodesLeft  int        `json:"codes_left,omitempty"`
	Disabled   bool       `json:"disabled,omitempty"`
}

func shownUser(u *store.User, list []store.Authenticator) userView {
	v := userView{
		ID: u.ID, Login: u.Login, Name: u.Name, Email: u.Email, EmailVerified: u.EmailVerified, Locale: u.Locale, Claims: u.Claims,
		HasPassword: u.PasswordHash != "", MayEnroll: u.MayEnroll, Registered: u.Registered, Disabled: u.Disabled, CreatedAt: u.CreatedAt,
	}
	v.Groups = u.Groups
	if !u.GraceUntil.IsZero() {
		v.GraceUntil = &u.GraceUntil
	}
	for _, a := range list {
		shown := authView{ID: a.ID, Kind: string(a.Kind), Name: a.Name, Alone: authn.Alone(a), CreatedAt: a.CreatedAt, CodesLeft: a.CodesLeft, Disabled: a.Disabled}
		if a.Kind == store.KindEmail {
			shown.Address = string(a.Secret)
		}
		if !a.LastUsedAt.IsZero() {
			shown.LastUsedAt = &a.LastUsedAt
		}
		v.Authenticators = append(v.Authenticators, shown)
	}
	return v
}

// state is a user in one word.
func (v userView) state() string {
	switch {
	case v.Disabled:
		return "disabled"
	case v.MayEnroll:
		return "no second factor yet"
	case !v.HasPassword:
		return "not set up yet"
	}
	return "active"
}

// madeBy is who made the account.
func (v userView) madeBy() string {
	if v.Registered {
		return "by the user"
	}
	return "by an operator"
}

type userListCmd struct {
	configFlag
	outputFlag
}

// Run lists the users, the oldest first.
func (c *userListCmd) Run() error {
	return c.operate(func(ctx context.Context, db *sqlstore.Store, _ *admin.Admin) error {
		list, err := allUsers(ctx, db)
		if err != nil {
			return err
		}
		return c.print(os.Stdout, list, func(w io.Writer) error {
			t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "LOGIN\tNAME\tSTATE\tCREATED\tMADE")
			for _, u := range list {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", u.Login, u.Name, u.state(), u.CreatedAt.Format(time.DateOnly), u.madeBy())
			}
			return t.Flush()
		})
	})
}

func allUsers(ctx context.Context, db *sqlstore.Store) ([]userView, error) {
	const page = 500
	list, after := []userView{}, ""
	for {
		users, err := db.Users(ctx, after, page)
		if err != nil {
			return nil, err
		}
		for _, u := range users {
			list, after = append(list, shownUser(u, nil)), u.ID
		}
		if len(users) < page {
			return list, nil
		}
	}
}

// loginArg names a user.
type loginArg struct {
	Login string `arg:"" help:"The user's login."`
}

func (l loginArg) find(ctx context.Context, a *admin.Admin) (*store.User, error) {
	u, err := a.UserByLogin(ctx, l.Login)
	if err != nil {
		return nil, fmt.Errorf("user %q: %w", l.Login, err)
	}
	return u, nil
}

type userFindCmd struct {
	configFlag
	outputFlag
	Sub    string `arg:"" help:"The sub claim, as the application has it."`
	Client string `required:"" placeholder:"CLIENT" help:"The client_id of the application."`
}

// Run shows whose it is.
func (c *userFindCmd) Run() error {
	return c.operate(func(ctx context.Context, db *sqlstore.Store, a *admin.Admin) (err error) {
		if a.Sealer, err = c.sealer(); err != nil {
			return err
		}
		u, err := a.UserBySubject(ctx, c.Client, c.Sub)
		if err != nil {
			return fmt.Errorf("sub %q at client %q: %w", c.Sub, c.Client, err)
		}
		list, err := db.Authenticators(ctx, u.ID)
		if err != nil {
			return err
		}
		v := shownUser(u, list)
		v.SubjectAt = c.Sub
		return c.print(os.Stdout, v, v.print)
	})
}

type userShowCmd struct {
	configFlag
	outputFlag
	loginArg
	Client string `placeholder:"CLIENT" help:"Show by which sub this client knows one, too."`
}

// Run shows the user.
func (c *userShowCmd) Run() error {
	return c.operate(func(ctx context.Context, db *sqlstore.Store, a *admin.Admin) error {
		u, err := c.find(ctx, a)
		if err != nil {
			return err
		}
		list, err := db.Authenticators(ctx, u.ID)
		if err != nil {
			return err
		}
		v := shownUser(u, list)
		if c.Client != "" {
			if a.Sealer, err = c.sealer(); err != nil {
				return err
			}
			if v.SubjectAt, err = a.SubjectAt(ctx, c.Client, u.ID); err != nil {
				return err
			}
		}
		switch l, err := db.OpenInvitation(ctx, u.ID, a.Now()); {
		case err == nil:
			v.Invitation = &inviteView{MadeBy: l.MadeBy, CreatedAt: &l.CreatedAt, ExpiresAt: l.ExpiresAt}
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		if v.Bypass, err = openBypass(ctx, db, a, u); err != nil {
			return err
		}
		if checker, err := c.checker(db); err != nil { // the rest is worth seeing without the key file
			v.GuessesUnknown = err.Error()
		} else if v.Guesses, err = guesses(ctx, checker, u, list); err != nil {
			return err
		}
		return c.print(os.Stdout, v, v.print)
	})
}

func (v userView) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range []struct{ name, value string }{
		{"login", v.Login}, {"sub", v.ID}, {"sub_at_client", v.SubjectAt}, {"name", v.Name}, {"email", v.Email}, {"locale", v.Locale}, {"claims", string(v.Claims)}, {"groups", strings.Join(v.Groups, ", ")}, {"state", v.state()},
		{"password", yesNo(v.HasPassword)}, {"may_enroll", yesNo(v.MayEnroll)}, {"created", v.CreatedAt.Format(time.RFC3339) + ", " + v.madeBy()},
	} {
		if line.value != "" {
			fmt.Fprintf(t, "%s\t%s\n", line.name, line.value)
		}
	}
	if v.GraceUntil != nil {
		fmt.Fprintf(t, "grace\tuntil %s\n", v.GraceUntil.Format(time.RFC3339))
	}
	if in := v.Invitation; in != nil {
		fmt.Fprintf(t, "invitation\topen until %s, made by %s\n", in.ExpiresAt.Format(time.RFC3339), in.MadeBy)
	}
	if b := v.Bypass; b != nil {
		fmt.Fprintf(t, "bypass\topen until %s, made by %s\n", b.ExpiresAt.Format(time.RFC3339), b.MadeBy)
	}
	for _, a := range v.Authenticators {
		fmt.Fprintf(t, "authenticator\t%s\n", a.text())
	}
	for _, g := range v.Guesses {
		fmt.Fprintf(t, "guesses\t%s\n", g)
	}
	if v.GuessesUnknown != "" {
		fmt.Fprintf(t, "guesses\tnot known: %s\n", v.GuessesUnknown)
	}
	return t.Flush()
}

func (a authView) text() string {
	parts := []string{a.Kind, "since " + a.CreatedAt.Format(time.DateOnly)}
	if a.Name != "" {
		parts[0] += " " + strconv.Quote(a.Name)
	}
	if a.Address != "" {
		parts = append(parts, "to "+a.Address)
	}
	if a.Alone {
		parts = append(parts, "signs in alone")
	}
	if a.Kind == string(store.KindRecovery) {
		parts = append(parts, fmt.Sprintf("%d codes left", a.CodesLeft))
	}
	if a.LastUsedAt != nil {
		parts = append(parts, "last used "+a.LastUsedAt.Format(time.RFC3339))
	}
	if a.Disabled {
		parts = append(parts, "disabled")
	}
	return strings.Join(parts, ", ")
}

type userDisableCmd struct {
	configFlag
	loginArg
}

// Run disables the user.
func (c *userDisableCmd) Run() error { return c.with((*admin.Admin).DisableUser, c.configFlag) }

type userEnableCmd struct {
	configFlag
	loginArg
}

// Run enables the user.
func (c *userEnableCmd) Run() error { return c.with((*admin.Admin).EnableUser, c.configFlag) }

type userRemoveCmd struct {
	configFlag
	yesFlag
	loginArg
}

// Run removes the user.
func (c *userRemoveCmd) Run() error {
	if err := c.check("ends all that was issued to " + c.Login + " and forgets the person"); err != nil {
		return err
	}
	return c.with((*admin.Admin).RemoveUser, c.configFlag)
}

// with does something to the user.
func (l loginArg) with(do func(*admin.Admin, context.Context, string) error, c configFlag) error {
	return c.operate(func(ctx context.Context, _ *sqlstore.Store, a *admin.Admin) error {
		u, err := l.find(ctx, a)
		if err != nil {
			return err
		}
		return do(a, ctx, u.ID)
	})
}

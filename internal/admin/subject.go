package admin

import (
	"context"
	"fmt"

	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/store"
)

// usersAtOnce is how many users are read at once to find one by a pairwise subject.
const usersAtOnce = 500

// SubjectAt returns what a user is called at a client. store.ErrNotFound if there is no
// such client.
func (a *Admin) SubjectAt(ctx context.Context, clientID, userID string) (string, error) {
	c, err := a.Store.Client(ctx, clientID)
	if err != nil {
		return "", fmt.Errorf("client %q: %w", clientID, err)
	}
	subjects, err := keys.OpenSubjects(ctx, a.Store, a.Sealer)
	if err != nil {
		return "", err
	}
	return subjects.Of(c, userID), nil
}

// UserBySubject finds the user that a client means by a sub. There is no way back from a
// pairwise one: it is computed of all users until one has it. store.ErrNotFound if none
// has, or there is no such client.
func (a *Admin) UserBySubject(ctx context.Context, clientID, sub string) (*store.User, error) {
	c, err := a.Store.Client(ctx, clientID)
	if err != nil {
		return nil, fmt.Errorf("client %q: %w", clientID, err)
	}
	if !c.Pairwise() {
		return a.Store.User(ctx, sub)
	}
	subjects, err := keys.OpenSubjects(ctx, a.Store, a.Sealer)
	if err != nil {
		return nil, err
	}
	for after := ""; ; {
		users, err := a.Store.Users(ctx, after, usersAtOnce)
		if err != nil {
			return nil, err
		}
		if len(users) == 0 {
			return nil, store.ErrNotFound
		}
		for _, u := range users {
			if subjects.Of(c, u.ID) == sub {
				return u, nil
			}
		}
		after = users[len(users)-1].ID
	}
}

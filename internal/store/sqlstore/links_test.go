package sqlstore

import (
	"errors"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// TestRedeemedInvitationIsDeleted: it does not come back when the authenticator
// that it was spent for goes.
func TestRedeemedInvitationIsDeleted(t *testing.T) {
	t.Parallel()
	s, ctx, now := openTest(t, tempPath(t)), t.Context(), time.Now()
	u := &store.User{ID: store.NewID(), LoginKey: "mina", CreatedAt: now}
	_, hash := store.NewSecret()
	l := &store.Link{ID: store.NewID(), SecretHash: hash, UserID: u.ID, Purpose: store.LinkInvitation, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
	i := &store.Interaction{ID: store.NewID(), BrowserHash: hash, Version: 1, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
	if err := errors.Join(s.InviteUser(ctx, u, l), s.CreateInteraction(ctx, i)); err != nil {
		t.Fatal(err)
	}
	err := s.RedeemInvitation(ctx, store.Redemption{
		Invited:       store.Invited{UserID: u.ID, Link: l.ID, LinkHash: hash, NewHash: "new"},
		Authenticator: store.Authenticator{ID: store.NewID(), UserID: u.ID, Kind: store.KindTOTP, Secret: []byte("sealed")},
		Recovery:      store.Authenticator{ID: store.NewID(), UserID: u.ID, Kind: store.KindRecovery, Secret: []byte("salt")},
		Interaction:   *i, Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.update(ctx, exec(`DELETE FROM authenticators`)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Invitation(ctx, l.ID, hash, now); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the invitation after its authenticator went: got %v, want %v", err, store.ErrNotFound)
	}
}

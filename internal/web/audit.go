package web

import (
	"errors"
	"net/http"

	"github.com/sallyport-id/sallyport/internal/authn"
	"github.com/sallyport-id/sallyport/internal/flow"
	"github.com/sallyport-id/sallyport/internal/store"
)

// audit records that an answer was refused. The attempt was counted durably before
// it was checked, so there is no verb that this could be part of. It is about the
// user who is signed in, or else the one whose login was tried: a login that is
// nobody's may be a password typed into the wrong field, and is not kept.
func (s *server) audit(r *http.Request, v *flow.Visit, kind string, why error) {
	e := store.Event{Type: kind, ClientID: v.Client.ID, Session: sessionID(v), Interaction: v.Interaction, UserID: v.Subject(), Detail: string(v.Step.Name)}
	if attempt := (*authn.AttemptError)(nil); errors.As(why, &attempt) {
		e.UserID, e.Session = attempt.UserID, ""
	} else if v.Step.Name == flow.Login {
		e.UserID, e.Session = "", ""
	}
	s.recordEvent(r, e)
}

// recordEvent adds when and from where. What it is about goes on without it.
func (s *server) recordEvent(r *http.Request, e store.Event) {
	o := s.origin(r)
	e.At, e.Address, e.RequestID = s.Now(), o.Address, o.RequestID
	if err := s.Store.Record(r.Context(), e); err != nil {
		s.Log.ErrorContext(r.Context(), "audit", "request", o.RequestID, "error", err)
	}
}

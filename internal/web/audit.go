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
	s.recordEvent(r, withSeries(e, why)...)
}

// withSeries adds what the owner hears of to the event of a wrong code.
func withSeries(e store.Event, why error) []store.Event {
	events := []store.Event{e}
	if wrong := (*authn.WrongCodeError)(nil); errors.As(why, &wrong) && wrong.InARow == tellOwner {
		e.Type = store.EventLoginWrongCodes
		events = append(events, e)
	}
	return events
}

// tellOwner is the number of wrong codes in a row that the owner of an account hears
// of: once a row.
const tellOwner = 3

// recordEvent adds when and from where. What they are about goes on without them.
func (s *server) recordEvent(r *http.Request, events ...store.Event) {
	o := s.origin(r)
	for i := range events {
		e := &events[i]
		e.At, e.Address, e.RequestID, e.Browser = s.Now(), o.Address, o.RequestID, flow.BrowserName(o.UserAgent)
	}
	if err := s.Store.Record(r.Context(), events...); err != nil {
		s.Log.ErrorContext(r.Context(), "audit", "request", o.RequestID, "error", err)
	}
}

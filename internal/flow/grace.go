package flow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// MayPutOff reports whether the user may put the first second factor off: the policy
// gives grace, there is a way to a factor at its end, and the request asks for nothing that one factor could not answer.
func (s State) MayPutOff() bool {
	return s.User != nil && s.plain() && s.mayEnroll() && (s.Enrollment == EnrollByPassword || s.Enrollment == EnrollByEmail) && s.Policy.MayGrace(s.Case())
}

// PutOffUntil is until when it can be put off; only with MayPutOff.
func (s State) PutOffUntil() time.Time {
	if !s.User.GraceUntil.IsZero() {
		return s.User.GraceUntil
	}
	return s.Now.Add(time.Duration(s.Policy.Rule(s.Case()).GraceDays) * 24 * time.Hour)
}

// putOff: the user did so in this interaction, and the grace runs.
func (s State) putOff() bool {
	return s.Progress.LaterBy == s.User.ID && s.MayPutOff() && s.Policy.Graces(s.Case())
}

// RecordLater records that the user puts the first second factor off. The first time
// begins the grace.
func (e *Engine) RecordLater(ctx context.Context, v *Visit) error {
	if v.Step.Name != Enroll && v.Step.Name != ConfirmEmail || !v.MayPutOff() {
		return fmt.Errorf("flow: nothing to put off: %w", store.ErrStale)
	}
	if v.User.GraceUntil.IsZero() {
		until := v.PutOffUntil()
		err := e.Store.StartGrace(ctx, v.User.ID, until, v.event(store.EventGraceStarted, until.UTC().Format(time.RFC3339)))
		if errors.Is(err, store.ErrUsed) { // another tab was first, or the factor is there
			return fmt.Errorf("flow: %w", store.ErrStale)
		}
		if err != nil {
			return fmt.Errorf("start grace: %w", err)
		}
		v.User.GraceUntil = until
	}
	v.Progress.LaterBy = v.User.ID
	return e.update(ctx, v)
}

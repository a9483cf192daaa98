package storetest

import (
	"errors"
	"reflect"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// deviceCode makes a device that waits.
func (w *world) deviceCode() *store.DeviceCode {
	w.Helper()
	_, secret := store.NewSecret()
	_, typed := store.NewSecret()
	c := &store.DeviceCode{
		ID: store.NewID(), SecretHash: secret, UserCode: typed, ClientID: "shop", Address: "203.0.113.9", Interval: 5 * time.Second,
		Request: oidc.AuthorizationRequest{ClientID: "shop", Scope: []string{"openid"}}, CreatedAt: w.now, ExpiresAt: w.now.Add(10 * time.Minute),
	}
	w.must(w.CreateDeviceCode(w.ctx, c))
	return c
}

// allowedDevice is a device that the visit's user has allowed.
func (w *world) allowedDevice(v visit) (*store.DeviceCode, store.Finish) {
	w.Helper()
	c := w.deviceCode()
	f := w.allow(v, c)
	w.must(w.FinishInteraction(w.ctx, f))
	return c, f
}

// allow is the visit's end, which answers the device.
func (w *world) allow(v visit, c *store.DeviceCode) store.Finish {
	f := w.finish(v, true)
	f.Code, f.DeviceCode = nil, c.ID
	return f
}

func (w *world) poll(c *store.DeviceCode, after time.Duration) (*store.DevicePoll, error) {
	return w.PollDeviceCode(w.ctx, c.ID, c.SecretHash, c.ClientID, w.now.Add(after))
}

func deviceCodeKept(w *world) {
	want := w.deviceCode()
	w.deviceCode()
	for name, read := range map[string]func() (*store.DeviceCode, error){
		"by user code": func() (*store.DeviceCode, error) { return w.DeviceCodeOf(w.ctx, want.UserCode, w.now) },
		"by id":        func() (*store.DeviceCode, error) { return w.WaitingDeviceCode(w.ctx, want.ID, w.now) },
		"by its secret": func() (*store.DeviceCode, error) {
			p, err := w.poll(want, 0)
			return &p.DeviceCode, err
		},
	} {
		got, err := read()
		w.must(err)
		if !reflect.DeepEqual(got, want) || !got.Waits(w.now) {
			w.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	_, err := w.DeviceCodeOf(w.ctx, want.UserCode, want.ExpiresAt)
	w.is("expired, by user code", err, store.ErrNotFound)
	_, err = w.WaitingDeviceCode(w.ctx, want.ID, want.ExpiresAt)
	w.is("expired, by id", err, store.ErrNotFound)
	_, err = w.DeviceCodeOf(w.ctx, want.SecretHash, w.now)
	w.is("no user code", err, store.ErrNotFound)
	_, err = w.PollDeviceCode(w.ctx, want.ID, want.UserCode, want.ClientID, w.now)
	w.is("a wrong secret", err, store.ErrNotFound)
	_, err = w.PollDeviceCode(w.ctx, want.ID, want.SecretHash, "other", w.now)
	w.is("another client", err, store.ErrNotFound)
	again := *want
	again.ID = store.NewID()
	w.is("the same user code", w.CreateDeviceCode(w.ctx, &again), store.ErrExists)
	p, err := w.poll(want, 11*time.Minute)
	w.must(err)
	w.is("sweep", w.Sweep(w.ctx, want.ExpiresAt.Add(24*time.Hour)), nil)
	if p.Waits(want.ExpiresAt) {
		w.Error("an expired one waits")
	}
	_, err = w.poll(want, 0)
	w.is("swept", err, store.ErrNotFound)
}

func deviceCodePolled(w *world) {
	c := w.deviceCode()
	for _, q := range []struct {
		after, interval time.Duration
		tooFast         bool
	}{
		{0, 5 * time.Second, false},
		{4 * time.Second, 5 * time.Second, false}, // the network is not even
		{7 * time.Second, 10 * time.Second, true},
		{16 * time.Second, 10 * time.Second, false},
		{16 * time.Second, 15 * time.Second, true},
		{31 * time.Second, 15 * time.Second, false},
	} {
		p, err := w.poll(c, q.after)
		w.must(err)
		if p.TooFast != q.tooFast || p.Interval != q.interval {
			w.Errorf("after %v: got %v, too fast %v; want %v, %v", q.after, p.Interval, p.TooFast, q.interval, q.tooFast)
		}
	}
	errs := race(func(i int) error {
		p, err := w.poll(c, time.Minute)
		if err == nil && p.TooFast {
			return errTooFast
		}
		return err
	})
	w.count("polls at once that were in time", w.winners(errs, errTooFast), 1)
	p, err := w.poll(c, time.Hour)
	w.must(err)
	if p.Interval > time.Minute+5*time.Second {
		w.Errorf("the interval has no end: %v", p.Interval)
	}
}

var errTooFast = errors.New("too fast")

// deviceCodeAnsweredOnce: of many who allow and refuse it at once one is heard.
func deviceCodeAnsweredOnce(w *world) {
	for range 4 {
		c := w.deviceCode()
		visits := make([]visit, crowd)
		for i := range visits {
			visits[i] = w.visit(w.user())
		}
		errs := race(func(i int) error {
			v := visits[i]
			if i%8 == 0 {
				return w.DenyDeviceCode(w.ctx, c.ID, v.interaction.ID, v.interaction.Version, w.now)
			}
			return w.FinishInteraction(w.ctx, w.allow(v, c))
		})
		w.count("answers", w.winners(errs, store.ErrStale), 1)
		p, err := w.poll(c, time.Minute)
		w.must(err)
		_, err = w.WaitingDeviceCode(w.ctx, c.ID, w.now)
		w.is("it waits no more", err, store.ErrNotFound)
		if (p.GrantID == "") == p.DeniedAt.IsZero() {
			w.Errorf("got grant %q, denied at %v; want one of them", p.GrantID, p.DeniedAt)
		}
		for i, err := range errs {
			interaction := w.interactionErr(visits[i].interaction)
			if (err == nil) != errors.Is(interaction, store.ErrNotFound) {
				w.Errorf("number %d: answered %v, its interaction %v", i, err, interaction)
			}
		}
	}
	expired := w.deviceCode()
	v := w.visit(w.user())
	late := w.allow(v, expired)
	late.Now = expired.ExpiresAt
	w.is("expired", w.FinishInteraction(w.ctx, late), store.ErrStale)
}

func deviceCodeRedeemedOnce(w *world) {
	v := w.visit(w.user())
	waits := w.deviceCode()
	for range 4 {
		c, f := w.allowedDevice(v)
		v.interaction = w.interaction(v.session.ID)
		g, u, err := w.DeviceGrant(w.ctx, c.ID, c.SecretHash)
		w.must(err)
		if !reflect.DeepEqual(g, f.Grant) || !reflect.DeepEqual(u, v.user) {
			w.Errorf("got %+v, %+v; want %+v, %+v", g, u, f.Grant, v.user)
		}
		var all [crowd]store.Tokens
		for i := range all {
			all[i] = w.tokens(f.Grant.ID)
		}
		errs := race(func(i int) error { return w.RedeemDeviceCode(w.ctx, c.ID, c.SecretHash, w.now, all[i]) })
		w.count("winners", w.winners(errs, store.ErrUsed), 1)
		for i, t := range all {
			if err := w.accessErr(t); (err == nil) != (errs[i] == nil) {
				w.Errorf("number %d: redeemed %v, token %v", i, errs[i], err)
			}
		}
	}
	_, _, err := w.DeviceGrant(w.ctx, waits.ID, waits.SecretHash)
	w.is("the grant of one that waits", err, store.ErrNotFound)
	w.is("one that waits", w.RedeemDeviceCode(w.ctx, waits.ID, waits.SecretHash, w.now, w.tokens("none")), store.ErrNotFound)
}

func deviceCodeRedeemedWhileLive(w *world) {
	for name, spoil := range map[string]func(v visit, c *store.DeviceCode, f store.Finish) (now time.Time, want error){
		"live": func(visit, *store.DeviceCode, store.Finish) (time.Time, error) { return w.now, nil },
		"swept, and after the session": func(v visit, _ *store.DeviceCode, _ store.Finish) (time.Time, error) {
			w.must(w.EndSession(w.ctx, v.session.ID, w.now))
			w.must(w.Sweep(w.ctx, w.now))
			return w.now, nil
		},
		"expired": func(_ visit, c *store.DeviceCode, _ store.Finish) (time.Time, error) {
			return c.ExpiresAt, store.ErrNotFound
		},
		"grant revoked":  func(_ visit, _ *store.DeviceCode, f store.Finish) (time.Time, error) { return w.now, w.revoked(f) },
		"user disabled":  func(v visit, _ *store.DeviceCode, _ store.Finish) (time.Time, error) { return w.now, w.disabled(v) },
		"client removed": func(visit, *store.DeviceCode, store.Finish) (time.Time, error) { return w.now, w.clientRemoved() },
		"wrong secret": func(_ visit, c *store.DeviceCode, _ store.Finish) (time.Time, error) {
			c.SecretHash = c.UserCode
			return w.now, store.ErrNotFound
		},
	} {
		v := w.visit(w.user())
		c, f := w.allowedDevice(v)
		now, want := spoil(v, c, f)
		t := w.tokens(f.Grant.ID)
		w.is(name, w.RedeemDeviceCode(w.ctx, c.ID, c.SecretHash, now, t), want)
		w.is(name+": the token", w.accessErr(t), want)
	}
}

func (w *world) revoked(f store.Finish) error {
	w.must(w.RevokeGrant(w.ctx, f.Grant.ID, w.now))
	return store.ErrNotFound
}

func (w *world) disabled(v visit) error {
	w.must(w.DisableUser(w.ctx, v.user.ID, w.now))
	return store.ErrNotFound
}

func (w *world) clientRemoved() error {
	w.must(w.CreateClient(w.ctx, &oidc.Client{ID: "shop"}))
	w.must(w.RemoveClient(w.ctx, "shop", w.now))
	return store.ErrNotFound
}

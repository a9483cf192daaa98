package storetest

import (
	"reflect"
	"time"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

const deviceGrace = 10 * time.Second

// device is a browser that a user trusts, with the hash of its cookie's secret.
type device struct {
	store.TrustedDevice
	hash []byte
}

// trust is the visit's user saying yes, ready to be written.
func (w *world) trust(v visit) store.Trust {
	_, hash := store.NewSecret()
	i := *v.interaction
	i.Progress.TrustBy = v.user.ID
	return store.Trust{
		Device: store.TrustedDevice{
			ID: store.NewID(), UserID: v.user.ID, UserEpoch: v.session.UserEpoch, Level: oidc.Level2FA, UserAgent: "Firefox", Address: "192.0.2.1",
			CreatedAt: w.now, LastUsedAt: w.now, ExpiresAt: w.now.Add(30 * 24 * time.Hour),
		},
		SecretHash: hash, SessionID: v.session.ID, SessionVersion: v.session.Version, Interaction: i, Now: w.now,
	}
}

func (w *world) trusted(v visit) device {
	w.Helper()
	t := w.trust(v)
	w.must(w.TrustDevice(w.ctx, t))
	v.interaction.Version++
	return device{t.Device, t.SecretHash}
}

func (w *world) deviceErr(d device) error {
	_, err := w.TrustedDevice(w.ctx, d.ID, d.hash, w.now, deviceGrace)
	return err
}

// use is the end of another interaction of the visit's session that relies on the
// device, and the device as it is then.
func (w *world) use(v visit, d device, offline bool) (store.Finish, device) {
	w.Helper()
	_, fresh := store.NewSecret()
	f := w.finish(visit{v.user, v.session, w.interaction(v.session.ID)}, offline)
	f.Grant.Device = &store.GrantedDevice{ID: d.ID, Level: d.Level, Since: d.CreatedAt}
	f.Device = &store.DeviceUse{ID: d.ID, SecretHash: d.hash, NewSecretHash: fresh, Grace: deviceGrace}
	return f, device{d.TrustedDevice, fresh}
}

func deviceKept(w *world) {
	v := w.visit(w.user())
	d := w.trusted(v)
	got, err := w.TrustedDevice(w.ctx, d.ID, d.hash, w.now, deviceGrace)
	w.must(err)
	if !reflect.DeepEqual(*got, d.TrustedDevice) {
		w.Errorf("got %+v, want %+v", *got, d.TrustedDevice)
	}
	list, err := w.TrustedDevices(w.ctx, v.user.ID, w.now)
	w.must(err)
	if len(list) != 1 || !reflect.DeepEqual(list[0], d.TrustedDevice) {
		w.Errorf("got %+v, want %+v", list, d.TrustedDevice)
	}
	i, err := w.Interaction(w.ctx, v.interaction.ID, v.interaction.BrowserHash, w.now)
	w.must(err)
	if i.Progress.TrustBy != v.user.ID || i.Version != v.interaction.Version {
		w.Errorf("the interaction has not moved on: %+v", i)
	}
	f, after := w.use(v, d, true)
	w.must(w.FinishInteraction(w.ctx, f))
	_, g, _, err := w.Code(w.ctx, f.Code.ID, f.Code.SecretHash)
	w.must(err)
	if !reflect.DeepEqual(g.Device, f.Grant.Device) {
		w.Errorf("the grant's device: got %+v, want %+v", g.Device, f.Grant.Device)
	}
	w.is("the next secret", w.deviceErr(after), nil)
}

func deviceNeedsSecretAndLife(w *world) {
	v := w.visit(w.user())
	d := w.trusted(v)
	_, other := store.NewSecret()
	w.is("a wrong secret", w.deviceErr(device{d.TrustedDevice, other}), store.ErrNotFound)
	w.is("the right one after it", w.deviceErr(d), nil)
	f, _ := w.use(v, device{d.TrustedDevice, other}, true)
	w.is("used with a wrong secret", w.FinishInteraction(w.ctx, f), store.ErrStale)
	w.is("the right one after that", w.deviceErr(d), nil)

	t := w.trust(v)
	t.Device.ExpiresAt = w.now.Add(time.Minute)
	w.must(w.TrustDevice(w.ctx, t))
	d = device{t.Device, t.SecretHash}
	f, _ = w.use(v, d, true)
	w.now = d.ExpiresAt
	f.Now = w.now
	w.is("at its end", w.deviceErr(d), store.ErrNotFound)
	list, err := w.TrustedDevices(w.ctx, v.user.ID, w.now)
	w.must(err)
	w.count("devices at the end of one of two", len(list), 1)
	w.is("used at its end", w.FinishInteraction(w.ctx, f), store.ErrStale)
}

func trustDeviceStale(w *world) {
	v := w.visit(w.user())
	t := w.trust(v)
	w.must(w.AddProof(w.ctx, w.add(v)))
	w.is("another proof came in", w.TrustDevice(w.ctx, t), store.ErrStale)
	v = w.visit(w.user())
	t = w.trust(v)
	w.must(w.UpdateInteraction(w.ctx, v.interaction, w.now))
	w.is("the interaction moved on", w.TrustDevice(w.ctx, t), store.ErrStale)
	w.must(w.EndSession(w.ctx, v.session.ID, w.now))
	w.is("the session ended", w.TrustDevice(w.ctx, w.trust(v)), store.ErrStale)
	v = w.visit(w.user())
	t = w.trust(v)
	w.must(w.RevokeUser(w.ctx, v.user.ID, v.session.ID, w.now))
	w.is("of the epoch before", w.TrustDevice(w.ctx, t), store.ErrStale)
	w.is("whose device it would be", w.deviceErr(device{t.Device, t.SecretHash}), store.ErrNotFound)
}

func trustDeviceOnce(w *world) {
	v := w.visit(w.user())
	var all [crowd]store.Trust
	for i := range all {
		all[i] = w.trust(v)
	}
	errs := race(func(i int) error { return w.TrustDevice(w.ctx, all[i]) })
	w.count("winners", w.winners(errs, store.ErrStale), 1)
	list, err := w.TrustedDevices(w.ctx, v.user.ID, w.now)
	w.must(err)
	w.count("devices", len(list), 1)
}

// deviceSecretUsedOnce: of many sign-ins with one secret one rotates it, and one more
// is taken for the retry of a lost answer. One secret is good afterwards.
func deviceSecretUsedOnce(w *world) {
	v := w.visit(w.user())
	d := w.trusted(v)
	var ends [crowd]store.Finish
	var after [crowd]device
	for i := range ends {
		ends[i], after[i] = w.use(v, d, true)
		ends[i].Device.Grace = 0
		if i%2 == 0 {
			ends[i].Device.Grace = deviceGrace
		}
	}
	errs := race(func(i int) error { return w.FinishInteraction(w.ctx, ends[i]) })
	if n := w.winners(errs, store.ErrStale); n < 1 || n > 2 {
		w.Errorf("winners: got %d, want one, or one more that retries", n)
	}
	good := 0
	for _, a := range after {
		if w.deviceErr(a) == nil {
			good++
		}
	}
	w.count("good secrets", good, 1)
}

func deviceSecretPresentedAgain(w *world) {
	v := w.visit(w.user())
	first := w.trusted(v)
	f, second := w.use(v, first, true)
	w.must(w.FinishInteraction(w.ctx, f))
	w.is("the one before, within the grace", w.deviceErr(first), nil)
	w.now = w.now.Add(deviceGrace)
	f, third := w.use(v, first, true)
	w.is("tried again, at the end of the grace", w.FinishInteraction(w.ctx, f), nil)
	w.is("the answer of the retry", w.deviceErr(third), nil)
	w.is("what it replaced, at once", w.deviceErr(second), store.ErrNotFound)
	w.is("the first, at once", w.deviceErr(first), store.ErrNotFound)
	f, _ = w.use(v, first, true)
	w.is("tried once more", w.FinishInteraction(w.ctx, f), store.ErrStale)
	f, _ = w.use(v, second, true)
	w.is("what was replaced, used", w.FinishInteraction(w.ctx, f), store.ErrStale)
	w.now = w.now.Add(deviceGrace + time.Millisecond)
	w.is("the first, later", w.deviceErr(first), store.ErrUsed)
	w.is("what was replaced, later", w.deviceErr(second), store.ErrUsed)
	f, _ = w.use(v, first, true)
	w.is("the first used, later", w.FinishInteraction(w.ctx, f), store.ErrStale)
	w.is("the newest", w.deviceErr(third), nil)

	f, fourth := w.use(v, third, true)
	w.must(w.FinishInteraction(w.ctx, f))
	f, _ = w.use(v, fourth, true)
	w.must(w.FinishInteraction(w.ctx, f))
	w.is("within the grace, but what followed was used", w.deviceErr(third), store.ErrNotFound)
}

// deviceUsedWithoutRotation is how requests that ask nobody rely on it.
func deviceUsedWithoutRotation(w *world) {
	v := w.visit(w.user())
	d := w.trusted(v)
	var ends [crowd]store.Finish
	for i := range ends {
		ends[i], _ = w.use(v, d, true)
		ends[i].Device.NewSecretHash = nil
	}
	w.now = w.now.Add(time.Minute)
	for i := range ends {
		ends[i].Now = w.now
	}
	w.count("winners", w.winners(race(func(i int) error { return w.FinishInteraction(w.ctx, ends[i]) })), crowd)
	w.is("the secret", w.deviceErr(d), nil)
	list, err := w.TrustedDevices(w.ctx, v.user.ID, w.now)
	w.must(err)
	if len(list) != 1 || !list[0].LastUsedAt.Equal(w.now) || !list[0].ExpiresAt.Equal(d.ExpiresAt) {
		w.Errorf("got %+v, want it used now, and to end when it did", list)
	}
	_, other := store.NewSecret()
	f, _ := w.use(v, device{d.TrustedDevice, other}, true)
	f.Device.NewSecretHash = nil
	w.is("with a wrong secret", w.FinishInteraction(w.ctx, f), store.ErrStale)
	f, _ = w.use(v, d, true)
	w.must(w.FinishInteraction(w.ctx, f))
	again, _ := w.use(v, d, true)
	again.Device.NewSecretHash = nil
	w.is("beside one that rotates", w.FinishInteraction(w.ctx, again), nil)
	later, _ := w.use(v, d, true)
	later.Device.NewSecretHash = nil
	later.Now = w.now.Add(deviceGrace + time.Millisecond)
	later.Device.Grace = 0
	w.is("long after", w.FinishInteraction(w.ctx, later), store.ErrStale)
}

func deviceEndsWithItsGrants(w *world) {
	v := w.visit(w.user())
	d, other := w.trusted(v), w.trusted(v)
	f, d := w.use(v, d, true)
	w.must(w.FinishInteraction(w.ctx, f))
	t := w.tokens(f.Grant.ID)
	w.must(w.redeem(f, t))
	unredeemed, d := w.use(v, d, true)
	w.must(w.FinishInteraction(w.ctx, unredeemed))
	beside, other := w.use(v, other, true)
	w.must(w.FinishInteraction(w.ctx, beside))
	late, _ := w.use(v, d, true)
	w.is("another user's", w.EndTrustedDevice(w.ctx, "nobody", d.ID), store.ErrNotFound)
	w.must(w.EndTrustedDevice(w.ctx, v.user.ID, d.ID, store.Event{At: w.now, Type: "ended"}))
	w.is("again", w.EndTrustedDevice(w.ctx, v.user.ID, d.ID, store.Event{At: w.now, Type: "ended"}), store.ErrNotFound)
	w.count("events", len(w.events()), 1)
	w.is("the device", w.deviceErr(d), store.ErrNotFound)
	w.is("its code", w.redeem(unredeemed, w.tokens(unredeemed.Grant.ID)), store.ErrNotFound)
	w.is("its access token", w.accessErr(t), store.ErrNotFound)
	w.is("its refresh token", w.refreshErr(t), store.ErrNotFound)
	w.is("rotated", w.RotateRefresh(w.ctx, t.Refresh.ID, w.now, 0, w.tokens(f.Grant.ID)), store.ErrNotFound)
	w.is("its access token issued", w.IssueAccess(w.ctx, t.Refresh.ID, w.now, time.Time{}, w.tokens(f.Grant.ID)), store.ErrNotFound)
	w.is("another grant with it", w.FinishInteraction(w.ctx, late), store.ErrStale)
	w.is("the session", w.sessionErr(v.session), nil)
	w.is("the other device", w.deviceErr(other), nil)
	w.is("the other's code", w.redeem(beside, w.tokens(beside.Grant.ID)), nil)
	w.must(w.EndTrustedDevices(w.ctx, v.user.ID))
	w.is("the other device after all were ended", w.deviceErr(other), store.ErrNotFound)
	w.must(w.EndTrustedDevices(w.ctx, v.user.ID))
}

// deviceEndsWithTime: what was granted because of it ends with it, offline too.
func deviceEndsWithTime(w *world) {
	v := w.visit(w.user())
	d := w.trust(v)
	d.Device.ExpiresAt = w.now.Add(time.Minute)
	w.must(w.TrustDevice(w.ctx, d))
	f, _ := w.use(v, device{d.Device, d.SecretHash}, true)
	w.must(w.FinishInteraction(w.ctx, f))
	t := w.tokens(f.Grant.ID)
	w.must(w.redeem(f, t))
	w.is("before", w.refreshErr(t), nil)
	w.now = d.Device.ExpiresAt
	w.is("access token", w.accessErr(t), store.ErrNotFound)
	w.is("refresh token", w.refreshErr(t), store.ErrNotFound)
}

// deviceEndsOrIsUsed: who ends a device while others sign in with it has ended it.
func deviceEndsOrIsUsed(w *world) {
	for range 4 {
		v := w.visit(w.user())
		d := w.trusted(v)
		var ends [crowd]store.Finish
		for i := range ends {
			ends[i], _ = w.use(v, d, true)
			ends[i].Device.NewSecretHash = nil
		}
		errs := race(func(i int) error {
			if i == crowd/2 {
				return w.EndTrustedDevice(w.ctx, v.user.ID, d.ID)
			}
			return w.FinishInteraction(w.ctx, ends[i])
		})
		w.winners(errs, store.ErrStale)
		for i, f := range ends {
			if i != crowd/2 && errs[i] == nil {
				w.is("a code that was made before", w.redeem(f, w.tokens(f.Grant.ID)), store.ErrNotFound)
			}
		}
	}
}

func devicesAtMostTwenty(w *world) {
	v := w.visit(w.user())
	first := w.trusted(v)
	second := w.trusted(v)
	for range 19 {
		w.trusted(v)
	}
	w.is("the oldest", w.deviceErr(first), store.ErrNotFound)
	w.is("the next", w.deviceErr(second), nil)
	list, err := w.TrustedDevices(w.ctx, v.user.ID, w.now)
	w.must(err)
	w.count("devices", len(list), 20)
}

func deviceEndsWithTheUser(w *world) {
	for name, end := range map[string]func(u *store.User) error{
		"revoke": func(u *store.User) error { return w.RevokeUser(w.ctx, u.ID, "", w.now) },
		"disable": func(u *store.User) error {
			if err := w.DisableUser(w.ctx, u.ID, w.now); err != nil {
				return err
			}
			return w.EnableUser(w.ctx, u.ID)
		},
		"reset":   func(u *store.User) error { return w.ResetUser(w.ctx, w.link(u), true, w.now) },
		"remove":  func(u *store.User) error { return w.RemoveUser(w.ctx, u.ID, w.now) },
		"restore": func(*store.User) error { _, err := w.AfterRestore(w.ctx, 1, w.now); return err },
		"sweep":   func(*store.User) error { w.now = w.now.Add(30 * 24 * time.Hour); return w.Sweep(w.ctx, w.now) },
	} {
		u := w.user()
		v := w.visit(u)
		d := w.trusted(v)
		w.must(end(u))
		w.is(name, w.deviceErr(d), store.ErrNotFound)
	}
	v := w.visit(w.user())
	d := w.trusted(v)
	w.must(w.RevokeUser(w.ctx, v.user.ID, v.session.ID, w.now))
	w.is("all but the session ended", w.deviceErr(d), store.ErrNotFound)
}

func sweepKeepsDevices(w *world) {
	v := w.visit(w.user())
	d := w.trusted(v)
	f, next := w.use(v, d, true)
	w.must(w.FinishInteraction(w.ctx, f))
	w.now = d.ExpiresAt.Add(-time.Millisecond)
	w.must(w.Sweep(w.ctx, w.now))
	w.is("before its end", w.deviceErr(next), nil)
	w.is("a secret that was used", w.deviceErr(d), store.ErrUsed)
}

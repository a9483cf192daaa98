package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// operation is something that a client wants of the server.
type operation struct {
	name string
	// requests is how many HTTP requests one takes.
	requests int
	// counted is how many of them the server's limits per address count: after a
	// while the client comes from another address.
	counted int
	// target is what we want to reach: operations per CPU-second, 0 for none.
	target float64
	// inFull: it is measured in a full database, too.
	inFull bool
	// begin prepares a client and returns what it does again and again. An answer
	// that is not right is an error.
	begin func(context.Context, *client) (func() error, error)
}

// load sends requests to a server and reads what that costs it.
type load struct {
	options
	server  *process
	people  *people
	clients clients
	keys    *jose.JSONWebKeySet // that ID tokens are checked with
}

func newLoad(ctx context.Context, o options, server *process) (l *load, err error) {
	l = &load{options: o, server: server, people: server.in.people, clients: server.in.clients}
	l.keys, err = l.fetchKeys(ctx)
	return l, err
}

// figures are what one measurement of an operation brought.
type figures struct {
	Operations    int           `json:"operations"`
	Elapsed       time.Duration `json:"elapsed_ns"`
	ServerCPU     time.Duration `json:"server_cpu_ns"`
	DatabaseCPU   time.Duration `json:"database_cpu_ns,omitempty"`
	Commits       int           `json:"commits"`            // several writes may share one
	Signature     time.Duration `json:"es256_signature_ns"` // CPU time of one, just before
	P50, P95, P99 time.Duration
}

// perCPUSecond counts the time of the database, too.
func (f figures) perCPUSecond() float64 {
	return float64(f.Operations) / (f.ServerCPU + f.DatabaseCPU).Seconds()
}

func (f figures) perSecond() float64 { return float64(f.Operations) / f.Elapsed.Seconds() }

// measure runs an operation on all clients at once. Only what ends between warm-up
// and end is counted.
func (l *load) measure(ctx context.Context, op operation) (figures, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signature, err := yardstick()
	if err != nil {
		return figures{}, err
	}
	run := &measurement{stop: make(chan struct{})}
	var wait sync.WaitGroup
	errs := make([]error, l.Clients)
	ready, begin := make(chan struct{}, l.Clients), make(chan struct{})
	for i := range errs {
		wait.Go(func() {
			c := newClient(l, op.counted)
			defer c.leave()
			do, err := op.begin(ctx, c)
			ready <- struct{}{}
			<-begin
			if err == nil {
				err = run.repeat(do)
			}
			if errs[i] = err; err != nil {
				cancel()
			}
		})
	}
	for range errs {
		<-ready
	}
	close(begin)
	f, err := l.watch(ctx, run)
	close(run.stop)
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return f, fmt.Errorf("%w\n%s", err, l.server.in.lastLog())
	}
	f.Signature = signature
	f.add(run.took)
	return f, err
}

// watch reads the clocks at the beginning and the end.
func (l *load) watch(ctx context.Context, run *measurement) (f figures, err error) {
	if err := wait(ctx, l.WarmUp); err != nil {
		return f, err
	}
	before, err := l.clocks()
	if err != nil {
		return f, err
	}
	run.record(true)
	if err := run.lasts(ctx, l.Duration); err != nil {
		return f, err
	}
	run.record(false)
	after, err := l.clocks()
	return figures{
		Elapsed: after.at.Sub(before.at), ServerCPU: after.server - before.server, DatabaseCPU: after.database - before.database,
		Commits: after.commits - before.commits,
	}, err
}

// wait returns nil after d, and an error if that is cut short.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

type clocks struct {
	at               time.Time
	server, database time.Duration
	commits          int
}

func (l *load) clocks() (c clocks, err error) {
	if c.commits, err = l.server.commits(); err != nil {
		return c, err
	}
	c.at = time.Now()
	if c.server, err = l.server.cpu(); err != nil || l.server.in.postgres == nil {
		return c, err
	}
	c.database, err = l.server.in.postgres.cpu()
	return c, err
}

// measurement is under way on several clients.
type measurement struct {
	stop chan struct{}

	mu        sync.Mutex
	recording bool
	took      []time.Duration
}

// lasts waits for d, and then for a first operation and the next tick of the clock.
func (m *measurement) lasts(ctx context.Context, d time.Duration) error {
	for {
		if err := wait(ctx, max(d, 2*tick)); err != nil {
			return err
		}
		m.mu.Lock()
		n := len(m.took)
		m.mu.Unlock()
		if d = 0; n > 0 {
			return nil
		}
	}
}

func (m *measurement) record(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.recording = on
}

// repeat does it until the measurement stops.
func (m *measurement) repeat(do func() error) error {
	for {
		select {
		case <-m.stop:
			return nil
		default:
		}
		began := time.Now()
		if err := do(); err != nil {
			return err
		}
		m.done(time.Since(began))
	}
}

func (m *measurement) done(took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.recording {
		m.took = append(m.took, took)
	}
}

// add counts what was done, and sorts it.
func (f *figures) add(took []time.Duration) {
	slices.Sort(took)
	f.Operations = len(took)
	f.P50, f.P95, f.P99 = quantile(took, 50), quantile(took, 95), quantile(took, 99)
}

// quantile of sorted times; 0 of none.
func quantile(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)-1)*percent/100]
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return quantile(d, 50)
}

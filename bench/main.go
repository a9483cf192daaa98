// Command bench measures what a real "sallyport serve" costs: it builds the
// binary, makes an installation for the occasion, sends it requests over loopback
// connections and checks every answer. A wrong answer ends the run: there are no
// figures of errors. It needs Linux, whose /proc says what a process has used.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"syscall"
	"time"
)

// options say what is measured, and how long.
type options struct {
	// Postgres is the URL of a PostgreSQL database to make a schema in; "" is SQLite.
	Postgres string
	// Clients is how many requests are under way at once.
	Clients int
	// WarmUp and Duration are of each operation, Rounds is how often all of them run.
	WarmUp, Duration time.Duration
	Rounds           int
	// Only names the operations that run; nil is all.
	Only *regexp.Regexp
	// Users is how many a full database has; 0 leaves the full database out.
	Users int
	// Idle is how long the server rests before its memory is read.
	Idle time.Duration
	// Restarts is how often it is stopped and started.
	Restarts int
	// Progress is told what is done next.
	Progress io.Writer
}

func main() {
	if err := command(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func command() error {
	o := options{Progress: os.Stderr}
	flag.StringVar(&o.Postgres, "postgres", "", "URL of a PostgreSQL database to make a schema in, which is dropped at the end; SQLite without it")
	flag.IntVar(&o.Clients, "clients", 8, "requests under way at once")
	flag.DurationVar(&o.WarmUp, "warmup", 2*time.Second, "before each measurement")
	flag.DurationVar(&o.Duration, "duration", 10*time.Second, "of each measurement")
	flag.IntVar(&o.Rounds, "rounds", 3, "measurements of each operation; the median counts")
	flag.IntVar(&o.Users, "users", 100_000, "of the full database, each with ten access tokens; 0 leaves it out")
	flag.DurationVar(&o.Idle, "idle", 30*time.Second, "rest before memory is read")
	flag.IntVar(&o.Restarts, "restarts", 9, "stops and starts of which the median counts")
	only := flag.String("only", "", "regular expression of the operations to measure")
	jsonFile := flag.String("json", "", "file that takes the figures as JSON, those of each round included")
	flag.Parse()
	if *only != "" {
		var err error
		if o.Only, err = regexp.Compile(*only); err != nil {
			return err
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := run(ctx, o)
	if err != nil {
		return err
	}
	if *jsonFile != "" {
		text, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(*jsonFile, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	return r.markdown(os.Stdout)
}

// run measures everything.
func run(ctx context.Context, o options) (r *report, err error) {
	if runtime.GOOS != "linux" {
		return nil, errors.New("it reads /proc, and needs Linux")
	}
	o.say("building and installing")
	in, err := install(ctx, o)
	if err != nil {
		return nil, err
	}
	defer in.remove(&err)
	r = newReport(o, in)
	if err := measureAll(ctx, o, in, r); err != nil {
		return nil, err
	}
	if o.Users > 0 {
		return r, measureFull(ctx, o, in, r)
	}
	return r, nil
}

// measureAll starts with a database that has nothing but what the measurements
// need.
func measureAll(ctx context.Context, o options, in *installation, r *report) error {
	var err error
	if r.Restart.Empty, err = in.restarts(ctx, o.Restarts); err != nil {
		return err
	}
	server, err := in.start(ctx)
	if err != nil {
		return err
	}
	defer server.kill()
	if r.Memory.Started, err = server.restingMemory(ctx, o.Idle); err != nil {
		return err
	}
	l, err := newLoad(ctx, o, server)
	if err != nil {
		return err
	}
	for round := range o.Rounds {
		for _, op := range operations {
			if o.Only != nil && !o.Only.MatchString(op.name) {
				continue
			}
			o.say("round %d of %d: %s", round+1, o.Rounds, op.name)
			f, err := l.measure(ctx, op)
			if err != nil {
				return fmt.Errorf("%s: %w", op.name, err)
			}
			r.add(op, f)
		}
	}
	if r.Memory.Loaded, err = server.memory(); err != nil {
		return err
	}
	if r.Memory.Rested, err = server.restingMemory(ctx, o.Idle); err != nil {
		return err
	}
	return server.stop()
}

// measureFull goes on with a database that has many users.
func measureFull(ctx context.Context, o options, in *installation, r *report) (err error) {
	o.say("filling the database with %d users", o.Users)
	if r.Rows, err = in.fill(ctx, o.Users); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	o.say("restarting with them")
	if r.Restart.Full, err = in.restarts(ctx, o.Restarts); err != nil {
		return err
	}
	server, err := in.start(ctx)
	if err != nil {
		return err
	}
	defer server.kill()
	if r.Memory.Full, err = server.restingMemory(ctx, o.Idle); err != nil {
		return err
	}
	l, err := newLoad(ctx, o, server)
	if err != nil {
		return err
	}
	for range o.Rounds {
		for _, op := range operations {
			if !op.inFull || o.Only != nil && !o.Only.MatchString(op.name) {
				continue
			}
			o.say("full database: %s", op.name)
			f, err := l.measure(ctx, op)
			if err != nil {
				return fmt.Errorf("%s in a full database: %w", op.name, err)
			}
			r.addFull(op, f)
		}
	}
	return server.stop()
}

func (o options) say(format string, args ...any) {
	fmt.Fprintf(o.Progress, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

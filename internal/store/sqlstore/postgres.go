package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/sallyport-id/sallyport/internal/store"
)

const (
	// postgresConns is how many connections a process keeps: few enough that four
	// nodes stay below PostgreSQL's default of 100.
	postgresConns = 16
	// postgresLine is how long a verb or a query waits for a connection.
	postgresLine = 5 * time.Second
	// postgresPatience is how long a verb or a query may take from its first
	// statement to its commit. The server's own timeouts come before it; it is for
	// a server that is gone.
	postgresPatience = 15 * time.Second
	// postgresPatienceAlone is that of a verb that nobody waits behind.
	postgresPatienceAlone = time.Hour
	// postgresTries is how often a verb runs at most.
	postgresTries = 10
)

// postgresDefaults are what a URL leaves out.
var postgresDefaults = map[string]string{
	"application_name":                    "sallyport",
	"connect_timeout":                     "10", // seconds
	"statement_timeout":                   "10s",
	"idle_in_transaction_session_timeout": "30s",
}

// postgres is a PostgreSQL database. Each verb is a transaction of its own, on
// any connection of a pool that stays warm.
//
// A transaction sees what others commit meanwhile (READ COMMITTED), whatever the
// server's default: the conditional write of a verb waits for whoever has the row,
// and asks its condition again.
type postgres struct {
	db             *sql.DB
	line, patience time.Duration
	closed         atomic.Bool
	commits        atomic.Int64
}

func openPostgres(ctx context.Context, address string) (*postgres, error) {
	config, err := parseURL(address)
	if err != nil {
		return nil, err
	}
	if err := migratePostgres(ctx, config); err != nil {
		return nil, err
	}
	return newPostgres(config), nil
}

func newPostgres(config *pgx.ConnConfig) *postgres {
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(postgresConns)
	db.SetMaxIdleConns(postgresConns)
	return &postgres{db: db, line: postgresLine, patience: postgresPatience}
}

// errURL says no more: a URL that cannot be read may have its password anywhere.
var errURL = errors.New(`sqlstore: the URL of the database cannot be read: want postgres://user:password@host:port/name?option=value, reserved characters percent-encoded`)

// parseURL adds to the URL what it leaves out. The server's certificate is checked
// unless the URL has another sslmode, or the server is on this machine.
func parseURL(address string) (*pgx.ConnConfig, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Fragment != "" || strings.Contains(u.Path, "@") {
		return nil, errURL
	}
	q := u.Query()
	for name, value := range postgresDefaults {
		if !q.Has(name) {
			q.Set(name, value)
		}
	}
	if !q.Has("sslmode") && !isLocal(cmp.Or(q.Get("host"), u.Hostname())) {
		q.Set("sslmode", "verify-full")
	}
	u.RawQuery = q.Encode()
	config, err := pgx.ParseConfig(u.String())
	if err != nil {
		return nil, errURL
	}
	return config, nil
}

// isLocal: a loopback host, or the directory of a socket.
func isLocal(host string) bool {
	return host == "localhost" || strings.HasPrefix(host, "/") || net.ParseIP(host).IsLoopback()
}

// write runs a verb, and runs it again while the server takes it back for the sake
// of others: a deadlock, or a transaction that cannot be put in order with theirs.
// Any other failure, of the commit above all, leaves open what happened.
func (p *postgres) write(ctx context.Context, l lane, do step) error {
	patience := p.patience
	if l == alone {
		patience, do = postgresPatienceAlone, all(exec(`SET LOCAL statement_timeout = 0`), do)
	}
	for try := 1; ; try++ {
		err := p.once(ctx, patience, do)
		if !takenBack(err) || try == postgresTries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(rand.N(time.Duration(try) * 10 * time.Millisecond)):
		}
	}
}

// takenBack says whether the server has certainly rolled the transaction back, and
// the same may succeed now.
func takenBack(err error) bool {
	const serializationFailure, deadlockDetected = "40001", "40P01"
	code := sqlState(err)
	return code == serializationFailure || code == deadlockDetected
}

// sqlState is the code of the server's error; "" if it is not the server's.
func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// once runs a verb. If ctx ends before it has a connection it does not happen; from
// then on ctx does not matter: to cancel would cost the connection, and leave open
// what happened.
func (p *postgres) once(ctx context.Context, patience time.Duration, do step) error {
	return p.use(ctx, patience, func(ctx context.Context, conn *sql.Conn) error {
		own, err := conn.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
		if err != nil {
			return fmt.Errorf("sqlstore: begin: %w", err)
		}
		if err := (&tx{ctx: ctx, querier: own}).try(do); err != nil {
			_ = own.Rollback() // if that fails, too, the connection is given up, which does it
			return err
		}
		if err := own.Commit(); err != nil {
			return fmt.Errorf("sqlstore: commit: %w", err)
		}
		p.commits.Add(1)
		return nil
	})
}

// use waits for a connection as long as ctx lives, though not for ever, and calls do
// with a context that has a deadline of its own.
func (p *postgres) use(ctx context.Context, patience time.Duration, do func(context.Context, *sql.Conn) error) error {
	conn, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	err = do(own, conn)
	switch {
	case err == nil:
		return nil
	case lost(conn):
		p.forgetIdle()
		return fmt.Errorf("%w: the connection was lost: %w", store.ErrUnavailable, err)
	case notNow(err):
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return err
}

func (p *postgres) connect(ctx context.Context) (*sql.Conn, error) {
	line, cancel := context.WithTimeout(ctx, p.line)
	defer cancel()
	conn, err := p.db.Conn(line)
	switch {
	case err == nil:
		return conn, nil
	case p.closed.Load():
		return nil, ErrClosed
	case ctx.Err() != nil:
		return nil, fmt.Errorf("sqlstore: connect: %w", ctx.Err())
	}
	return nil, fmt.Errorf("sqlstore: connect: %w: %w", store.ErrUnavailable, err)
}

// lost reports whether the connection has been given up.
func lost(conn *sql.Conn) bool {
	return conn.Raw(func(driver any) error {
		if driver.(*stdlib.Conn).Conn().IsClosed() {
			return sql.ErrConnDone
		}
		return nil
	}) != nil
}

// forgetIdle closes the connections that nobody uses: where one was lost, so are
// they, and each of them would cost somebody an error.
func (p *postgres) forgetIdle() {
	p.db.SetMaxIdleConns(0)
	p.db.SetMaxIdleConns(postgresConns)
}

// notNow reports whether the server may do at another time what it did not do: it
// cannot be connected to, lacks a resource (its disk, too), was told to stop,
// is a standby, or others were in the way (PostgreSQL, Appendix A).
func notNow(err error) bool {
	const readOnly, lockNotAvailable = "25006", "55P03"
	code := sqlState(err)
	if len(code) != 5 {
		return false
	}
	switch code[:2] {
	case "08", "40", "53", "57", "58":
		return true
	}
	return code == readOnly || code == lockNotAvailable
}

// read finds nothing for a text that PostgreSQL cannot hold (a zero byte, no
// UTF-8): no row has it. It ends with ctx's deadline, and does not watch ctx else.
func (p *postgres) read(ctx context.Context, query string, args []any, scan func(*sql.Rows) error) error {
	const notInRepertoire = "22021"
	deadline, bounded := ctx.Deadline()
	err := p.use(ctx, p.patience, func(ctx context.Context, conn *sql.Conn) error {
		if bounded {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline)
			defer cancel()
		}
		return scanRows(ctx, conn, query, args, scan)
	})
	if sqlState(err) == notInRepertoire {
		return nil
	}
	return err
}

func (p *postgres) clock(ctx context.Context) (t time.Time, err error) {
	err = p.read(ctx, `SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)`, nil, func(r *sql.Rows) error {
		return r.Scan(at{&t})
	})
	return t, err
}

func (p *postgres) close() error {
	p.closed.Store(true)
	return p.db.Close()
}

// Stats returns what was done since Open. Nothing waits but for a connection.
func (p *postgres) Stats() Stats {
	return Stats{Commits: p.Commits(), Writes: p.Writes(), Connections: p.db.Stats()}
}

// Commits returns how many transactions were committed since Open.
func (p *postgres) Commits() int64 { return p.commits.Load() }

// Writes returns how many verbs were committed: one a transaction.
func (p *postgres) Writes() int64 { return p.commits.Load() }

// Failed is never closed: the server answers for its disk, and a connection that
// is lost is made anew.
func (p *postgres) Failed() <-chan struct{} { return nil }

// Err is nil.
func (p *postgres) Err() error { return nil }

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"github.com/sallyport-id/sallyport/internal/store"
)

// schema is one of our own in somebody's PostgreSQL database.
type schema struct {
	admin, name string
	url         string // of a connection whose tables are in it
	version     string // of the server
	// server is the process that all others of the server are children of; 0 if the
	// server is not on this machine.
	server int
}

// newSchema makes one and finds the server's processes. The URL is in no error: it
// has a password.
func newSchema(ctx context.Context, address string) (s *schema, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the URL of the database cannot be read")
	}
	s = &schema{admin: address, name: "bench_" + store.NewID()}
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(ctx)
	var backend int
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid(), 'PostgreSQL ' || current_setting('server_version')").Scan(&backend, &s.version); err != nil {
		return nil, err
	}
	if st, err := readStat(backend); err == nil && strings.HasPrefix(st.name, "postgres") {
		s.server = st.parent
	}
	if s.server == 0 {
		return nil, errors.New("the database's processes are not on this machine: what they use could not be counted")
	}
	if _, err := conn.Exec(ctx, `CREATE SCHEMA "`+s.name+`"`); err != nil {
		return nil, err
	}
	q := u.Query()
	q.Set("search_path", s.name)
	u.RawQuery = q.Encode()
	s.url = u.String()
	return s, nil
}

// withoutPassword is the URL without its password, which no argument may have, and
// that.
func (s *schema) withoutPassword() (address, password string) {
	u, err := url.Parse(s.url)
	if err != nil {
		return "", ""
	}
	password, _ = u.User.Password()
	u.User = url.User(u.User.Username())
	return u.String(), password
}

func (s *schema) drop() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.admin)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, `DROP SCHEMA "`+s.name+`" CASCADE`)
	return err
}

// cpu is what the database's processes have used so far, whoever they served.
func (s *schema) cpu() (time.Duration, error) { return familyCPU(s.server) }

// dialect is where the two databases differ.
type dialect struct {
	driver string
	random string // an expression: 32 random bytes
	// sizes is a query for the bytes of each table, its indexes included.
	sizes string
}

var (
	sqliteDialect = dialect{"sqlite", "randomblob(32)",
		`SELECT m.tbl_name, sum(s.pgsize) FROM dbstat s JOIN sqlite_master m ON m.name = s.name GROUP BY 1`}
	postgresDialect = dialect{"pgx", "uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())",
		`SELECT c.relname, pg_total_relation_size(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = current_schema() AND c.relkind = 'r'`}
)

// openSQL opens the database beside the server.
func (in *installation) openSQL() (*sql.DB, dialect, error) {
	d, source := postgresDialect, in.database
	if in.postgres == nil {
		d, source = sqliteDialect, "file:"+in.database+"?_pragma=busy_timeout(10000)&_pragma=synchronous(OFF)&_pragma=cache_size(-200000)"
	}
	db, err := sql.Open(d.driver, source)
	if err != nil {
		return nil, d, err
	}
	db.SetMaxOpenConns(1)
	return db, d, nil
}

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// perStatement is how many rows are copied by one statement.
const perStatement = 50_000

// copies fills a table with copies of a row that the server has written.
type copies struct {
	table string
	each  int    // copies for one user
	like  string // finds the row
	// set says what differs: an expression of SQL, in which {{user}} is the number
	// of the copy's user and {{copy}} its own; "" leaves the column to the database.
	set map[string]string
}

// keep is a time in a day: nothing that was filled in is swept away meanwhile.
func (in *installation) copies(d dialect) []copies {
	user, grant := newNumbering("{{user}}"), newNumbering("{{user}}")
	session, totp, recovery := newNumbering("{{user}}"), newNumbering("{{user}}"), newNumbering("{{user}}")
	later := fmt.Sprint(time.Now().Add(24 * time.Hour).UnixMilli())
	login := "'filled' || {{user}}"
	ofP0 := `user_id = (SELECT id FROM users WHERE login = 'p0')`
	ofGrant := `grant_id IN (SELECT id FROM grants WHERE client_id = 'spa')`
	return []copies{
		{"users", 1, `login = 'p0'`, map[string]string{"id": user, "login": login, "login_key": login, "email": login + " || '@example.com'"}},
		{"authenticators", 1, ofP0 + ` AND kind = 'totp'`, map[string]string{"id": totp, "user_id": user}},
		{"authenticators", 1, ofP0 + ` AND kind = 'recovery'`, map[string]string{"id": recovery, "user_id": user}},
		{"recovery_codes", 10, `used_at = 0`, map[string]string{"authenticator_id": recovery, "hash": d.random}},
		{"sessions", 1, `1 = 1`, map[string]string{"id": session, "secret_hash": d.random, "user_id": user, "expires_at": later}},
		{"proofs", 2, `1 = 1`, map[string]string{"session_id": session, "seq": "{{copy}}"}},
		{"grants", 1, `client_id = 'spa'`, map[string]string{"id": grant, "user_id": user, "session_id": session}},
		{"codes", 1, ofGrant, map[string]string{"id": newNumbering("{{copy}}"), "secret_hash": d.random, "grant_id": grant, "needed_until": later}},
		{"refresh_tokens", 1, ofGrant, map[string]string{"id": newNumbering("{{copy}}"), "secret_hash": d.random, "grant_id": grant,
			"expires_at": later, "used_at": "0", "successor": "''", "needed_until": later}},
		{"access_tokens", 10, ofGrant, map[string]string{"id": newNumbering("{{copy}}"), "secret_hash": d.random, "grant_id": grant, "expires_at": later}},
		{"audit", 5, `type = 'token.code'`, map[string]string{"id": "", "user_id": user, "session": session, "detail": grant}},
	}
}

// newNumbering is an expression for ids as store.NewID makes them: of their length,
// and ascending.
func newNumbering(number string) string {
	return fmt.Sprintf("'%s' || CAST(1000000000 + %s AS text)", store.NewID()[:16], number)
}

// rowSize is how much of a database one of a kind takes.
type rowSize struct {
	Table string  `json:"table"`
	Rows  int     `json:"rows"`
	Bytes float64 `json:"bytes_per_row"` // indexes included
}

// fill copies what the server has written until there are so many users more, and
// returns what the rows of each table take.
func (in *installation) fill(ctx context.Context, users int) (sizes []rowSize, err error) {
	if err := in.seed(ctx); err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	db, d, err := in.openSQL()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	before, err := bytesOf(ctx, db, d)
	if err != nil {
		return nil, err
	}
	rows := map[string]int{}
	for _, c := range in.copies(d) {
		if err := c.insert(ctx, db, users); err != nil {
			return nil, fmt.Errorf("%s: %w", c.table, err)
		}
		rows[c.table] += c.each * users
	}
	if in.postgres != nil { // which does so by itself before long; SQLite and the server never do
		if _, err := db.ExecContext(ctx, "ANALYZE"); err != nil {
			return nil, err
		}
	}
	after, err := bytesOf(ctx, db, d)
	for _, table := range slices.Sorted(maps.Keys(rows)) {
		sizes = append(sizes, rowSize{table, rows[table], float64(after[table]-before[table]) / float64(rows[table])})
	}
	return sizes, err
}

// seed lets the server write one of each, with nothing else before it.
func (in *installation) seed(ctx context.Context) error {
	server, err := in.start(ctx)
	if err != nil {
		return err
	}
	defer server.kill()
	l, err := newLoad(ctx, options{}, server)
	if err != nil {
		return err
	}
	c := newClient(l, 0)
	defer c.leave()
	if _, _, _, err := c.session(ctx, in.clients.spa); err != nil {
		return err
	}
	return server.stop()
}

func (c copies) insert(ctx context.Context, db *sql.DB, users int) error {
	columns, err := c.columns(ctx, db)
	if err != nil {
		return err
	}
	var names, values []string
	for _, name := range columns {
		value, differs := c.set[name]
		if !differs {
			value = "t." + name
		}
		if value != "" {
			names, values = append(names, name), append(values, value)
		}
	}
	statement := fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT {{from}} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {{to}})
		INSERT INTO %[1]s (%[2]s) SELECT %[3]s FROM (SELECT * FROM %[1]s WHERE %[4]s LIMIT 1) t, n`,
		c.table, strings.Join(names, ", "), strings.Join(values, ", "), c.like)
	for from := 0; from < users*c.each; from += perStatement {
		to := min(from+perStatement, users*c.each)
		text := strings.NewReplacer("{{from}}", fmt.Sprint(from), "{{to}}", fmt.Sprint(to),
			"{{user}}", fmt.Sprintf("(n.i / %d)", c.each), "{{copy}}", "n.i").Replace(statement)
		result, err := db.ExecContext(ctx, text)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || int(n) != to-from {
			return fmt.Errorf("copied %d rows, want %d: is there one to copy? %w", n, to-from, err)
		}
	}
	return nil
}

func (c copies) columns(ctx context.Context, db *sql.DB) ([]string, error) {
	rows, err := db.QueryContext(ctx, "SELECT * FROM "+c.table+" LIMIT 0")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	return columns, errors.Join(err, rows.Err())
}

// bytesOf is the size of each table.
func bytesOf(ctx context.Context, db *sql.DB, d dialect) (map[string]int64, error) {
	rows, err := db.QueryContext(ctx, d.sizes)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	sizes := map[string]int64{}
	for rows.Next() {
		var table string
		var size int64
		if err := rows.Scan(&table, &size); err != nil {
			return nil, err
		}
		sizes[table] = size
	}
	return sizes, rows.Err()
}

package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"
	"sync"
	"testing"
)

var errDisk = errors.New("the disk is gone")

// faulty is the SQLite driver on a disk that fails at some commit.
type faulty struct {
	name string
	driver.Driver
	mu      sync.Mutex
	commits int64    // until the failing one; 0: it has come, or none will
	failed  bool     // it has come
	sent    []string // after it
}

func registerFaulty(t *testing.T) *faulty {
	t.Helper()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	d := &faulty{name: t.Name(), Driver: db.Driver()}
	sql.Register(d.name, d)
	return d
}

// failAt lets a commit fail that is still to come; the next is number 1.
func (d *faulty) failAt(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.commits = n
}

func (d *faulty) sentAfter() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.sent)
}

// send says whether the statement fails.
func (d *faulty) send(query string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed {
		d.sent = append(d.sent, query)
	}
	if query != "COMMIT" || d.commits == 0 {
		return nil
	}
	if d.commits--; d.commits > 0 {
		return nil
	}
	d.failed = true
	return errDisk
}

func (d *faulty) Open(name string) (driver.Conn, error) {
	c, err := d.Driver.Open(name)
	return &faultyConn{c, d}, err
}

type faultyConn struct {
	driver.Conn
	d *faulty
}

func (c *faultyConn) Prepare(query string) (driver.Stmt, error) {
	s, err := c.Conn.Prepare(query)
	return &faultyStmt{s, query, c.d}, err
}

type faultyStmt struct {
	driver.Stmt
	query string
	d     *faulty
}

// ExecContext is what writes go through; reads go through Query.
func (s *faultyStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := s.d.send(s.query); err != nil {
		return nil, err
	}
	return s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

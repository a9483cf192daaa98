package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
)

// sealedColumn is a column of sealed values. Rows are named by id.
type sealedColumn struct {
	table, column string
	owner         string // an expression: the user or the client that the value belongs to
	only          string // a condition: which rows have one
}

// sealedColumns are all that is sealed and kept, in the order of their names.
var sealedColumns = []sealedColumn{
	{"authenticators", "secret", "user_id", "kind = 'totp'"},
	{"client_secrets", "sealed", "client_id", "1 = 1"},
	{"server_secrets", "sealed", "''", "1 = 1"},
	{"signing_keys", "sealed", "''", "1 = 1"},
}

func (c sealedColumn) before(v store.SealedValue) bool {
	return c.table < v.Table || c.table == v.Table && c.column < v.Column
}

// SealedValues implements store.Sealed.
func (s *Store) SealedValues(ctx context.Context, after store.SealedValue, limit int) (list []store.SealedValue, err error) {
	for _, c := range sealedColumns {
		if c.before(after) {
			continue
		}
		row := ""
		if c.table == after.Table && c.column == after.Column {
			row = after.Row
		}
		query := `SELECT id, ` + c.owner + `, ` + c.column + ` FROM ` + c.table + ` WHERE id > $1 AND ` + c.only + ` ORDER BY id LIMIT $2`
		err := s.read(ctx, query, []any{row, limit - len(list)}, func(r *sql.Rows) error {
			v := store.SealedValue{Table: c.table, Column: c.column}
			err := r.Scan(&v.Row, &v.Owner, &v.Sealed)
			list = append(list, v)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// ReplaceSealed implements store.Sealed.
func (s *Store) ReplaceSealed(ctx context.Context, old []store.SealedValue, fresh [][]byte) (n int, err error) {
	replaced := int64(0)
	steps := []step{func(*tx) error { replaced = 0; return nil }} // a verb may run again
	for i, v := range old {
		j := slices.IndexFunc(sealedColumns, func(c sealedColumn) bool { return c.table == v.Table && c.column == v.Column })
		if j < 0 {
			return 0, fmt.Errorf("sqlstore: nothing is sealed in %s.%s", v.Table, v.Column)
		}
		query := `UPDATE ` + v.Table + ` SET ` + v.Column + ` = $3 WHERE id = $1 AND ` + v.Column + ` = $2`
		steps = append(steps, func(t *tx) error {
			n, err := t.count(query, v.Row, v.Sealed, fresh[i])
			replaced += n
			return err
		})
	}
	if err := s.update(ctx, steps...); err != nil {
		return 0, err
	}
	return int(replaced), nil
}

// PassingSealed implements store.Sealed.
func (s *Store) PassingSealed(ctx context.Context, now time.Time) (list [][]byte, err error) {
	err = s.read(ctx, `SELECT progress FROM interactions WHERE expires_at > $1`, []any{ms(now)}, func(r *sql.Rows) error {
		var p store.Progress
		if err := r.Scan(fromJSON{&p}); err != nil {
			return err
		}
		if p.Enrolling != nil {
			list = append(list, p.Enrolling.Secret)
		}
		if len(p.Codes) > 0 {
			list = append(list, p.Codes)
		}
		return nil
	})
	return list, err
}

package sqlstore

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
)

// schema is a database below the store: its tables, whatever they are.
type schema struct {
	*sql.DB
	testing.TB
	dialect
	tables, columns string // queries
}

func openSchema(t testing.TB, c Config) *schema {
	t.Helper()
	s := &schema{
		TB: t, dialect: sqliteDialect,
		tables: `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`,
		columns: `SELECT name, lower(type), CASE WHEN ("notnull" = 1 OR pk > 0 AND type <> 'INTEGER') AND dflt_value IS NULL THEN 1 ELSE 0 END
			FROM pragma_table_info($1) ORDER BY cid`,
	}
	var err error
	if c.Path != "" {
		s.DB, err = sql.Open("sqlite", dsn(c.Path))
	} else {
		s.dialect = postgresDialect
		s.tables = `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() ORDER BY table_name`
		s.columns = `SELECT column_name, data_type, CASE WHEN is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO' THEN 1 ELSE 0 END
			FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position`
		config, parseErr := parseURL(c.URL)
		if parseErr != nil {
			t.Fatal(parseErr)
		}
		s.DB = stdlib.OpenDB(*config)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.DB.Close() })
	return s
}

func (s *schema) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// rows reads a query whose columns are all text or numbers.
func (s *schema) rows(query string, args ...any) (list [][]string) {
	s.Helper()
	rows, err := s.QueryContext(s.Context(), query, args...)
	s.must(err)
	defer rows.Close()
	names, err := rows.Columns()
	s.must(err)
	for rows.Next() {
		row, into := make([]sql.NullString, len(names)), make([]any, len(names))
		for i := range row {
			into[i] = &row[i]
		}
		s.must(rows.Scan(into...))
		texts := make([]string, len(row))
		for i, v := range row {
			texts[i] = v.String
		}
		list = append(list, texts)
	}
	s.must(rows.Err())
	return list
}

// tableNames are our tables.
func (s *schema) tableNames() (names []string) {
	s.Helper()
	for _, row := range s.rows(s.tables) {
		if row[0] != "goose_db_version" {
			names = append(names, row[0])
		}
	}
	return names
}

// column of a table. needed: an INSERT must name it.
type column struct {
	name, kind string
	needed     bool
}

func (s *schema) columnsOf(table string) (list []column) {
	s.Helper()
	for _, row := range s.rows(s.columns, table) {
		list = append(list, column{row[0], row[1], row[2] == "1"})
	}
	return list
}

func columnNames(list []column) string {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = `"` + c.name + `"`
	}
	return strings.Join(names, ", ")
}

// fill puts one row into each table: "x", 1 or a byte in each column, so that rows
// refer to each other.
func (s *schema) fill() {
	s.Helper()
	left := s.tableNames()
	for range len(left) { // a table at least each time, whichever order they need
		left = slices.DeleteFunc(left, func(table string) bool { return s.insert(table) == nil })
	}
	for _, table := range left {
		s.Fatalf("no row goes into %s: %v", table, s.insert(table))
	}
}

func (s *schema) insert(table string) error {
	var places []string
	var args []any
	columns := slices.DeleteFunc(s.columnsOf(table), func(c column) bool { return !c.needed })
	for i, c := range columns {
		places = append(places, fmt.Sprintf("$%d", i+1))
		switch c.kind {
		case "text":
			args = append(args, "x")
		case "blob", "bytea":
			args = append(args, []byte("x"))
		default:
			args = append(args, 1)
		}
	}
	_, err := s.ExecContext(s.Context(), `INSERT INTO `+table+` (`+columnNames(columns)+`) VALUES (`+strings.Join(places, ", ")+`)`, args...)
	return err
}

// TestRestoreKnowsEveryTable: whoever adds one says what a restore does with it.
// What may be used once, or be ended or taken back, must not come to life again:
// it is in endedByRestore. Else it is here, with the reason.
func TestRestoreKnowsEveryTable(t *testing.T) {
	t.Parallel()
	kept := map[string]string{
		"meta":           "facts about the database itself",
		"clients":        "durable",
		"users":          "durable; epoch raised, the right to enrol void",
		"authenticators": "durable; TOTP steps raised",
		"recovery_codes": "all used",
		"credentials":    "durable: the challenges that could be answered again are gone",
		"resources":      "durable",
		"throttle":       "counts never fall by more than what came after the backup",
		"signing_keys":   "durable",
		"client_secrets": "durable, as hashes of secrets are in clients",
		"server_secrets": "durable: what is computed with them must stay the same",
		"audit":          "what happened",
		"policy_rules":   "durable",
		"logouts":        "told twice does no harm; untold does",
	}
	with := map[string]string{"proofs": "sessions", "codes": "grants", "refresh_tokens": "grants", "device_secrets": "trusted_devices", "session_clients": "sessions"} // go with what they refer to
	for name, config := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config(t)
			store := openStore(t, c)
			s := openSchema(t, c)
			s.fill()
			if _, err := store.AfterRestore(t.Context(), 1, time.Now()); err != nil {
				t.Fatal(err)
			}
			for _, table := range s.tableNames() {
				want := "1"
				switch ended := slices.Contains(endedByRestore, table) || with[table] != ""; {
				case ended && kept[table] != "":
					t.Errorf("%s is in two lists", table)
				case ended:
					want = "0"
				case kept[table] == "":
					t.Errorf("what does a restore do with %s? See endedByRestore", table)
				}
				if got := s.rows(`SELECT count(*) FROM ` + table)[0][0]; got != want {
					t.Errorf("%s has %s rows after a restore, want %s", table, got, want)
				}
			}
		})
	}
}

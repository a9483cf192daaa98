package sqlstore

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/pressly/goose/v3"

	"github.com/sallyport-id/sallyport/internal/store/storetest"
)

var recordStatements = flag.Bool("record", false, "record the statements of a release, in testdata/statements")

// timeline is the migrations, the oldest first, by number.
func timeline(t testing.TB) (names []string) {
	t.Helper()
	entries, err := migrations.ReadDir("migrations")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// newestNumber is the number of the newest migration, as it stands in its name.
func newestNumber(t testing.TB) string {
	t.Helper()
	names := timeline(t)
	number, _, _ := strings.Cut(names[len(names)-1], "_")
	return number
}

// upTo applies the first n migrations.
func (s *schema) upTo(n int) {
	s.Helper()
	if n == 0 {
		return
	}
	all, err := fs.Sub(migrations, "migrations")
	s.must(err)
	provider, err := goose.NewProvider(s.goose, s.DB, typed{all, s.types}, goose.WithDisableGlobalRegistry(true))
	s.must(err)
	_, err = provider.UpTo(s.Context(), provider.ListSources()[n-1].Version)
	s.must(err)
}

// TestMigrateFromTheReleaseBefore: of four processes that start at once on a
// database of before the newest migration one migrates it, all can work with it,
// and every row is still there.
func TestMigrateFromTheReleaseBefore(t *testing.T) {
	t.Parallel()
	for name, config := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config(t)
			s := openSchema(t, c)
			s.upTo(len(timeline(t)) - 1)
			s.fill()
			queries := map[string][][]string{}
			for _, table := range s.tableNames() {
				query := `SELECT ` + columnNames(s.columnsOf(table)) + ` FROM ` + table
				queries[query] = s.rows(query)
			}
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					store, err := Open(context.Background(), c)
					if err != nil {
						t.Error(err)
						return
					}
					if err := addUser(t.Context(), store); err != nil {
						t.Error(err)
					}
					if err := store.Close(); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			for query, want := range queries {
				if got := s.rows(query); len(got) < len(want) || !slices.ContainsFunc(got, func(row []string) bool { return slices.Equal(row, want[0]) }) {
					t.Errorf("%s: got %q, want %q among them", query, got, want)
				}
			}
			applied := s.rows(`SELECT count(*) FROM goose_db_version WHERE version_id > 0`)[0][0]
			if want := fmt.Sprint(len(timeline(t))); applied != want {
				t.Errorf("got %s migrations applied, want %s, each once", applied, want)
			}
		})
	}
}

// TestOldReleasesWorkOnNewTables: each statement of the releases that may run on
// the newest tables still fits them, and writes every column that must be written.
// The files of testdata/statements are named after the newest migration that a
// release knows; docs/operate/upgrade.md says when one is recorded.
func TestOldReleasesWorkOnNewTables(t *testing.T) {
	t.Parallel()
	if *recordStatements {
		record := filepath.Join("testdata", "statements", newestNumber(t)+".sql")
		if err := os.WriteFile(record, []byte(strings.Join(statementsOfNow(t), ";\n")+";\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, config := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config(t)
			s := openSchema(t, c)
			from := readableSince(t, openStore(t, c))
			checked := 0
			for file, statements := range recorded(t) {
				if file < from {
					continue
				}
				for _, statement := range statements {
					checked++
					if problem := s.fits(statement); problem != "" {
						t.Errorf("release with migration %s: %s\n%s", file, problem, statement)
					}
				}
			}
			if from == "" && checked < 50 {
				t.Errorf("checked %d statements: are they still read?", checked)
			}
		})
	}
}

// statementsOfNow are the statements that this release sends, in the contract suite.
func statementsOfNow(t *testing.T) (list []string) {
	t.Helper()
	t.Run("record", func(t *testing.T) {
		for _, c := range storetest.Checks {
			t.Run(c.Name, func(t *testing.T) {
				s := openStore(t, Config{Path: tempPath(t)})
				c.Run(t, s)
				file := s.database.(*sqliteFile)
				for _, p := range []*statements{&file.reads, &file.prepared} {
					p.prepared.Range(func(query, _ any) bool {
						list = append(list, strings.Join(strings.Fields(query.(string)), " "))
						return true
					})
				}
			})
		}
	})
	list = slices.DeleteFunc(list, func(s string) bool {
		return strings.HasPrefix(s, "BEGIN") || strings.HasPrefix(s, "COMMIT") || strings.HasPrefix(s, "ROLLBACK") || strings.Contains(s, "SAVEPOINT") || strings.HasPrefix(s, "RELEASE")
	})
	slices.Sort(list)
	return slices.Compact(list)
}

// recorded are the statements of old releases, by the newest migration they know.
func recorded(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("testdata/statements/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recorded statements: %v", err)
	}
	releases := map[string][]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		statements := strings.Split(strings.TrimSuffix(string(text), ";\n"), ";\n")
		releases[strings.TrimSuffix(filepath.Base(file), ".sql")] = statements
	}
	return releases
}

func readableSince(t *testing.T, s *Store) string {
	t.Helper()
	from, err := s.Meta(t.Context(), readableFrom)
	if err != nil {
		t.Fatal(err)
	}
	return from
}

var insertStatement = regexp.MustCompile(`^INSERT INTO (\w+) \(([^)]*)\)`)

// fits prepares a statement; "" if it fits.
func (s *schema) fits(statement string) (problem string) {
	s.Helper()
	prepared, err := s.PrepareContext(s.Context(), statement)
	if err != nil {
		return err.Error()
	}
	defer prepared.Close()
	m := insertStatement.FindStringSubmatch(statement)
	if m == nil {
		return ""
	}
	written := strings.Split(strings.ReplaceAll(m[2], " ", ""), ",")
	for _, c := range s.columnsOf(m[1]) {
		if c.needed && !slices.Contains(written, c.name) {
			return "it does not write " + m[1] + "." + c.name + ", which has no default"
		}
	}
	return ""
}

// TestOldReleasesBites: the check above sees what it is there for.
func TestOldReleasesBites(t *testing.T) {
	t.Parallel()
	for name, config := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config(t)
			openStore(t, c)
			s := openSchema(t, c)
			_, err := s.ExecContext(t.Context(), `CREATE TABLE demo (id INTEGER NOT NULL, added INTEGER NOT NULL)`)
			s.must(err)
			for statement, want := range map[string]string{
				`SELECT gone FROM demo WHERE id = $1`:          "gone",
				`SELECT id FROM nowhere`:                       "nowhere",
				`INSERT INTO demo (id) VALUES ($1)`:            "demo.added, which has no default",
				`INSERT INTO demo (id, added) VALUES ($1, $2)`: "",
			} {
				if got := s.fits(statement); (got == "") != (want == "") || !strings.Contains(got, want) {
					t.Errorf("%s: got %q, want %q", statement, got, want)
				}
			}
		})
	}
}

// TestOpenRefusesWhatItCannotRead: tables from which a later release has taken
// something away. What it has added is no reason.
func TestOpenRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	for name, config := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config(t)
			store := openStore(t, c)
			s := openSchema(t, c)
			newest, err := strconv.Atoi(newestNumber(t))
			s.must(err)
			_, err = s.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES ($1, $2)`, newest+7, true)
			s.must(err)
			for number, want := range map[string]string{
				"":                              "",
				fmt.Sprintf("%05d", newest):     "",
				fmt.Sprintf("%05d", newest+7):   "a later release has changed the database",
				"of a release that counts else": "a later release has changed the database",
			} {
				if number != "" {
					s.must(store.SetMeta(t.Context(), readableFrom, number))
				}
				again, err := Open(t.Context(), c)
				if err == nil {
					s.must(again.Close())
				}
				if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
					t.Errorf("readable from %q: got %v, want %q", number, err, want)
				}
				if number != "" {
					_, err = s.ExecContext(t.Context(), `DELETE FROM meta WHERE name = $1`, readableFrom)
					s.must(err)
				}
			}
		})
	}
}

// TestMigrationsOnlyAdd, so that the release before works on the new tables: or
// they say from which release on the tables can be read.
func TestMigrationsOnlyAdd(t *testing.T) {
	t.Parallel()
	for _, name := range timeline(t) {
		text, err := migrations.ReadFile("migrations/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range takesAway(string(text)) {
			t.Errorf("%s: %s: see docs/operate/upgrade.md", name, problem)
		}
	}
}

// TestMigrationsOnlyAddBites: the check above sees what it is there for.
func TestMigrationsOnlyAddBites(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want int // problems
	}{
		{"-- +goose Up\nCREATE TABLE a (id {{text}} PRIMARY KEY, b {{int64}} NOT NULL) {{strict}};\nCREATE UNIQUE INDEX a_b ON a (b);", 0},
		{"ALTER TABLE users ADD COLUMN phone {{text}} NOT NULL DEFAULT '';\nCREATE INDEX users_phone ON users (phone);", 0},
		{"ALTER TABLE users ADD COLUMN phone {{text}};\nUPDATE users SET phone = '';", 0},
		{"ALTER TABLE users ADD COLUMN phone {{text}} NOT NULL;", 1},
		{"ALTER TABLE users ADD COLUMN phone {{text}} UNIQUE;", 1},
		{"CREATE UNIQUE INDEX users_name ON users (name);", 1},
		{"ALTER TABLE users DROP COLUMN name;\nDROP TABLE consents;", 2},
		{"ALTER TABLE users RENAME COLUMN name TO full_name;", 1},
		{"DELETE FROM consents;", 1},
		{"DROP TABLE consents;\nINSERT INTO meta (name, value) VALUES ('readable_from', '00007')\n\tON CONFLICT (name) DO UPDATE SET value = excluded.value;", 0},
	} {
		if got := takesAway(c.text); len(got) != c.want {
			t.Errorf("%s\ngot %q, want %d problems", c.text, got, c.want)
		}
	}
}

var (
	sqlComment  = regexp.MustCompile(`--[^\n]*`)
	createTable = regexp.MustCompile(`^CREATE TABLE (\w+) `)
	createIndex = regexp.MustCompile(`^CREATE (UNIQUE )?INDEX \w+ ON (\w+) `)
	addColumn   = regexp.MustCompile(`^ALTER TABLE \w+ ADD COLUMN \w+ (.*)$`)
	setReadable = regexp.MustCompile(`'` + readableFrom + `'`)
)

// takesAway names the statements of a migration that an older release may not
// survive, unless the migration says so itself.
func takesAway(text string) (problems []string) {
	if setReadable.MatchString(text) {
		return nil
	}
	made := map[string]bool{}
	for statement := range strings.SplitSeq(sqlComment.ReplaceAllString(text, ""), ";") {
		statement = strings.Join(strings.Fields(statement), " ")
		table, index, column := createTable.FindStringSubmatch(statement), createIndex.FindStringSubmatch(statement), addColumn.FindStringSubmatch(statement)
		switch {
		case statement == "", strings.HasPrefix(statement, "UPDATE "), strings.HasPrefix(statement, "INSERT INTO "):
		case table != nil:
			made[table[1]] = true
		case index != nil && (index[1] == "" || made[index[2]]):
		case column != nil && !strings.Contains(column[1], "UNIQUE") && (!strings.Contains(column[1], "NOT NULL") || strings.Contains(column[1], "DEFAULT")):
		default:
			problems = append(problems, statement)
		}
	}
	return problems
}

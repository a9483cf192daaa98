package sqlstore

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/storetest"
)

// TestContract: SQLite keeps every promise.
func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t testing.TB) store.Store { return openStore(t, Config{Path: tempPath(t)}) })
}

// TestContractPostgres: so does PostgreSQL.
func TestContractPostgres(t *testing.T) {
	t.Parallel()
	server := testPostgres(t, 2)
	storetest.Run(t, func(t testing.TB) store.Store { return openStore(t, server.schema(t)) })
}

// TestPostgresNodes: two processes on one database are as one, in whatever is
// tried many times at once.
func TestPostgresNodes(t *testing.T) {
	t.Parallel()
	server := testPostgres(t, 1)
	for _, name := range []string{
		"CodeRedeemedOnce", "RotateRefreshOnce", "RotateRefreshOneDescendant", "RevokeUserEndsWhatIsBeingRotated",
		"TOTPStepAcceptedOnce", "TOTPStepsOnlyRise", "RecoveryCodeAcceptedOnce", "EnrollFirstOnce",
		"UpdateInteractionOneWinner", "FinishInteractionOnce", "RefuseOrFinishOnce", "FinishWhileTheSessionEnds",
		"AddProofNeverLost", "AddProofRotatesByVersion", "AttemptNeverLost", "AttemptStopsAtLimit", "SigningKeyOnlyFirst",
	} {
		i := slices.IndexFunc(storetest.Checks, func(c storetest.Check) bool { return c.Name == name })
		if i < 0 {
			t.Fatalf("there is no check %s", name)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := server.schema(t)
			storetest.Checks[i].Run(t, &Store{database: &nodes{all: [2]*Store{openStore(t, c), openStore(t, c)}}})
		})
	}
}

// databases are one of each kind.
var databases = map[string]func(testing.TB) Config{
	"SQLite":     func(t testing.TB) Config { return Config{Path: tempPath(t)} },
	"PostgreSQL": func(t testing.TB) Config { return testPostgres(t, 1).schema(t) },
}

func openStore(t testing.TB, c Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// nodes sends every other verb or query to the other database.
type nodes struct {
	database
	all  [2]*Store
	turn atomic.Int64
}

func (n *nodes) next() database { return n.all[n.turn.Add(1)%2].database }

func (n *nodes) write(ctx context.Context, l lane, do step) error { return n.next().write(ctx, l, do) }

func (n *nodes) read(ctx context.Context, query string, args []any, scan func(*sql.Rows) error) error {
	return n.next().read(ctx, query, args, scan)
}

// postgresTest is the PostgreSQL database that tests may make schemas in.
type postgresTest struct {
	url    string
	places chan struct{} // as many as leave connections for others
}

// testPostgres skips the test where there is none. So many schemas exist at once.
func testPostgres(t testing.TB, together int) *postgresTest {
	t.Helper()
	address := os.Getenv("SALLYPORT_TEST_POSTGRES")
	if address == "" && os.Getenv("CI") == "true" {
		t.Fatal("CI=true, and SALLYPORT_TEST_POSTGRES names no PostgreSQL database")
	}
	if address == "" {
		t.Skip("SALLYPORT_TEST_POSTGRES is not set: it is the URL of a PostgreSQL database to make schemas in; ./test starts one")
	}
	return &postgresTest{address, make(chan struct{}, together)}
}

// schema makes an empty schema, and drops it when the test is over.
func (p *postgresTest) schema(t testing.TB) Config {
	t.Helper()
	p.places <- struct{}{}
	t.Cleanup(func() { <-p.places })
	name := "test_" + strings.ToLower(store.NewID())
	p.exec(t, `CREATE SCHEMA "`+name+`"`)
	t.Cleanup(func() { p.exec(t, `DROP SCHEMA "`+name+`" CASCADE`) })
	return Config{URL: with(t, p.url, "search_path", name)}
}

func (p *postgresTest) exec(t testing.TB, statement string) {
	t.Helper()
	config, err := parseURL(p.url)
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*config)
	defer db.Close()
	if _, err := db.ExecContext(context.Background(), statement); err != nil {
		t.Fatal(err)
	}
}

// with is the URL with an option.
func with(t testing.TB, address, name, value string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal("SALLYPORT_TEST_POSTGRES is no URL")
	}
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}

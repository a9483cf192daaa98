package sqlstore

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/storetest"
)

// TestContract: SQLite keeps every promise.
func TestContract(t *testing.T) {
	t.Parallel()
	made := filepath.Join(t.TempDir(), "made.db") // making the tables takes longer than most checks
	if err := openTest(t, made).Close(); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Run(t, func(t testing.TB) store.Store {
		path := tempPath(t)
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
		return openStore(t, Config{Path: path})
	})
}

// TestContractPostgres: so does PostgreSQL.
func TestContractPostgres(t *testing.T) {
	t.Parallel()
	server := storetest.FindPostgres(t, 2)
	storetest.Run(t, func(t testing.TB) store.Store { return openStore(t, Config{URL: server.Schema(t)}) })
}

// TestPostgresNodes: two processes on one database are as one, in whatever is
// tried many times at once.
func TestPostgresNodes(t *testing.T) {
	t.Parallel()
	server := storetest.FindPostgres(t, 1)
	for _, name := range []string{
		"CodeRedeemedOnce", "RotateRefreshOnce", "RotateRefreshOneDescendant", "RevokeUserEndsWhatIsBeingRotated",
		"TOTPStepAcceptedOnce", "TOTPStepsOnlyRise", "RecoveryCodeAcceptedOnce", "EnrollFirstOnce",
		"UpdateInteractionOneWinner", "FinishInteractionOnce", "RefuseOrFinishOnce", "FinishWhileTheSessionEnds",
		"AddProofNeverLost", "AddProofRotatesByVersion", "AttemptNeverLost", "AttemptStopsAtLimit",
		"ResourceURIUnique", "ClientTokenEndsWithItsClient", "RevokeClientTokenOnce", "RevokeAccessTokenOnce",
		"SigningKeyOnlyFirst", "SigningKeyOneNext", "SigningKeyReplacedInAnEmergency", "SealedReplacedIfUnchanged",
		"PasswordResetOnce", "PasswordResetOrEnded", "NoticesBounded", "NextMailClaimedOnce", "PushedAnsweredOnce",
		"NextLogoutClaimedOnce", "LogoutOfTheLastAnswer", "LogoutOnceOfManyEnds",
	} {
		i := slices.IndexFunc(storetest.Checks, func(c storetest.Check) bool { return c.Name == name })
		if i < 0 {
			t.Fatalf("there is no check %s", name)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := Config{URL: server.Schema(t)}
			storetest.Checks[i].Run(t, &Store{database: &nodes{all: [2]*Store{openStore(t, c), openStore(t, c)}}})
		})
	}
}

// databases are one of each kind.
var databases = map[string]func(testing.TB) Config{
	"SQLite":     func(t testing.TB) Config { return Config{Path: tempPath(t)} },
	"PostgreSQL": postgresConfig,
}

func postgresConfig(t testing.TB) Config {
	t.Helper()
	return Config{URL: storetest.FindPostgres(t, 1).Schema(t)}
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

package storetest

import (
	"context"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport-id/sallyport/internal/store"
)

// Postgres is the PostgreSQL database that tests may make schemas in.
type Postgres struct {
	url    *url.URL
	places chan struct{}
}

// FindPostgres is the database that SALLYPORT_TEST_POSTGRES names; without it the
// test is skipped, or fails in CI. Of its schemas so many are there at once, so
// that connections are left for other tests.
func FindPostgres(t testing.TB, together int) *Postgres {
	t.Helper()
	address := os.Getenv("SALLYPORT_TEST_POSTGRES")
	if address == "" && os.Getenv("CI") == "true" {
		t.Fatal("CI=true, and SALLYPORT_TEST_POSTGRES names no PostgreSQL database")
	}
	if address == "" {
		t.Skip("SALLYPORT_TEST_POSTGRES is not set: it is the URL of a PostgreSQL database to make schemas in; ./test starts one")
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal("SALLYPORT_TEST_POSTGRES is no URL")
	}
	return &Postgres{u, make(chan struct{}, together)}
}

// Schema returns the URL of an empty schema, which is dropped after the test.
func (p *Postgres) Schema(t testing.TB) string {
	t.Helper()
	p.places <- struct{}{}
	t.Cleanup(func() { <-p.places })
	name := "test_" + strings.ToLower(store.NewID())
	p.exec(t, `CREATE SCHEMA "`+name+`"`)
	t.Cleanup(func() { p.exec(t, `DROP SCHEMA "`+name+`" CASCADE`) })
	u, q := *p.url, p.url.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String()
}

func (p *Postgres) exec(t testing.TB, statement string) {
	t.Helper()
	ctx := context.Background() // the test's own has ended when it is cleaned up
	conn, err := pgx.Connect(ctx, p.url.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatal(err)
	}
}

//go:build !unix

package sqlstore

import "context"

// lockFile does nothing where there is no flock: there, one process at a time
// may migrate.
func lockFile(context.Context, string) (unlock func(), err error) { return func() {}, nil }

package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

// metaMode is the name of the database's mark: what it was made for.
const metaMode = "mode"

// installedMark is set by init, in the last moment of it. Without it nothing but
// init touches a database.
const installedMark = "installed"

// checkInstalled proves that a database is one that init has made. It changes
// nothing in it, whatever the file is.
func checkInstalled(ctx context.Context, path string) error {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("there is no database %s: \"sallyport init\" makes one", path)
	}
	switch mode, err := sqlstore.Peek(ctx, path, metaMode); {
	case err != nil:
		return fmt.Errorf("look into database %s: %w", path, err)
	case mode == devMark:
		return fmt.Errorf("%s is the database of a \"sallyport dev\", and stays that: \"sallyport init\" makes another", path)
	case mode != installedMark:
		return fmt.Errorf("the database %s was not made by \"sallyport init\"", path)
	}
	return nil
}

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

// onPostgres says whether the database is a URL, not a file.
func (s *settings) onPostgres() bool { return sqlstore.At(s.Database).URL != "" }

// databaseAt is the path or URL of the database, with the password of its file.
func (s *settings) databaseAt() (string, error) {
	if s.DatabasePasswordFile == "" {
		return s.Database, nil
	}
	password, err := readSecretFile(s.DatabasePasswordFile)
	if err != nil {
		return "", fmt.Errorf("database_password_file: %w", err)
	}
	u, err := url.Parse(s.Database)
	if err != nil {
		return "", errors.New("the URL of the database cannot be read")
	}
	u.User = url.UserPassword(u.User.Username(), password)
	return u.String(), nil
}

// longestSecret bounds what is read of a file that holds one, in bytes.
const longestSecret = 4096

// readSecretFile reads the first line of a file. An empty one is an error.
func readSecretFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, longestSecret)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", fmt.Errorf("the first line of %s is empty", name)
	}
	return line, nil
}

// databaseUser is the user of a database's URL, and whether there is a password.
func databaseUser(database string) (user string, hasPassword bool) {
	u, err := url.Parse(database)
	if err != nil {
		return "", false
	}
	_, hasPassword = u.User.Password()
	return u.User.Username(), hasPassword || u.Query().Has("password")
}

// redacted is a value without the password of a URL.
func redacted(value string) string {
	if !strings.Contains(value, "://") {
		return value
	}
	u, err := url.Parse(value)
	if err != nil {
		return "(a URL that cannot be read)"
	}
	if q := u.Query(); q.Has("password") {
		q.Set("password", "xxxxx")
		u.RawQuery = q.Encode()
	}
	return u.Redacted()
}

// databaseName is how a database is spoken of.
func databaseName(database string) string {
	if u, err := url.Parse(redacted(database)); err == nil && u.Scheme != "" {
		u.RawQuery = ""
		return u.String()
	}
	return redacted(database)
}

package statedb

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// FileName is that of the SQLite file in the folder of the state.
const FileName = "state.db"

// Location says where a state store is.
type Location struct {
	path   string // of a SQLite file, absolute
	config *pgx.ConnConfig
}

// Embedded tells whether it is a file, which processes of one machine share at most.
func (l Location) Embedded() bool { return l.config == nil }

// ErrLocation refuses a text that names no state store.
var ErrLocation = errors.New("a state store is named by sqlite, sqlite:PATH or postgres://USER@HOST:PORT/DATABASE")

// ParseLocation reads "sqlite", which is a file in the folder dir, "sqlite:PATH" or
// the URL of a PostgreSQL database. Errors never quote a URL: it may have a
// password in it.
func ParseLocation(text, dir string) (Location, error) {
	scheme, rest, _ := strings.Cut(text, ":")
	switch strings.ToLower(scheme) {
	case "sqlite":
		path := strings.TrimPrefix(rest, "//")
		switch {
		case text == scheme:
			path = filepath.Join(dir, FileName)
		case path == "":
			return Location{}, fmt.Errorf("%w: the path is missing", ErrLocation)
		}
		abs, err := filepath.Abs(path)
		if err != nil {
			return Location{}, fmt.Errorf("state store %s: %w", path, err)
		}
		return Location{path: abs}, nil
	case "postgres", "postgresql":
		return parsePostgres(text)
	}
	return Location{}, ErrLocation
}

func parsePostgres(text string) (Location, error) {
	if _, err := url.Parse(text); err != nil {
		return Location{}, fmt.Errorf("%w: the URL cannot be read; characters of a password other than letters and digits must be percent-encoded", ErrLocation)
	}
	config, err := pgx.ParseConfig(text)
	if err != nil {
		return Location{}, fmt.Errorf("%w: %s", ErrLocation, withoutURL(err))
	}
	// As in postgres:///user:password@host/db, which is shown as the name of a database.
	if strings.Contains(config.Host+config.Database, "@") {
		return Location{}, fmt.Errorf("%w: there is an @ in the host or the database; a user stands right behind the two slashes, and other than letters and digits must be percent-encoded", ErrLocation)
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "gridway"
	}
	return Location{config: config}, nil
}

// withoutURL is what is behind the part of pgx's message that quotes the URL.
func withoutURL(err error) string {
	if inner := errors.Unwrap(err); inner != nil {
		return inner.Error()
	}
	return "the URL cannot be read"
}

// Path of the SQLite file; empty for PostgreSQL.
func (l Location) Path() string { return l.path }

// Host is the HOST:PORT of PostgreSQL, the first if there are several; empty is that the
// store is reached through the file system.
func (l Location) Host() string {
	if l.config == nil || strings.HasPrefix(l.config.Host, "/") || l.config.Host == "" {
		return ""
	}
	return net.JoinHostPort(l.config.Host, strconv.Itoa(int(l.config.Port)))
}

// String names the store without the user's secrets.
func (l Location) String() string {
	switch {
	case l.config != nil && strings.HasPrefix(l.config.Host, "/"):
		return fmt.Sprintf("PostgreSQL database %s at %s", l.config.Database, l.config.Host)
	case l.config != nil:
		return fmt.Sprintf("PostgreSQL database %s at %s:%d", l.config.Database, l.config.Host, l.config.Port)
	case l.path != "":
		return "SQLite file " + l.path
	}
	return "no state store"
}

package statedb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

var (
	// ErrDamaged: the SQLite file is not one, or parts of it are wrong.
	ErrDamaged = errors.New("the state store is damaged")
	// ErrNewer: a newer Gridway has changed the tables.
	ErrNewer = errors.New("the state store is of a newer version of Gridway")
	// ErrUnavailable: the store cannot be reached, or is busy for longer than
	// somebody waits.
	ErrUnavailable error = unavailable{}
	// ErrNotFound: there is no such row.
	ErrNotFound error = notFound{}
)

// Those who carry answers of the store, and do not know it, tell its errors by their methods.
type (
	unavailable struct{}
	notFound    struct{}
)

func (unavailable) Error() string     { return "the state store cannot be used now" }
func (unavailable) Unavailable() bool { return true }
func (notFound) Error() string        { return "not found" }
func (notFound) NotFound() bool       { return true }

// because is ErrUnavailable with a reason that may be told to anybody who may change the
// store: it names no place and no user.
type because struct {
	unavailable
	why string
}

func (because) Is(target error) bool { return target == ErrUnavailable } //nolint:errorlint // this is what errors.Is asks
func (b because) Reason() string     { return b.why }

// SQLSTATE, as PostgreSQL names what went wrong (its manual, appendix A).
const (
	uniqueViolation      = "23505"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
)

// IsDuplicate tells whether a row could not be added because one with its key is
// there.
func IsDuplicate(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == uniqueViolation
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) && (lite.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY || lite.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE)
}

// again tells whether a transaction failed because of another one, or because its
// connection had ended before, and may be tried once more.
func again(err error) bool {
	if pgconn.SafeToRetry(err) {
		return true
	}
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == serializationFailure || pg.Code == deadlockDetected)
}

// wrap gives an error of a database one of this package's, where it is of that
// kind.
func wrap(err error) error {
	var (
		lite    *sqlite.Error
		pg      *pgconn.PgError
		connect *pgconn.ConnectError
		network net.Error
	)
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &lite):
		switch lite.Code() & 0xff {
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
			return fmt.Errorf("%w: %w", because{why: "another process has it for too long"}, err)
		case sqlite3.SQLITE_FULL:
			return fmt.Errorf("%w: %w", because{why: "there is no room for its file to grow"}, err)
		case sqlite3.SQLITE_IOERR:
			return fmt.Errorf("%w: %w", because{why: "its file cannot be read or written; is the disk full, or broken?"}, err)
		case sqlite3.SQLITE_CANTOPEN:
			return fmt.Errorf("%w: %w", because{why: "its file cannot be opened"}, err)
		case sqlite3.SQLITE_READONLY:
			return fmt.Errorf("%w: %w", because{why: "its file cannot be written: it, its folder or the file system is read-only"}, err)
		case sqlite3.SQLITE_INTERRUPT:
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	case errors.As(err, &connect):
		// Its own text has the user's name in it, and every address twice.
		return fmt.Errorf("%w: %w", because{why: "its server cannot be reached"}, &quiet{cause(connect), err})
	case errors.As(err, &pg):
		// 08 is connections, 53 too little of something, 57 a shutdown, 25006 a
		// standby that cannot be written, 25P03 a transaction that waited for too long between
		// two statements.
		switch class := pg.Code[:min(2, len(pg.Code))]; {
		case pg.Code == "53100":
			return fmt.Errorf("%w: %w", because{why: "the disk of its server is full"}, err)
		case pg.Code == "25006":
			return fmt.Errorf("%w: %w", because{why: "its server takes no changes now: it is a standby, or read-only"}, err)
		case class == "08" || class == "53" || class == "57" || pg.Code == "25P03":
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network), pgconn.Timeout(err), strings.Contains(err.Error(), "conn closed"), strings.Contains(err.Error(), "unexpected EOF"), strings.Contains(err.Error(), "bad connection"):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// quiet is an error told in other words.
type quiet struct {
	text string
	err  error
}

func (q *quiet) Error() string { return q.text }
func (q *quiet) Unwrap() error { return q.err }

// cause is the innermost reason why there is no connection.
func cause(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return fmt.Sprintf("%s (SQLSTATE %s)", pg.Message, pg.Code)
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Error()
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Error()
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dns.Error()
	}
	for {
		if many, ok := err.(interface{ Unwrap() []error }); ok && len(many.Unwrap()) > 0 { //nolint:errorlint // this walks the chain
			err = many.Unwrap()[0]
			continue
		}
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

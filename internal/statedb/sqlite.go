package statedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// sqliteDialect is SQLite in a file, with a write-ahead log beside it.
type sqliteDialect struct{}

// openSQLite opens the file for one writer and several readers.
func (db *DB) openSQLite(ctx context.Context) error {
	db.dialect = sqliteDialect{}
	if err := own(db.location.path); err != nil {
		return err
	}
	pragmas := url.Values{"_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "journal_mode(WAL)", "foreign_keys(1)",
		// A key that was revoked must not come back when the power fails.
		"synchronous(FULL)",
	}}
	file := &url.URL{Scheme: "file", Path: filepath.ToSlash(db.location.path)}
	open := func(more url.Values) (*sql.DB, error) {
		for k, v := range pragmas {
			more[k] = append(append([]string{}, v...), more[k]...)
		}
		file.RawQuery = more.Encode()
		return sql.Open("sqlite", file.String())
	}
	var err error
	if db.write, err = open(url.Values{"_txlock": {"immediate"}}); err != nil {
		return err
	}
	db.write.SetMaxOpenConns(1)
	var mode string
	if err := db.write.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("%w: the file system cannot have a write-ahead log (it is in journal mode %s); network file systems cannot, PostgreSQL can be shared", ErrUnavailable, mode)
	}
	if err := db.check(ctx); err != nil {
		return err
	}
	if db.read, err = open(url.Values{"_pragma": {"query_only(1)"}}); err != nil {
		return err
	}
	db.read.SetMaxOpenConns(readers)
	return nil
}

// own makes the file and its folder if there is none, for its owner only: the
// files of the log get the mode that this one has.
func own(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &fs.PathError{Op: "open", Path: path, Err: errors.New("is not a file")}
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := f.Chmod(0o600); err != nil {
			return fmt.Errorf("others can read %s, which holds credentials, and its mode cannot be changed: %w", path, err)
		}
	}
	return nil
}

// check looks for damage. It reads the whole file once.
func (db *DB) check(ctx context.Context) error {
	var verdict string
	if err := db.write.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("%w: %s", ErrDamaged, strings.TrimSpace(verdict))
	}
	return nil
}

func (sqliteDialect) rebind(query string) string { return query }

// lockPoll is the wait between two looks at a lock that another process holds.
const lockPoll = 20 * time.Millisecond

// lock is flock(2) on a file beside the store, which the kernel gives back when
// its process dies. The file stays: to remove it would let two in.
func (sqliteDialect) lock(ctx context.Context, db *DB) (unlock func(), err error) {
	f, err := os.OpenFile(db.location.path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return func() { _ = f.Close() }, nil // which gives the lock back
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("waiting for lock %s: %w", f.Name(), ctx.Err()), f.Close())
		case <-tick.C:
		}
	}
}

// notify does nothing: other processes see a change in the file's data version.
func (sqliteDialect) notify(context.Context, *sql.Tx, Area) error { return nil }

// followPoll is how often SQLite is asked whether anything was committed, which
// is a look at shared memory.
const followPoll = 100 * time.Millisecond

func (sqliteDialect) follow(ctx context.Context, db *DB, changed func(Area)) {
	tick := time.NewTicker(followPoll)
	defer tick.Stop()
	var (
		conn *sql.Conn
		seen int64
	)
	defer func() {
		if conn != nil {
			_ = conn.Close()
		}
	}()
	for ctx.Err() == nil {
		if conn == nil {
			var err error
			if conn, err = db.read.Conn(ctx); err == nil {
				seen = -1 // its version says nothing about what was missed
			}
		}
		if conn != nil {
			var now int64
			switch err := conn.QueryRowContext(ctx, "PRAGMA data_version").Scan(&now); {
			case err != nil:
				_ = conn.Close()
				conn = nil
			case now != seen:
				seen = now
				changed("")
			}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func (sqliteDialect) isolation() *sql.TxOptions { return nil }

func (sqliteDialect) forUpdate() string { return "" }

func (sqliteDialect) clock() string { return "CAST(unixepoch('subsec') * 1000 AS INTEGER)" }

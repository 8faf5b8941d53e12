package statedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	connectTimeout = 10 * time.Second
	// busyTimeout is how long a transaction waits for others of other processes.
	busyTimeout = 10 * time.Second
	// readers bounds the connections that are read by at the same time.
	readers = 4
	// serverConnections bounds those of one process to a PostgreSQL server, besides
	// the one that listens.
	serverConnections = 8
)

// Options of a DB.
type Options struct {
	Location Location
	// Log is told what the store does on its own; nil is nobody.
	Log *slog.Logger
}

// DB is an open state store. Its methods may be called at the same time.
type DB struct {
	location Location
	log      *slog.Logger
	dialect  dialect
	write    *sql.DB
	read     *sql.DB
	watch    watch
	// installation is a random name, the same for all processes that share the store.
	installation string
}

// dialect is what the two databases do not have in common.
type dialect interface {
	// rebind gives a query with ? for arguments the form of the dialect.
	rebind(query string) string
	// lock excludes other processes that change the tables.
	lock(ctx context.Context, db *DB) (unlock func(), err error)
	// notify tells other processes of a change, as a part of it.
	notify(ctx context.Context, tx *sql.Tx, area Area) error
	// follow calls changed with the area that another process may have changed, or
	// with "" for any, until ctx ends.
	follow(ctx context.Context, db *DB, changed func(Area))
	// forUpdate at the end of a query keeps others from its rows; it is empty where
	// there is one writer at a time.
	forUpdate() string
	// clock is an expression for the store's time, in Unix milliseconds.
	clock() string
	// isolation of transactions that only read: they see one moment.
	isolation() *sql.TxOptions
}

// Open opens the store, makes it if there is none, and brings its tables up to
// date. Close gives it back.
func Open(ctx context.Context, o Options) (*DB, error) {
	db := &DB{location: o.Location, log: o.Log}
	if db.log == nil {
		db.log = slog.New(slog.DiscardHandler)
	}
	var err error
	switch {
	case o.Location.path != "":
		err = db.openSQLite(ctx)
	case o.Location.config != nil:
		err = db.openPostgres(ctx)
	default:
		err = ErrLocation
	}
	if err == nil {
		err = db.migrate(ctx)
	}
	if err != nil {
		return nil, errors.Join(db.wrong(err), db.closePools())
	}
	db.watch.init(db)
	return db, nil
}

// wrong says which store an error is of.
func (db *DB) wrong(err error) error {
	return fmt.Errorf("%s: %w", db.location, wrap(err))
}

// Installation is a random name that the store got when it was made: processes
// with the same one share it.
func (db *DB) Installation() string { return db.installation }

// Location is where the store is.
func (db *DB) Location() Location { return db.location }

// Ping tells whether the store can be used now.
func (db *DB) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return wrap(db.read.PingContext(ctx))
}

// Close waits for transactions under way.
func (db *DB) Close() error {
	db.watch.close()
	return db.closePools()
}

func (db *DB) closePools() error {
	var list []error
	for _, pool := range []*sql.DB{db.write, db.read} {
		if pool != nil {
			list = append(list, pool.Close())
		}
		if db.write == db.read {
			break
		}
	}
	return errors.Join(list...)
}

// watch tells who wants to know that areas have changed. Its goroutine runs from
// the first who asks until the DB is closed.
type watch struct {
	db   *DB
	mu   sync.Mutex
	list map[*Watcher]struct{} // guarded by mu
	stop context.CancelFunc    // guarded by mu
	done chan struct{}
}

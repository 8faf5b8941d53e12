package statedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// Tx is a transaction.
type Tx struct {
	tx      *sql.Tx
	dialect dialect
	changed []Area
	// trimmed: what is too old has left the audit log.
	trimmed bool
}

// tries bounds how often a transaction is begun anew because of others.
const tries = serverConnections + 2 // all of a pool may have ended with the server

// Write runs f in a transaction, which counts if f returns nil. It may be run
// more than once. With SQLite there is one at a time; with PostgreSQL they see
// what others have finished (read committed).
func (db *DB) Write(ctx context.Context, f func(tx *Tx) error) error {
	for n := 1; ; n++ {
		changed, err := db.writeOnce(ctx, f)
		if err != nil && again(err) && n < tries && ctx.Err() == nil {
			continue
		}
		if err == nil {
			for _, area := range changed {
				db.watch.signal(area)
			}
		}
		return wrap(err)
	}
}

func (db *DB) writeOnce(ctx context.Context, f func(tx *Tx) error) ([]Area, error) {
	t, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	tx := &Tx{tx: t, dialect: db.dialect}
	err = f(tx)
	for _, area := range tx.changed {
		if err == nil {
			err = db.dialect.notify(ctx, t, area)
		}
	}
	if err != nil {
		_ = t.Rollback() // the error is the one to tell
		return nil, err
	}
	return tx.changed, t.Commit()
}

// Read runs f in a transaction that changes nothing and sees one moment.
// It may be run more than once.
func (db *DB) Read(ctx context.Context, f func(tx *Tx) error) error {
	for n := 1; ; n++ {
		err := db.readOnce(ctx, f)
		if err != nil && again(err) && n < tries && ctx.Err() == nil {
			continue
		}
		return wrap(err)
	}
}

func (db *DB) readOnce(ctx context.Context, f func(tx *Tx) error) error {
	t, err := db.read.BeginTx(ctx, db.dialect.isolation())
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback() }() // there is nothing to keep
	return f(&Tx{tx: t, dialect: db.dialect})
}

// Exec runs a statement and returns how many rows it has changed.
func (tx *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	r, err := tx.tx.ExecContext(ctx, tx.dialect.rebind(query), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// Get reads one row into the places, and answers ErrNotFound if there is none.
func (tx *Tx) Get(ctx context.Context, query string, args []any, places ...any) error {
	err := tx.tx.QueryRowContext(ctx, tx.dialect.rebind(query), args...).Scan(places...)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// Each calls f for each row, which it reads with scan.
func (tx *Tx) Each(ctx context.Context, query string, args []any, f func(scan func(places ...any) error) error) error {
	rows, err := tx.tx.QueryContext(ctx, tx.dialect.rebind(query), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Prepare makes a statement ready that is run for many rows.
func (tx *Tx) Prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	return tx.tx.PrepareContext(ctx, tx.dialect.rebind(query))
}

// Advance takes the next version of an area for a change of it, before anything
// of it is read: from then on no other transaction changes the area until this
// one ends. Who watches the area is told when it has.
func (tx *Tx) Advance(ctx context.Context, area Area) (version int64, err error) {
	err = tx.Get(ctx, `INSERT INTO feed (area, version) VALUES (?, 1)
		ON CONFLICT (area) DO UPDATE SET version = feed.version + 1 RETURNING version`, []any{string(area)}, &version)
	if err != nil {
		return 0, fmt.Errorf("version of %s: %w", area, err)
	}
	if !slices.Contains(tx.changed, area) {
		tx.changed = append(tx.changed, area)
	}
	return version, nil
}

// Version is how far an area has come; zero is that nothing has changed it yet.
func (tx *Tx) Version(ctx context.Context, area Area) (version int64, err error) {
	err = tx.Get(ctx, "SELECT version FROM feed WHERE area = ?", []any{string(area)}, &version)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	return version, err
}

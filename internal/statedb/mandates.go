package statedb

import (
	"context"
	"errors"
	"time"
)

// Mandates is the area of mandates that are given back.
const Mandates Area = "mandates"

// ErrNotElected: another process has the mandate, or nobody.
var ErrNotElected = errors.New("another process was elected for it")

// Mandate is that a process was elected for work that one does for all.
type Mandate struct {
	// Name is the work's.
	Name string
	// Holder is the process; no two have the same.
	Holder string
	// Term grows with each election of another process.
	Term int64
}

// TakeMandate has the holder elected if nobody is, or for longer if it is itself, and
// returns who is elected.
func (tx *Tx) TakeMandate(ctx context.Context, name, holder string, lease time.Duration) (Mandate, error) {
	now, err := tx.now(ctx)
	if err != nil {
		return Mandate{}, err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO mandates (name, holder, term, expires) VALUES (?, ?, 1, ?)
		ON CONFLICT (name) DO UPDATE SET
			term = CASE WHEN mandates.holder = excluded.holder THEN mandates.term ELSE mandates.term + 1 END,
			holder = excluded.holder, expires = excluded.expires
		WHERE mandates.holder = excluded.holder OR mandates.expires <= ?`,
		name, holder, millis(now.Add(lease)), millis(now)); err != nil {
		return Mandate{}, err
	}
	m, _, err := tx.mandate(ctx, name)
	return m, err
}

// Mandate is who is elected, and whether that holds still.
func (tx *Tx) Mandate(ctx context.Context, name string) (m Mandate, holds bool, err error) {
	now, err := tx.now(ctx)
	if err != nil {
		return m, false, err
	}
	m, expires, err := tx.mandate(ctx, name)
	if errors.Is(err, ErrNotFound) {
		return Mandate{Name: name}, false, nil
	}
	return m, expires.After(now), err
}

func (tx *Tx) mandate(ctx context.Context, name string) (m Mandate, expires time.Time, err error) {
	m.Name = name
	var at int64
	err = tx.Get(ctx, "SELECT holder, term, expires FROM mandates WHERE name = ?", []any{name}, &m.Holder, &m.Term, &at)
	return m, time.UnixMilli(at), err
}

// By makes the transaction one of who was elected, or answers ErrNotElected: until it ends
// nobody else is. It does not matter whether the lease has ended meanwhile, as long as
// nobody was elected in its place.
func (tx *Tx) By(ctx context.Context, m Mandate) error {
	// The row is written, so that an election waits for this transaction, in both dialects.
	n, err := tx.Exec(ctx, "UPDATE mandates SET term = term WHERE name = ? AND holder = ? AND term = ?", m.Name, m.Holder, m.Term)
	if err == nil && n == 0 {
		err = ErrNotElected
	}
	return err
}

// GiveMandateBack has another one elected at once, if the mandate still holds.
func (tx *Tx) GiveMandateBack(ctx context.Context, m Mandate) error {
	if _, err := tx.Advance(ctx, Mandates); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "UPDATE mandates SET expires = 0 WHERE name = ? AND holder = ? AND term = ?", m.Name, m.Holder, m.Term)
	return err
}

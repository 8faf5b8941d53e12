package statedb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Budget is a row of what was used of a limit by a key.
type Budget struct {
	Counter, Caller string
	State           string
	Expires         time.Time
}

// MaxBudgets bounds how many are read or written at once.
const MaxBudgets = 512

// LockBudgets reads the states of budgets, which must be ordered by counter and
// caller and each there once, and keeps others from them until the transaction
// ends. The state of one that there was not is empty. Now is the store's clock
// after that.
func (tx *Tx) LockBudgets(ctx context.Context, list []Budget) (now time.Time, err error) {
	if len(list) > MaxBudgets {
		return now, fmt.Errorf("%d budgets at once", len(list))
	}
	found, err := tx.readBudgets(ctx, list)
	if err != nil {
		return now, err
	}
	if missing := without(list, found); len(missing) > 0 && tx.dialect.forUpdate() != "" {
		// A row that is not there cannot be locked: whoever makes it first has it.
		if err := tx.makeBudgets(ctx, missing); err != nil {
			return now, err
		}
		if found, err = tx.readBudgets(ctx, list); err != nil {
			return now, err
		}
	}
	for i := range list {
		list[i].State = found[[2]string{list[i].Counter, list[i].Caller}]
	}
	return tx.now(ctx)
}

func (tx *Tx) readBudgets(ctx context.Context, list []Budget) (map[[2]string]string, error) {
	found := make(map[[2]string]string, len(list))
	args := make([]any, 0, 2*len(list))
	for i := range list {
		args = append(args, list[i].Counter, list[i].Caller)
	}
	query := "SELECT counter, caller, state FROM budgets WHERE (counter, caller) IN (VALUES " + tuples(len(list), "(?, ?)") + ") ORDER BY counter, caller" + tx.dialect.forUpdate()
	err := tx.Each(ctx, query, args, func(scan func(...any) error) error {
		var counter, caller, state string
		if err := scan(&counter, &caller, &state); err != nil {
			return err
		}
		found[[2]string{counter, caller}] = state
		return nil
	})
	return found, err
}

func without(list []Budget, found map[[2]string]string) (missing []Budget) {
	for _, b := range list {
		if _, ok := found[[2]string{b.Counter, b.Caller}]; !ok {
			missing = append(missing, b)
		}
	}
	return missing
}

func (tx *Tx) makeBudgets(ctx context.Context, list []Budget) error {
	args := make([]any, 0, 2*len(list))
	for i := range list {
		args = append(args, list[i].Counter, list[i].Caller)
	}
	_, err := tx.Exec(ctx, "INSERT INTO budgets (counter, caller, state, expires) VALUES "+tuples(len(list), "(?, ?, '', 0)")+" ON CONFLICT (counter, caller) DO NOTHING", args...)
	return err
}

func tuples(n int, one string) string { return strings.TrimSuffix(strings.Repeat(one+", ", n), ", ") }

// SetBudgets writes what LockBudgets has read.
func (tx *Tx) SetBudgets(ctx context.Context, list []Budget) error {
	args := make([]any, 0, 4*len(list))
	for i := range list {
		args = append(args, list[i].Counter, list[i].Caller, list[i].State, millis(list[i].Expires))
	}
	_, err := tx.Exec(ctx, "INSERT INTO budgets (counter, caller, state, expires) VALUES "+tuples(len(list), "(?, ?, ?, ?)")+
		" ON CONFLICT (counter, caller) DO UPDATE SET state = excluded.state, expires = excluded.expires", args...)
	return err
}

// forgetAtOnce bounds the rows that one transaction forgets.
const forgetAtOnce = 1000

// ForgetBudgets removes some of the rows that expired an hour ago or before by the
// store's clock, and says how many.
func (tx *Tx) ForgetBudgets(ctx context.Context) (int64, error) {
	now, err := tx.now(ctx)
	if err != nil {
		return 0, err
	}
	return tx.Exec(ctx, "DELETE FROM budgets WHERE (counter, caller) IN (SELECT counter, caller FROM budgets WHERE expires < ? ORDER BY expires LIMIT ?)",
		millis(now.Add(-time.Hour)), forgetAtOnce)
}

// now is the store's clock.
func (tx *Tx) now(ctx context.Context) (time.Time, error) {
	var ms int64
	if err := tx.Get(ctx, "SELECT "+tx.dialect.clock(), nil, &ms); err != nil {
		return time.Time{}, errors.Join(errors.New("the store's clock cannot be read"), err)
	}
	return time.UnixMilli(ms), nil
}

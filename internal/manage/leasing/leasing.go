// Package leasing has the state store grant slices of limits to the proxies that
// share it. Each Lease is one transaction for many keys; what a slice is, package
// budget says.
//
// It owns no goroutines. Package app gives it to the data plane's lease engine, by
// the interface that the engine has for it.
package leasing

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/gridway/gridway/internal/budget"
	"github.com/gridway/gridway/internal/statedb"
)

// MaxAsks is how many one Lease may be of.
const MaxAsks = statedb.MaxBudgets

// Authority grants leases out of a state store.
type Authority struct{ DB *statedb.DB }

// Lease answers all asks of a holder, or none. No two asks may be of the same key.
// After an error it is not known whether something was granted; what nobody knows
// of is not spent.
func (a *Authority) Lease(ctx context.Context, holder string, asks []budget.Ask) ([]budget.Grant, error) {
	order := make([]int, len(asks))
	rows := make([]statedb.Budget, len(asks))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		return cmp.Or(cmp.Compare(asks[i].Counter, asks[j].Counter), slices.Compare(asks[i].Key[:], asks[j].Key[:]))
	})
	for n, i := range order {
		rows[n] = statedb.Budget{Counter: asks[i].Counter, Caller: hex.EncodeToString(asks[i].Key[:])}
	}
	grants := make([]budget.Grant, len(asks))
	err := a.DB.Write(ctx, func(tx *statedb.Tx) error {
		now, err := tx.LockBudgets(ctx, rows)
		if err != nil {
			return err
		}
		for n, i := range order {
			ask := asks[i]
			state, err := budget.Parse(rows[n].State)
			if err != nil {
				return fmt.Errorf("%s: %w", rows[n].Counter, err)
			}
			grants[i] = state.Step(holder, &ask, now.UnixNano())
			rows[n].State = state.Text()
			rows[n].Expires = time.Unix(0, state.Expires(&ask.Limit))
		}
		return tx.SetBudgets(ctx, rows)
	})
	if err != nil {
		return nil, err
	}
	return grants, nil
}

// Forget removes rows that say nothing any more, some at a time, and tells whether
// there may be more.
func (a *Authority) Forget(ctx context.Context) (more bool, err error) {
	err = a.DB.Write(ctx, func(tx *statedb.Tx) error {
		n, err := tx.ForgetBudgets(ctx)
		more = n > 0
		return err
	})
	return more, err
}

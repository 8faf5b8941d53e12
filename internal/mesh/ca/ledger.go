package ca

import (
	"context"
	"sync"

	"github.com/gridway/gridway/internal/statedb"
)

// maxSeen bounds what is not noted yet, while the store cannot be reached.
const maxSeen = 10000

// ledger has the certificates that were issued and are not in the store yet: issuing waits
// for no store.
type ledger struct {
	mu   sync.Mutex
	list []statedb.MeshSVID // guarded by mu
}

func (l *ledger) add(s *statedb.MeshSVID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) < maxSeen {
		l.list = append(l.list, *s)
	}
}

// Via returns what a certificate that has not ended was issued for, by its serial number;
// statedb.ErrNotFound is that nobody has noted it.
func (a *Authority) Via(ctx context.Context, serial string) (via string, err error) {
	if via, found := a.seen.find(serial); found {
		return via, nil
	}
	err = a.opt.DB.Read(ctx, func(tx *statedb.Tx) error {
		via, err = tx.MeshSVIDVia(ctx, serial)
		return err
	})
	return via, err
}

func (l *ledger) find(serial string) (via string, found bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.list {
		if l.list[i].Serial == serial {
			return l.list[i].Via, true
		}
	}
	return "", false
}

// flush notes in the store what has been issued.
func (a *Authority) flush(ctx context.Context) error {
	a.seen.mu.Lock()
	list := a.seen.list
	a.seen.list = nil
	a.seen.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	err := a.opt.DB.Write(ctx, func(tx *statedb.Tx) error { return tx.AddMeshSVIDs(ctx, list, a.Now()) })
	if err != nil {
		a.seen.mu.Lock()
		defer a.seen.mu.Unlock()
		a.seen.list = append(list, a.seen.list...)[:min(maxSeen, len(list)+len(a.seen.list))]
	}
	return err
}

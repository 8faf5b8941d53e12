package demo

import (
	"fmt"
	"slices"
	"sync"
)

const maxOrders = 1000

// ledger has the last orders.
type ledger struct {
	mu    sync.Mutex
	byID  map[string]Order // guarded by mu, as is order
	order []string
	next  int

	made feed[Order]
}

func newLedger() *ledger { return &ledger{byID: map[string]Order{}} }

// keep gives an order its number.
func (l *ledger) keep(ord Order) Order {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	ord.ID = fmt.Sprintf("o-%06d", l.next)
	l.byID[ord.ID] = ord
	l.order = append(l.order, ord.ID)
	if len(l.order) > maxOrders {
		delete(l.byID, l.order[0])
		l.order = l.order[1:]
	}
	l.made.tell(ord)
	return ord
}

func (l *ledger) of(id string) (Order, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ord, ok := l.byID[id]
	return ord, ok
}

// since lists the orders after one that is known, oldest first.
func (l *ledger) since(id string) []Order {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := slices.Index(l.order, id)
	if at < 0 {
		return nil
	}
	var list []Order
	for _, id := range l.order[at+1:] {
		list = append(list, l.byID[id])
	}
	return list
}

// Package election elects one of the processes that share a state store, for work that one
// does for all: making the next root of the mesh's authority and removing those that are
// over, declaring control planes lost that are silent, and clearing away old rows. Serving
// needs nobody elected, and the work waits while nobody is.
//
// Who is elected stands in a row of the store, for a lease by the store's clock, which is
// prolonged while the process lives. Each election of another one begins a new term, and
// each transaction of the work names its term (statedb.Tx.By): one that was elected and does
// not know yet that another one is, because it slept or was cut off, changes nothing any
// more. A lock of the database's own would need no row, but ends with a connection and not
// with a process, so that a server which does not notice a cut keeps it for hours; SQLite
// has none; and poolers of connections give it to somebody else.
//
// Run is the only goroutine's work, and its caller's. The package may be imported by app;
// who does such work is given a function that tells whether it may.
package election

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/statedb"
)

const (
	// A third of a lease is between two signs of life of who is elected; another process is
	// elected when the lease is over, and its own third. A file is written less often, since
	// each write is flushed to the disk; the processes that share it are of one machine, and
	// only during an upgrade more than one, which gives the mandate back.
	sharedLease   = 6 * time.Second
	embeddedLease = 30 * time.Second
	// endTime bounds giving the mandate back.
	endTime = time.Second
)

// Options of an Elector.
type Options struct {
	DB *statedb.DB
	// Work names what one is elected for.
	Work string
	// Process names this process, for people; no two have the same.
	Process string
	// Lease is 6 s for a PostgreSQL and 30 s for an SQLite file if it is zero; all who share
	// a store have the same.
	Lease time.Duration
	Log   *slog.Logger
}

// Elector knows who is elected, and has this process elected when nobody is. Its methods may
// be called at the same time.
type Elector struct {
	opt Options
	at  atomic.Pointer[moment]
}

// moment is what is known at one time.
type moment struct {
	mandate statedb.Mandate
	// own holds until then, by our clock that does not jump.
	own   bool
	until time.Time
	// read is when the store was asked last.
	read time.Time
}

// State is who is elected, as far as this process knows.
type State struct {
	// Process is empty if nobody is.
	Process string
	// Term is the number of elections, up to this one.
	Term int64
	// Self: it is this process.
	Self bool
	// Read is when the store said so.
	Read time.Time
}

// New makes an Elector, which knows nothing before Run.
func New(o Options) *Elector {
	if o.Lease == 0 {
		o.Lease = sharedLease
		if at := o.DB.Location(); at.Embedded() {
			o.Lease = embeddedLease
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	e := &Elector{opt: o}
	e.at.Store(&moment{})
	return e
}

// Mandate is by what this process does the work; false if it may not.
func (e *Elector) Mandate() (statedb.Mandate, bool) {
	m := e.at.Load()
	return m.mandate, m.own && time.Now().Before(m.until)
}

// State is who is elected.
func (e *Elector) State() State {
	m := e.at.Load()
	_, self := e.Mandate()
	return State{Process: m.mandate.Holder, Term: m.mandate.Term, Self: self, Read: m.read}
}

// Run takes part in elections until ctx ends, and then gives the mandate back.
func (e *Elector) Run(ctx context.Context) {
	w := e.opt.DB.Watch(statedb.Mandates)
	defer w.Stop()
	tick := time.NewTicker(e.opt.Lease / 3)
	defer tick.Stop()
	failing := false
	for {
		err := e.look(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			e.opt.Log.Warn("it is not known which process is elected for periodic work, which waits", "work", e.opt.Work, "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			e.end(context.WithoutCancel(ctx))
			return
		case <-w.C():
		case <-tick.C:
		}
	}
}

// look prolongs the mandate, or takes one that is free.
func (e *Elector) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, e.opt.Lease)
	defer cancel()
	// The lease begins before the store is asked: it ends here before it ends there.
	began := time.Now()
	before := e.at.Load()
	var now statedb.Mandate
	var holds bool
	err := e.opt.DB.Read(ctx, func(tx *statedb.Tx) (err error) {
		now, holds, err = tx.Mandate(ctx, e.opt.Work)
		return err
	})
	if err == nil && (!holds || now.Holder == e.opt.Process) {
		err = e.opt.DB.Write(ctx, func(tx *statedb.Tx) (err error) {
			now, err = tx.TakeMandate(ctx, e.opt.Work, e.opt.Process, e.opt.Lease)
			return err
		})
	}
	if err != nil {
		return err
	}
	m := &moment{mandate: now, own: now.Holder == e.opt.Process, until: began.Add(e.opt.Lease), read: time.Now()}
	e.at.Store(m)
	switch {
	case m.own && (!before.own || before.mandate.Term != now.Term):
		e.opt.Log.Info("this process is elected for periodic work", "work", e.opt.Work, "term", now.Term)
	case !m.own && before.own:
		e.opt.Log.Info("another process is elected for periodic work", "work", e.opt.Work, "process", now.Holder, "term", now.Term)
	}
	return nil
}

// end has another one elected at once.
func (e *Elector) end(ctx context.Context) {
	m := e.at.Load()
	if !m.own {
		return
	}
	e.at.Store(&moment{})
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	if err := e.opt.DB.Write(ctx, func(tx *statedb.Tx) error { return tx.GiveMandateBack(ctx, m.mandate) }); err != nil {
		e.opt.Log.Info("the mandate for periodic work could not be given back; it ends by itself", "work", e.opt.Work, "error", err)
	}
}

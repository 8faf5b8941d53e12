package statedb

import (
	"context"
	"slices"
)

// Area is a part of the store whose changes are told together.
type Area string

// Watcher is told of changes. Signals come without a word: who gets one asks the
// store what is new, and several changes may be told by one.
type Watcher struct {
	w     *watch
	areas []Area
	c     chan struct{}
}

// C gets a value when something has changed, or may have.
func (w *Watcher) C() <-chan struct{} { return w.c }

// Stop ends the signals.
func (w *Watcher) Stop() {
	w.w.mu.Lock()
	defer w.w.mu.Unlock()
	delete(w.w.list, w)
}

// Watch tells of changes of areas that this process or another one makes from
// now on.
func (db *DB) Watch(areas ...Area) *Watcher {
	w := &Watcher{w: &db.watch, areas: areas, c: make(chan struct{}, 1)}
	db.watch.mu.Lock()
	defer db.watch.mu.Unlock()
	db.watch.list[w] = struct{}{}
	if db.watch.stop == nil {
		var ctx context.Context
		ctx, db.watch.stop = context.WithCancel(context.Background())
		go func() {
			defer close(db.watch.done)
			db.dialect.follow(ctx, db, db.watch.signal)
		}()
	}
	return w
}

func (w *watch) init(db *DB) {
	w.db, w.list, w.done = db, map[*Watcher]struct{}{}, make(chan struct{})
}

// signal tells of a change of an area, or of any if it is "".
func (w *watch) signal(area Area) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.list {
		if area != "" && !slices.Contains(one.areas, area) {
			continue
		}
		select {
		case one.c <- struct{}{}:
		default: // it will look anyway
		}
	}
}

func (w *watch) close() {
	w.mu.Lock()
	stop := w.stop
	w.mu.Unlock()
	if stop != nil {
		stop()
		<-w.done
	}
}

package statedb

import (
	"context"
	"log/slog"
	"slices"
	"time"
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

// retry is the wait after a store could not be read.
const retry = time.Second

// Follow calls load, and again whenever there may be news of an area, until ctx ends. While
// it fails it is tried every second, and what names in the log the thing that cannot be read.
func (db *DB) Follow(ctx context.Context, log *slog.Logger, what string, area Area, load func(context.Context) error) {
	w := db.Watch(area)
	defer w.Stop()
	failing := false
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.C():
		case <-timer.C:
		}
		err := load(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if !failing {
				log.Warn(what+" cannot be read; what is known goes on", "store", db.Location().String(), "error", err)
			}
			timer.Reset(retry)
		case failing:
			log.Info(what + " can be read again")
		}
		failing = err != nil
	}
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

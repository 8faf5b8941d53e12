// Package logqueue stands between a process's own log and where it goes, such
// as a pipe whose reader has stopped: a write never waits. What finds no room
// in a bounded queue is dropped and counted.
//
// A Queue owns one goroutine, which Close ends. Package cli imports it.
package logqueue

import (
	"context"
	"io"
	"sync"
)

// DefaultBytes is the room for what the output has not taken yet.
const DefaultBytes = 256 << 10

// Options of a Queue. Only Out is needed.
type Options struct {
	Out io.Writer
	// Bytes may wait to be written, besides what is being written. Zero means
	// DefaultBytes.
	Bytes int
	// Lost is told, from the Queue's goroutine, how many writes were dropped
	// since the last time, once the output takes something again. It may write
	// to the Queue.
	Lost func(dropped uint64)
}

// Stats count writes, each of which is a line of a log.
type Stats struct {
	// Written reached the output. Dropped found no room. Errors were lost in a
	// write that failed.
	Written, Dropped, Errors uint64
}

// Queue is an io.Writer. Make it with New, end it with Close.
type Queue struct {
	opt  Options
	wake chan struct{}
	done chan struct{}

	mu      sync.Mutex // guards all below
	pending []byte
	lines   uint64 // in pending
	stats   Stats
	told    uint64 // of stats.Dropped
	closed  bool
}

// New starts a Queue.
func New(opt Options) *Queue {
	if opt.Bytes <= 0 {
		opt.Bytes = DefaultBytes
	}
	q := &Queue{opt: opt, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go q.run()
	return q
}

// Write takes p as a whole or drops it as a whole, and always succeeds: whoever
// logs can do nothing about a log that is not read.
func (q *Queue) Write(p []byte) (int, error) {
	q.mu.Lock()
	if q.closed || len(q.pending)+len(p) > q.opt.Bytes {
		q.stats.Dropped++
		q.mu.Unlock()
		return len(p), nil
	}
	q.pending = append(q.pending, p...)
	q.lines++
	q.mu.Unlock()
	q.poke()
	return len(p), nil
}

func (q *Queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Stats returns the counts so far.
func (q *Queue) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.stats
}

// Close waits until what was written before has reached the output, or ctx
// ends. What is written after it is dropped. If ctx ends first, the goroutine
// stays until the output takes what it was given.
func (q *Queue) Close(ctx context.Context) error {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.poke()
	select {
	case <-q.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run is the only one that touches the output.
func (q *Queue) run() {
	defer close(q.done)
	var spare []byte
	for {
		q.mu.Lock()
		batch, lines, closed := q.pending, q.lines, q.closed
		q.pending, q.lines = spare[:0], 0
		q.mu.Unlock()
		spare = batch
		switch {
		case lines > 0:
			_, err := q.opt.Out.Write(batch)
			q.count(lines, err)
		case closed:
			return
		default:
			<-q.wake
		}
	}
}

// count takes in the end of a write, and tells what was lost meanwhile.
func (q *Queue) count(lines uint64, err error) {
	q.mu.Lock()
	if err != nil {
		q.stats.Errors += lines
		q.mu.Unlock()
		return // nobody would read it
	}
	q.stats.Written += lines
	lost := q.stats.Dropped - q.told
	if lost == 0 || q.opt.Lost == nil || q.closed || len(q.pending) > q.opt.Bytes/2 {
		q.mu.Unlock()
		return // or later, when there is room to say so
	}
	q.told = q.stats.Dropped
	q.mu.Unlock()
	q.opt.Lost(lost)
}

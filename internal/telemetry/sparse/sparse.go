// Package sparse logs what others can make happen as often as they like: one line a
// second, with a count of those that were left out. It owns no goroutines, and anybody
// may import it.
package sparse

import (
	"log/slog"
	"sync/atomic"
	"time"
)

// every is the time between two lines.
const every = time.Second

// Line is one kind of line. The zero value is ready.
type Line struct {
	last atomic.Int64 // since start
	left atomic.Int64 // lines left out since the last one
}

var start = time.Now()

// Warn logs the line, or counts it. The next line that is logged says in
// "not_logged_before" how many were counted.
func (l *Line) Warn(log *slog.Logger, message string, args ...any) {
	now, last := int64(time.Since(start))+int64(every), l.last.Load()
	if last != 0 && now-last < int64(every) || !l.last.CompareAndSwap(last, now) {
		l.left.Add(1)
		return
	}
	if n := l.left.Swap(0); n > 0 {
		args = append(args, "not_logged_before", n)
	}
	log.Warn(message, args...)
}

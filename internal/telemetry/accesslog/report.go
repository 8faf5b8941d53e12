package accesslog

import (
	"log/slog"
	"time"
)

// reporter tells the operator that entries were lost, not too often.
type reporter struct {
	log  *slog.Logger
	at   time.Time
	seen Stats
}

func (r *reporter) drops(s Stats, now time.Time) {
	if !r.at.IsZero() && now.Sub(r.at) < reportEvery {
		return
	}
	if r.tell(s) {
		r.at = now
	}
}

func (r *reporter) last(s Stats) { r.tell(s) }

func (r *reporter) tell(s Stats) bool {
	dropped, failed := s.Dropped-r.seen.Dropped, s.Errors-r.seen.Errors
	if r.log == nil || dropped+failed == 0 {
		return false
	}
	r.seen = s
	r.log.Warn("access log entries were lost: the output is too slow or fails",
		"dropped", dropped, "write_errors", failed)
	return true
}

// Package retry says how long to wait before a try is repeated. It owns no
// goroutines and reads no clock; the pipeline imports it.
package retry

import (
	"math/rand/v2"
	"time"
)

// Backoff draws the wait before retry number n (the first is 1) between zero
// and base doubled n-1 times, at most limit ("full jitter"). A base of zero
// means no wait, a limit of zero means ten times base.
func Backoff(base, limit time.Duration, n int) time.Duration {
	return backoff(base, limit, n, rand.Int64N)
}

func backoff(base, limit time.Duration, n int, draw func(int64) int64) time.Duration {
	if base <= 0 {
		return 0
	}
	if limit <= 0 {
		limit = 10 * min(base, 1<<58)
	}
	wait := min(base, limit)
	for i := 1; i < n && wait < limit; i++ {
		wait = min(wait*2, limit)
		if wait < 0 {
			wait = limit
		}
	}
	return time.Duration(draw(int64(wait) + 1))
}

// dateLayouts are the forms of HTTP-date (RFC 9110 §5.6.7).
var dateLayouts = [...]string{
	"Mon, 02 Jan 2006 15:04:05 GMT",
	"Monday, 02-Jan-06 15:04:05 GMT",
	time.ANSIC,
}

// maxAfter bounds what a delay in seconds may say.
const maxAfter = 24 * time.Hour

// After parses a Retry-After field value (RFC 9110 §10.2.3): seconds or a date,
// which is taken relative to now. Dates in the past give zero; delays are cut
// at a day. ok is false for anything else.
func After(value []byte, now time.Time) (wait time.Duration, ok bool) {
	for len(value) > 0 && (value[0] == ' ' || value[0] == '\t') {
		value = value[1:]
	}
	for n := len(value); n > 0 && (value[n-1] == ' ' || value[n-1] == '\t'); n-- {
		value = value[:n-1]
	}
	if len(value) == 0 || len(value) > 40 {
		return 0, false
	}
	if value[0] >= '0' && value[0] <= '9' {
		return seconds(value)
	}
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, string(value)); err == nil {
			return min(max(t.Sub(now), 0), maxAfter), true
		}
	}
	return 0, false
}

func seconds(value []byte) (time.Duration, bool) {
	var n time.Duration
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+time.Duration(c-'0'), maxAfter/time.Second)
	}
	return n * time.Second, true
}

package fetch

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Freshness is how long an answer that has come at now may be kept, as far as it
// says so (RFC 9111 §4.2.1); ok is false if it does not. Answers that nobody is to
// keep have zero.
func (r *Response) Freshness(now time.Time) (d time.Duration, ok bool) {
	for _, line := range r.Header["Cache-Control"] {
		for part := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "no-store", "no-cache":
				return 0, true
			case "max-age":
				seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
				if err != nil {
					return 0, true // RFC 9111 §4.2.1: what is invalid is stale
				}
				d, ok = time.Duration(seconds)*time.Second, true
			}
		}
	}
	if ok {
		if age, err := strconv.ParseUint(r.Header.Get("Age"), 10, 31); err == nil {
			d = max(0, d-time.Duration(age)*time.Second)
		}
		return d, true
	}
	if text := r.Header.Get("Expires"); text != "" {
		end, err := http.ParseTime(text)
		if err != nil {
			return 0, true
		}
		if date, err := http.ParseTime(r.Header.Get("Date")); err == nil {
			now = date
		}
		return max(0, end.Sub(now)), true
	}
	return 0, false
}

package fetch_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/proxy/fetch"
)

// FuzzFreshness: whatever headers a server sends, an answer is kept for no negative
// time, and not at all if it says so.
func FuzzFreshness(f *testing.F) {
	f.Add("max-age=600", "", "", "")
	f.Add("public, max-age=\"60\", no-store", "5", "", "")
	f.Add("max-age=-1", "x", "", "")
	f.Add("", "", "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:40:37 GMT")
	f.Add("private=\"a,no-store\", MAX-AGE = 99999999999", "9", "never", "")
	f.Fuzz(func(t *testing.T, control, age, expires, date string) {
		r := &fetch.Response{Header: http.Header{"Cache-Control": {control}, "Age": {age}, "Expires": {expires}, "Date": {date}}}
		d, ok := r.Freshness(time.Unix(1_800_000_000, 0))
		switch {
		case d < 0, !ok && d != 0:
			t.Errorf("%q: %s, %t", control, d, ok)
		case strings.EqualFold(strings.TrimSpace(control), "no-store") && (d != 0 || !ok):
			t.Errorf("%q is kept for %s", control, d)
		case ok && expires == "" && d > (1<<31)*time.Second:
			t.Errorf("%q is kept for %s", control, d)
		}
	})
}

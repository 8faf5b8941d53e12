package snapshot

import (
	"net/http"
	"sync/atomic"
	"time"
)

// Clock formats the Date header once a second, when somebody asks.
type Clock struct {
	now    func() time.Time
	cached atomic.Pointer[cachedDate]
}

type cachedDate struct {
	second int64
	text   []byte
}

// NewClock makes a Clock; now is time.Now outside tests.
func NewClock(now func() time.Time) *Clock { return &Clock{now: now} }

// Date is the current date as RFC 9110 §5.6.7 writes it. The bytes are shared:
// do not change them.
func (c *Clock) Date() []byte {
	t := c.now()
	if d := c.cached.Load(); d != nil && d.second == t.Unix() {
		return d.text
	}
	d := &cachedDate{second: t.Unix(), text: []byte(t.UTC().Format(http.TimeFormat))}
	c.cached.Store(d)
	return d.text
}

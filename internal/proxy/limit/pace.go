package limit

import (
	"math/bits"
	"time"
)

// pace is a bandwidth in bytes per second; zero is none. A key's word is the
// time at which all that has passed will have been paid for.
type pace int64

const (
	// paceBurst is what passes at once after a pause.
	paceBurst = time.Second
	// paceStep is the time that one piece of a body takes, so that it flows evenly,
	// and leastPiece what it has at least.
	paceStep   = time.Second / 16
	leastPiece = 512
)

// otherWay tells the counters of responses from those of requests.
const otherWay = 0x6a09e667f3bcc909

// Piece is how many of n bytes of a body should pass at once, so that it flows
// evenly.
func (l *Limit) Piece(response bool, n int) int {
	rate := l.settings.Load().pace(response)
	if rate == 0 {
		return n
	}
	return min(n, max(leastPiece, int(int64(rate)/int64(time.Second/paceStep))))
}

// Pace charges n bytes of a body at the monotonic time now, and says how long they
// have to wait before they may pass.
func (l *Limit) Pace(tag uint64, response bool, n int, now int64) (wait time.Duration) {
	rate := l.settings.Load().pace(response)
	if rate == 0 || n == 0 {
		return 0
	}
	if response {
		tag ^= otherWay
	}
	took := rate.time(n)
	for {
		c, found := l.table.Find(tag)
		if !found {
			var added bool
			if c, added, _ = l.table.Put(tag, uint64(now)+took, now); added {
				return late(uint64(now)+took, now)
			}
		}
		word, ok := c.Load()
		if !ok {
			l.table.Settle(tag)
			continue
		}
		next := max(word, uint64(now)) + took
		if c.Word.CompareAndSwap(word, next) {
			return late(next, now)
		}
	}
}

// late is how long what is paid for at next has to wait.
func late(next uint64, now int64) time.Duration {
	return max(0, time.Duration(next-uint64(now))-paceBurst)
}

func (s *settings) pace(response bool) pace {
	if response {
		return s.response
	}
	return s.request
}

// time is how long n bytes take.
func (p pace) time(n int) uint64 {
	hi, lo := bits.Mul64(uint64(n), uint64(time.Second))
	q, _ := bits.Div64(hi, lo, uint64(p))
	return max(q, 1)
}

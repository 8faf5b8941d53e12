package signingkeys

import (
	"time"

	"github.com/gridway/gridway/internal/statedb"
)

const (
	// ahead is how long a key is published before it signs: twice the time for which
	// answers with keys may be cached, so that everybody has it by then.
	ahead = 20 * time.Minute
	// slack is for clocks of those who verify, and for processes that learn late that
	// the next key signs.
	slack = 10 * time.Minute
)

// signing is the place of the key that signs at a time: the latest whose time has come
// or, of a clock that was set back, the first.
func signing(keys []statedb.SigningKey, now time.Time) int {
	at := 0
	for i := range keys {
		if !keys[i].SignsFrom.After(now) {
			at = i
		}
	}
	return at
}

// next is when the key after the last of them is to sign, if it is time to make it.
func next(keys []statedb.SigningKey, now time.Time, every time.Duration) (from time.Time, due bool) {
	if len(keys) == 0 {
		return now, true
	}
	last := keys[len(keys)-1].SignsFrom
	if last.After(now) || now.Before(last.Add(every-ahead)) {
		return time.Time{}, false
	}
	if from = last.Add(every); from.Before(now.Add(ahead)) {
		from = now.Add(ahead)
	}
	return from, true
}

// over is how many of the first keys sign no more, and have signed nothing that can be
// alive.
func over(keys []statedb.SigningKey, now time.Time) (n int) {
	for n < signing(keys, now) && now.After(keys[n+1].SignsFrom.Add(keys[n].Lifetime+slack)) {
		n++
	}
	return n
}

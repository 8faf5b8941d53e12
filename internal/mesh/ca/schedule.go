package ca

import (
	"time"
)

// ahead is for how long a root is in the bundle before it signs: each proxy has renewed
// once by then, and got it.
func ahead(rows []row, lifetime time.Duration) time.Duration {
	for i := range rows {
		lifetime = max(lifetime, rows[i].Lifetime)
	}
	return lifetime + slack
}

// of are the rows of a purpose, the oldest first.
func of(rows []row, purpose string) (out []*row) {
	for i := range rows {
		if rows[i].Purpose == purpose {
			out = append(out, &rows[i])
		}
	}
	return out
}

// signing is the one that signs at a time: the newest whose time has come and whose key is
// there or, of a clock that was set back, the first with a key. Nil is none.
func signing(list []*row, now time.Time) (at *row) {
	for _, r := range list {
		if r.signer != nil && (at == nil || !r.SignsFrom.After(now)) {
			at = r
		}
	}
	return at
}

// next is when the one after the last is to sign, if it is time to make it. The first one
// signs at once, unless an authority outside does, from which it takes over.
func next(list []*row, now time.Time, rotation, ahead time.Duration, takesOver bool) (from time.Time, due bool) {
	if len(list) == 0 {
		if takesOver {
			now = now.Add(ahead)
		}
		return now, true
	}
	last := list[len(list)-1].SignsFrom
	if last.After(now) || now.Before(last.Add(rotation-ahead)) {
		return time.Time{}, false
	}
	if from = last.Add(rotation); from.Before(now.Add(ahead)) {
		from = now.Add(ahead)
	}
	return from, true
}

// over tells whether a row is trusted no more: another one signs in its place, its time to
// sign has been, and nobody has noted that he signs by it.
func over(r, signs *row, now time.Time) bool {
	return signs != nil && r != signs && !r.SignsFrom.After(now) && now.After(r.KeptUntil) &&
		(r.Purpose != signs.Purpose || r.Serial < signs.Serial || r.Purpose == purposeExternal)
}

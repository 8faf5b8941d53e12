package acme

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/gridway/gridway/internal/config/issuance"
)

// pauses are the waits between tries. An authority that says no counts how
// often it was asked (Let's Encrypt: five failed validations of a name per
// hour), one that cannot be reached does not.
type pauses struct {
	unreached, unreachedMax time.Duration
	refused, refusedMax     time.Duration
	// restart is the least wait after a try that failed before a restart, which
	// may be how somebody wants it tried again.
	restart time.Duration
	// look is how often the storage is looked at for what others have done.
	look time.Duration
	// advice is the wait between two questions for renewal information where
	// the authority names none; adviceMin and adviceMax bound the one it names.
	advice, adviceMin, adviceMax time.Duration
}

var usual = pauses{
	unreached: 5 * time.Second, unreachedMax: 10 * time.Minute,
	refused: 150 * time.Second, refusedMax: 6 * time.Hour,
	restart: time.Minute, look: time.Minute,
	// RFC 9773 §4.3.
	advice: 6 * time.Hour, adviceMin: time.Minute, adviceMax: 24 * time.Hour,
}

// mostTries is how far failures are counted.
const mostTries = 1 << 20

// after says when to try again: the pause doubles with each failure in a row,
// give or take a tenth, and is never shorter than the authority asks for.
func (p *pauses) after(err error, failed time.Time, before *setback) *setback {
	out := &setback{Tries: 1, Failed: failed.UTC(), Error: err.Error()}
	if before != nil { // which may be damaged
		out.Tries += min(max(before.Tries, 0), mostTries)
		out.Refused = min(max(before.Refused, 0), out.Tries-1)
	}
	var e *setbackError
	first, most, times := p.unreached, p.unreachedMax, out.Tries-out.Refused
	if errors.As(err, &e) && e.refused {
		out.Refused++
		first, most, times = p.refused, p.refusedMax, out.Refused
	}
	pause := min(first<<min(max(times-1, 0), 20), most)
	pause += time.Duration((rand.Float64() - 0.5) / 5 * float64(pause))
	if e != nil && e.wait > pause {
		// Everybody was told the same: come a little later than that.
		pause, out.Binding = e.wait+time.Duration(rand.Float64()/20*float64(e.wait)), true
	}
	out.Next = failed.Add(pause).UTC()
	return out
}

// resumed is what a setback from before a restart means.
func (p *pauses) resumed(s *setback) *setback {
	if s == nil || s.Binding {
		return s
	}
	out := *s
	if soon := s.Failed.Add(p.restart); soon.Before(out.Next) {
		out.Next = soon
	}
	return &out
}

// dueAt is when a certificate is to be renewed.
func dueAt(b *bundle, a *advice) time.Time {
	if a == nil || a.Serial != b.serial() || a.Renew.IsZero() {
		return b.renewAt()
	}
	// An authority that wants a certificate replaced which it has just issued
	// would be asked without end.
	life := b.leaf.NotAfter.Sub(b.leaf.NotBefore)
	earliest := b.Issued.Add(min(life/10, 10*time.Minute))
	if a.Renew.Before(earliest) {
		return earliest
	}
	// Nor may it be late.
	if last := b.leaf.NotAfter.Add(-life / 10); a.Renew.After(last) {
		return last
	}
	return a.Renew
}

// phase sums up.
func phase(o *issuance.Order, b *bundle, s *setback, trying bool) issuance.Phase {
	switch {
	case o.Hold != "":
		return issuance.Held
	case s != nil && !trying:
		return issuance.Failing
	case b == nil:
		return issuance.Pending
	case trying:
		return issuance.Renewing
	}
	return issuance.Issued
}

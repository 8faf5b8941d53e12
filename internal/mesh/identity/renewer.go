package identity

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"
)

const (
	// look is how often the clock is looked at, so that a machine that slept or whose clock
	// was set renews soon.
	look = 30 * time.Second
	// The waits between two tries grow from the first to the last, each ±10%.
	firstTry, lastTry = time.Second, time.Minute
	// minRenew is between two renewals that went well, however short SVIDs live and however
	// wrong our clock is.
	minRenew = 30 * time.Second
	// tryTime bounds a try.
	tryTime = 30 * time.Second
)

// Renewer renews the SVID of one identity at the half of its life, ±10% so that those who
// started together do not ask together, and tries on until it ends and after.
//
// It stands clocks that are wrong by ten minutes, or by half of the SVID's life if that is
// less: the SVID is valid Backdate before its making, is renewed by our clock or by the
// time that has gone since it came, whichever is first, and the half that is left is what
// others' clocks may be ahead.
type Renewer struct {
	Keyring *Keyring
	ID      ID
	// Renew gets a new SVID, which Run puts into the keyring.
	Renew func(ctx context.Context) (*SVID, error)
	Log   *slog.Logger // nil is nobody
	// Report, unless it is nil, is told of each try. It must not block.
	Report func(RenewerState)
	// Now is the clock; nil is the system's.
	Now func() time.Time
	// Kick, unless it is nil, has a value when it should be renewed at once.
	Kick <-chan struct{}
}

// RenewerState is how the SVID of an identity stands.
type RenewerState struct {
	ID ID
	// Ends is when the newest SVID does, zero without one.
	Ends time.Time
	// Next is when it is to be renewed, or tried again.
	Next time.Time
	// Failures counts tries since the last that went well, Err is why.
	Failures int
	Err      error
}

// renewAt is the half of an SVID's life by its own dates, which begin before its making.
func renewAt(s *SVID, jitter float64) (at time.Time, half time.Duration) {
	life := s.NotAfter().Sub(s.Leaf().NotBefore)
	if life > 2*Backdate {
		life -= Backdate
	} else {
		life /= 2
	}
	half = time.Duration(float64(life/2) * jitter)
	return s.NotAfter().Add(half - life), half
}

// jitter is 0.9 to 1.1.
func jitter() float64 { return 0.9 + 0.2*rand.Float64() }

// Run renews until ctx ends.
func (r *Renewer) Run(ctx context.Context) {
	now := r.Now
	if now == nil {
		now = time.Now
	}
	log := r.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	w := renewal{r: r, now: now, log: log, came: time.Now(), jitter: jitter()}
	for {
		wait := w.until()
		if wait <= 0 {
			w.try(ctx)
			if wait = w.until(); ctx.Err() != nil {
				return
			}
		}
		timer := time.NewTimer(min(max(wait, 0), look))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-r.Kick:
			w.now0()
		case <-timer.C:
		}
		timer.Stop()
	}
}

// renewal is the state of a Run.
type renewal struct {
	r   *Renewer
	now func() time.Time
	log *slog.Logger

	came     time.Time // when the newest SVID did, or the process began
	fresh    bool      // it came while we ran
	jitter   float64
	failures int
	again    time.Time // not before
	kicked   bool
	warned   bool
}

func (w *renewal) now0() { w.kicked, w.again = true, time.Time{} }

// until is how long it is to the next try. Times that have gone by are measured by
// time.Since, which setting the clock does not change.
func (w *renewal) until() time.Duration {
	if w.failures > 0 {
		return time.Until(w.again)
	}
	s := w.r.Keyring.SVID(w.r.ID)
	if s == nil || w.kicked {
		return 0
	}
	at, half := renewAt(s, w.jitter)
	wait := at.Sub(w.now())
	if w.fresh {
		gone := time.Since(w.came)
		wait = max(min(wait, half-gone), min(minRenew, half)-gone)
	}
	return wait
}

func (w *renewal) try(ctx context.Context) {
	asked, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	s, err := w.r.Renew(asked)
	if ctx.Err() != nil {
		return
	}
	state := RenewerState{ID: w.r.ID, Err: err}
	if err == nil {
		w.r.Keyring.Apply(Change{Put: []*SVID{s}})
		if w.failures > 0 {
			w.log.Info("the SVID could be renewed again", "id", w.r.ID.String(), "ends", s.NotAfter().UTC().Format(time.RFC3339))
		}
		w.came, w.fresh, w.jitter, w.failures, w.kicked, w.warned = time.Now(), true, jitter(), 0, false, false
	} else {
		w.failures++
		wait := min(firstTry<<min(w.failures-1, 10), lastTry)
		w.again = time.Now().Add(time.Duration(float64(wait) * jitter()))
		w.complain(err)
	}
	if newest := w.r.Keyring.SVID(w.r.ID); newest != nil {
		state.Ends = newest.NotAfter()
	}
	state.Failures, state.Next = w.failures, w.now().Add(w.until())
	if w.r.Report != nil {
		w.r.Report(state)
	}
}

// complain logs the first failure, and once more when the SVID is about to end.
func (w *renewal) complain(err error) {
	s := w.r.Keyring.SVID(w.r.ID)
	if s == nil {
		if w.failures == 1 {
			w.log.Warn("no SVID could be had; trying again", "id", w.r.ID.String(), "error", err)
		}
		return
	}
	left := s.NotAfter().Sub(w.now())
	_, half := renewAt(s, 1)
	switch {
	case left < half/2 && !w.warned:
		w.warned = true
		w.log.Error("the SVID is about to end and cannot be renewed: then no new connection of the mesh can be made", "id", w.r.ID.String(), "left", left.Round(time.Second).String(), "tries", w.failures, "error", err)
	case w.failures == 1:
		w.log.Warn("the SVID could not be renewed; trying again", "id", w.r.ID.String(), "left", left.Round(time.Second).String(), "error", err)
	}
}

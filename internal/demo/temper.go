package demo

import (
	"math"
	"math/rand/v2"
	"net/http"
	"time"
)

// temper is how an instance behaves apart from what it answers.
type temper struct {
	// Latency is log-normal: median × e^(sigma × N(0,1)), at most two seconds.
	median time.Duration
	sigma  float64
	// unavailable and reset are shares of requests that are answered with 503,
	// or whose connection is closed without an answer.
	unavailable, reset float64
	// spell is the share answered with 503 in bad spells, which last for a time at the
	// end of every so many seconds.
	spell       float64
	every, last int
}

const longest = 2 * time.Second

func (t temper) latency() time.Duration {
	return min(longest, time.Duration(float64(t.median)*math.Exp(t.sigma*rand.NormFloat64())))
}

func (t temper) inSpell(now time.Time) bool {
	return t.spell > 0 && now.Second()%t.every >= t.every-t.last
}

func (t temper) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wait := time.NewTimer(t.latency())
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-r.Context().Done():
			return
		}
		if r.URL.Path == "/healthz" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		switch roll := rand.Float64(); {
		case roll < t.reset:
			panic(http.ErrAbortHandler) // net/http closes the connection and logs nothing
		case roll < t.reset+t.unavailable, t.inSpell(time.Now()) && roll < t.spell:
			writeError(w, http.StatusServiceUnavailable, "this instance is having a bad moment")
			return
		}
		next.ServeHTTP(w, r)
	})
}

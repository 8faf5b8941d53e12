package keyset

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// State is what became of a key set.
type State struct {
	// Policy is "namespace/name", Issuer whose keys they are.
	Policy, Issuer string
	// Keys is how many there are.
	Keys int
	// Fetches and Failures count; Fetched is when the last good one was, zero if
	// there was none in this process. All are zero for keys of the configuration.
	Fetches, Failures uint64
	Fetched           time.Time
	// Place is where they are fetched, without a query; empty for keys of the
	// configuration. FailingSince is when that began to fail, because of Err; zero is
	// that the last fetch was good, or that there was none yet.
	Place        string
	FailingSince time.Time
	Err          string
}

// States tells of all key sets, ordered by name.
func (s *Set) States(yield func(State)) {
	s.mu.Lock()
	named := maps.Clone(s.named)
	s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(named)) {
		k := named[name]
		config, from := k.config.Load(), *k.from.Load()
		parts := strings.SplitN(name, "/", 3)
		st := State{Policy: strings.Join(parts[:min(len(parts), 2)], "/"), Issuer: config.Issuer}
		if set := from.current(); set != nil {
			st.Keys = set.Len()
		}
		if r, ok := from.(*remote); ok {
			st.Place = place(r.config.URL)
			if t := r.trouble.Load(); t != nil {
				st.FailingSince, st.Err = t.since, t.err
			}
			st.Fetches, st.Failures = r.good.Load(), r.failed.Load()
			if f := r.keys.Load(); f != nil {
				st.Fetched = f.at
			}
		}
		yield(st)
	}
}

package delta

import (
	"context"
	"fmt"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
)

// Side is one of two configurations that are compared, with its secrets hidden.
type Side struct {
	// Objects are those that may differ: what both sides have exactly so may be left out.
	Objects []Object
	Config  *ir.Config
}

// Difference is how two configurations differ.
type Difference struct {
	Objects   []ObjectChange  `json:"objects"`
	Listeners []SettingChange `json:"listeners"`
	Behaviour []RequestChange `json:"behaviour"`
	// Unseen are fields that a gateway hides, so that they cannot be compared.
	Unseen []string `json:"notCompared,omitempty"`
	// Tried is how many requests were compared. Bounded is true if not all pairs
	// of matches that overlap have one among them.
	Tried   int  `json:"requestsTried"`
	Bounded bool `json:"pairsBounded,omitempty"`
}

// Compare says how after differs from before.
func Compare(ctx context.Context, before, after *Side) (d *Difference, err error) {
	d = &Difference{}
	if d.Objects, d.Unseen, err = Objects(before.Objects, after.Objects); err != nil {
		return nil, err
	}
	a, err := dryrun.New(before.Config)
	if err != nil {
		return nil, err
	}
	b, err := dryrun.New(after.Config)
	if err != nil {
		return nil, err
	}
	d.Listeners = Listeners(before.Config, after.Config)
	var tried Tried
	d.Behaviour, tried = Behaviour(ctx, a, b)
	d.Tried, d.Bounded = tried.Requests, tried.Bounded
	return d, ctx.Err()
}

// Alike groups requests that differ in the same way, in the order of the first.
func Alike(list []RequestChange) [][]RequestChange {
	var groups [][]RequestChange
	index := map[string]int{}
	for _, c := range list {
		key := fmt.Sprintf("%q", c.Aspects)
		i, ok := index[key]
		if !ok {
			i = len(groups)
			index[key] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], c)
	}
	return groups
}

// Numbers hides values and still tells them apart. What it returns is for one goroutine.
func Numbers() ir.Veil {
	seen := map[string]int{}
	return func(value string) string {
		if seen[value] == 0 {
			seen[value] = len(seen) + 1
		}
		return fmt.Sprintf("(hidden, value %d)", seen[value])
	}
}

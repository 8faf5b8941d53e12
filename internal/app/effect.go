package app

import (
	"context"
	"errors"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/schema"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/effect"
	"github.com/gridway/gridway/internal/observe"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

// effects reckons what changes of the configuration would do.
type effects struct {
	g    *Gateway
	seen *observe.Observer
}

// Effect implements adminapi.Effects.
func (f *effects) Effect(ctx context.Context, c adminapi.Candidate) (*adminapi.Effect, error) {
	g := f.g
	s := &effect.Serving{
		Reflected: g.plane.Reflected, Keys: g.plane.Keys,
		Input: func(set *store.Set, refusing []store.Problem) compile.Input {
			return g.input(file.Snapshot{Set: set, Problems: refusing})
		},
		Records: func(ctx context.Context) (*trace.Answer, error) {
			return f.seen.Records(ctx, &trace.Query{Edge: true, Limit: trace.MaxFound})
		},
	}
	// What was compiled, and of what: no revision may come in between.
	g.applying.Lock()
	s.Output, s.Refusing = g.out, g.base.Problems
	g.mu.Lock()
	s.Set, s.Known = g.state.set, g.state.problems
	g.mu.Unlock()
	g.applying.Unlock()
	if s.Set == nil || s.Output == nil {
		return nil, errors.New("no revision is in service yet")
	}
	return effect.Of(ctx, s, c)
}

// Schema implements adminapi.Effects.
func (f *effects) Schema() []byte { return schema.JSON() }

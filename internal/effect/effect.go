// Package effect says what a change of the configuration would do before it is made: the
// candidate is decoded, checked and compiled beside what serves, both are compared
// (package delta), and what has passed lately is decided again (package replay).
//
// It opens nothing and changes nothing; its one goroutine, which asks what has passed,
// ends before Of does. Only internal/app imports it.
package effect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/lint"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/effect/delta"
	"github.com/gridway/gridway/internal/effect/replay"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

// Serving is what a candidate is compared with. None of it is changed.
type Serving struct {
	// Set has all objects, of whatever source, and Output is what was compiled of them.
	Set    *store.Set
	Output *compile.Output
	// Refusing are the problems by which sources have refused objects, and Known all that
	// are told about Set.
	Refusing, Known []store.Problem
	// Input is what else compile is given.
	Input func(set *store.Set, refusing []store.Problem) compile.Input
	// Records asks what edges remember, the newest first; nil is nothing.
	Records func(ctx context.Context) (*trace.Answer, error)
	// Reflected and Keys are what the data plane has fetched.
	Reflected dryrun.Schemas
	Keys      dryrun.Keys
}

// behaviourWithin is how long requests that were made up may take; what has passed is
// worth the rest of the time.
const behaviourWithin = 5 * time.Second

// Of reckons the effect of a candidate, until ctx ends: what is not done by then is
// missing, and the effect says so.
func Of(ctx context.Context, s *Serving, c adminapi.Candidate) (*adminapi.Effect, error) {
	change, err := read(s.Set, c)
	if err != nil {
		return nil, err
	}
	passed := ask(ctx, s.Records)
	defer passed.end()
	e := &adminapi.Effect{Valid: true, Revision: s.Output.Config.Revision, InFiles: change.inFiles(s.Set)}
	if e.Problems = tell(change.problems); hasError(change.problems) {
		e.Valid = false
		return e, nil
	}
	set := s.Set.With(change.put, change.gone)
	out := compile.Compile(s.Input(set, change.without(s.Refusing)), s.Output)
	problems := slices.Clone(out.Problems)
	findings, err := lint.Check(out.Config, set)
	if err != nil {
		return nil, err
	}
	fresh := change.because(append(problems, findings...), s.Known)
	e.Problems = tell(append(change.problems, fresh...))
	if hasError(fresh) {
		e.Valid = false
		return e, nil
	}
	if ctx.Err() != nil {
		e.Unfinish("there was no time left to compare it with what serves")
		return e, nil
	}
	before, after, err := change.sides(s, set, out.Config)
	if err != nil {
		return nil, err
	}
	if e.Objects, e.Unseen, err = delta.Objects(before.Objects, after.Objects); err != nil {
		return nil, err
	}
	e.Listeners = delta.Listeners(before.Config, after.Config)
	return e, decide(ctx, e, s, before.Config, after.Config, passed)
}

// decide compares what both configurations do with requests, made up and real.
func decide(ctx context.Context, e *adminapi.Effect, s *Serving, before, after *ir.Config, passed *asked) error {
	was, err := dryrun.NewTranscoding(before, s.Reflected, s.Keys)
	if err != nil {
		return err
	}
	now, err := dryrun.NewTranscoding(after, s.Reflected, s.Keys)
	if err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, behaviourWithin)
	defer cancel()
	list, tried := delta.Behaviour(within, was, now)
	e.SetBehaviour(list)
	e.Tried, e.Bounded = tried.Requests, tried.Bounded
	if tried.Stopped {
		e.Unfinish("of the requests that stand for the rules, only the first %d were compared: there are too many for the time", tried.Requests)
	}
	a, err := passed.wait(ctx)
	switch {
	case err != nil:
		e.Unfinish("what has passed lately could not be asked for: %v", err)
		return nil
	case a == nil:
		return nil
	}
	p, err := replay.Remembered(ctx, a.Records, was, now)
	p.Unreached = a.Unreached
	e.Replay = p
	if err != nil {
		e.Unfinish("of the requests that have passed lately, only %d were decided again, for want of time", p.Requests)
	}
	return nil
}

// asked is what is being asked for beside the reckoning.
type asked struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when answer and err are set
	answer *trace.Answer
	err    error
}

func ask(ctx context.Context, records func(context.Context) (*trace.Answer, error)) *asked {
	ctx, cancel := context.WithCancel(ctx)
	a := &asked{cancel: cancel, done: make(chan struct{})}
	if records == nil {
		close(a.done)
		return a
	}
	go func() {
		defer close(a.done)
		a.answer, a.err = records(ctx)
	}()
	return a
}

func (a *asked) wait(ctx context.Context) (*trace.Answer, error) {
	select {
	case <-a.done:
		return a.answer, a.err
	case <-ctx.Done():
		return nil, errors.New("there was no time left for it")
	}
}

func (a *asked) end() {
	a.cancel()
	<-a.done
}

func hasError(list []store.Problem) bool {
	return slices.ContainsFunc(list, func(p store.Problem) bool { return p.Severity == store.Error })
}

// tell gives problems the form of the admin API.
func tell(list []store.Problem) []adminapi.Problem {
	var out []adminapi.Problem
	for _, p := range list[:min(len(list), maxProblems)] {
		x := adminapi.Problem{
			Severity: string(p.Severity), Code: p.Code, Field: p.Field, Message: p.Message, Remedy: p.Remedy,
			Place: adminapi.Place{File: p.Position.File, Line: p.Position.Line, Column: p.Position.Column},
		}
		if p.Object != (store.Key{}) {
			x.Object = p.Object.String()
		}
		out = append(out, x)
	}
	return out
}

// maxProblems bounds what is told.
const maxProblems = 500

// sides are the two configurations with their secrets hidden, and those of their objects
// that the change names. A value that is hidden is equal to every other: who may look may
// not find a secret out by guessing.
func (c *change) sides(s *Serving, set *store.Set, cfg *ir.Config) (before, after *delta.Side, err error) {
	before, after = &delta.Side{Config: s.Output.Config.Veiled(ir.Hide)}, &delta.Side{Config: cfg.Veiled(ir.Hide)}
	for _, k := range c.keys() {
		for _, side := range []struct {
			of   *store.Set
			list *[]delta.Object
		}{{s.Set, &before.Objects}, {set, &after.Objects}} {
			o := side.of.Get(k)
			if o == nil {
				continue
			}
			v, err := json.Marshal(o.Value)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", k, err)
			}
			shown := adminapi.Object{Kind: k.Kind, Value: v}.Veiled(ir.Hide)
			place := "" // what was sent is in no file
			if p := o.Locate(""); p.File != "" {
				place = p.String()
			}
			*side.list = append(*side.list, delta.Object{Name: k.String(), Place: place, Value: shown.Value})
		}
	}
	return before, after, nil
}

// Package tracing is the running form of what TelemetryPolicies say of traces: which
// exchanges are sampled, by which headers their traces go on, and where their spans go.
// Policies outlive snapshots, with their limits, as long as a snapshot has them. It starts
// no goroutine; the pipeline and the snapshot import it.
package tracing

import (
	"log/slog"
	"strings"
	"sync"
	"weak"

	"github.com/gridway/gridway/internal/expression"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/route"
	"github.com/gridway/gridway/internal/telemetry/export"
	"github.com/gridway/gridway/internal/telemetry/otlp"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

// Policy is how exchanges are traced.
type Policy struct {
	trace.Policy
	rules []rule
	tags  []tag
	sinks []*export.Sink
}

// rule gives requests another rate.
type rule struct {
	conditions *route.Conditions   // nil holds
	when       *expression.Program // nil holds
	rate       trace.Rate
}

// tag is an attribute of spans of its own.
type tag struct {
	name, value string
	header      []byte
	expression  *expression.Program
}

// Default makes a policy of what holds where none is configured.
func Default(p trace.Policy) *Policy { return &Policy{Policy: p} }

// Options of a Set.
type Options struct {
	// Default is for what no policy reaches.
	Default trace.Policy
	// Sink is that of a name.
	Sink func(name string) *export.Sink
	Log  *slog.Logger
}

// Set has the policies of a proxy.
type Set struct {
	opt       Options
	otherwise *Policy

	mu   sync.RWMutex                    // guards what follows
	have map[uint64]weak.Pointer[Policy] // by ir.Telemetry.Key
}

// NewSet makes a Set.
func NewSet(o Options) *Set {
	return &Set{opt: o, otherwise: Default(o.Default), have: map[uint64]weak.Pointer[Policy]{}}
}

// Get returns the policy of what reaches a rule or a section, which may be nil. All that
// has the same key has the same policy, and the limit in it, as long as somebody uses it.
func (s *Set) Get(t *ir.Telemetry) *Policy {
	if t == nil || t.Tracing == nil {
		return s.otherwise
	}
	s.mu.RLock()
	p := s.have[t.Key].Value()
	s.mu.RUnlock()
	if p != nil {
		return p
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.have[t.Key].Value(); p != nil {
		return p
	}
	for key, old := range s.have {
		if old.Value() == nil {
			delete(s.have, key)
		}
	}
	p = s.build(t.Tracing)
	s.have[t.Key] = weak.Make(p)
	return p
}

func (s *Set) build(t *ir.Tracing) *Policy {
	p := &Policy{Policy: trace.Policy{
		Follow: !t.IgnoreParent, Rate: rateOf(t.Rate), Limit: trace.NewLimit(t.MaxPerSecond), Slow: t.KeepSlowerThan, Errors: t.KeepErrors,
		Accept: formats(t.Accept, true), Send: formats(t.Send, false), B3First: len(t.Accept) > 0 && t.Accept[0] == ir.TraceB3,
	}}
	for i := range t.Rules {
		if r, ok := s.rule(&t.Rules[i]); ok {
			p.rules = append(p.rules, r)
		}
	}
	for i := range t.Tags {
		g := &t.Tags[i]
		one := tag{name: g.Name, value: g.Value, header: []byte(g.RequestHeader)}
		if g.Expression != "" {
			var err error
			if one.expression, err = expression.Compile(g.Expression, expression.Text); err != nil {
				s.broken("tag "+g.Name, err)
				continue
			}
		}
		p.tags = append(p.tags, one)
	}
	for _, name := range t.Sinks {
		if s.opt.Sink != nil {
			p.sinks = append(p.sinks, s.opt.Sink(name))
		}
	}
	return p
}

// rule compiles one. What cannot be is left out; compile has judged it.
func (s *Set) rule(t *ir.TraceRule) (r rule, ok bool) {
	r.rate = rateOf(t.Rate)
	var err error
	if len(t.Matches) > 0 {
		if r.conditions, err = route.NewConditions(t.Matches); err != nil {
			s.broken("rule "+t.Name, err)
			return r, false
		}
	}
	if t.When != "" {
		if r.when, err = expression.Compile(t.When, expression.Condition); err != nil {
			s.broken("rule "+t.Name, err)
			return r, false
		}
	}
	return r, true
}

func (s *Set) broken(what string, err error) {
	if s.opt.Log != nil {
		s.opt.Log.Error("a part of a TelemetryPolicy cannot be used, and is left out", "part", what, "error", err)
	}
}

// rateOf is of millionths.
func rateOf(millionths int) trace.Rate {
	return trace.Percent(float64(millionths) * 100 / ir.RateOfAll)
}

// formats of a list. Of those that are read, B3 is both of its forms.
func formats(list []ir.TraceFormat, read bool) (f trace.Formats) {
	for _, one := range list {
		switch one {
		case ir.TraceW3C:
			f |= trace.W3C
		case ir.TraceB3:
			f |= trace.B3
			if read {
				f |= trace.B3Single
			}
		case ir.TraceB3Single:
			f |= trace.B3Single
		}
	}
	return f
}

// RateOf is the rate for a request: that of the first rule that takes it, or else the
// policy's. A condition that cannot be evaluated does not hold.
func (p *Policy) RateOf(x *filter.Exchange) trace.Rate {
	for i := range p.rules {
		r := &p.rules[i]
		if r.conditions != nil && !r.conditions.Hold(&x.Req) {
			continue
		}
		if r.when != nil {
			if holds, err := r.when.Holds(x); err != nil || !holds {
				continue
			}
		}
		return r.rate
	}
	return p.Rate
}

// Exports tells whether spans are to be made: some sink takes them.
func (p *Policy) Exports() bool {
	for _, s := range p.sinks {
		if s.Takes() {
			return true
		}
	}
	return false
}

// Give gives an encoded span to all sinks of the policy. It never waits: a sink without
// room counts what it could not take.
func (p *Policy) Give(r *otlp.Resource, span []byte) {
	for _, s := range p.sinks {
		s.Send(export.Traces, r, span)
	}
}

// maxTag bounds the value of a tag that is of the request, in bytes.
const maxTag = 256

// Mask tells of which header fields and parameters of the query the values are not shown.
type Mask interface {
	Header(name string) bool
	Parameter(name string) bool
}

// Tags gives the attributes that spans of the exchange get besides their own. A header
// that the request does not have, and an expression that cannot be evaluated, give none; of
// a credential, and of what the mask hides, they give that it is hidden.
func (p *Policy) Tags(x *filter.Exchange, mask Mask, give func(name, value string)) {
	for i := range p.tags {
		t := &p.tags[i]
		value := t.value
		switch {
		case t.expression != nil:
			text, err := t.expression.Text(x)
			if err != nil {
				continue
			}
			if value = text; reveals(&x.Req, mask, value) {
				value = ir.Hidden
			}
		case len(t.header) > 0:
			if value = string(x.Req.Header.GetName(t.header)); value != "" && (mask.Header(string(t.header)) || ir.SecretValue(value) || ir.SecretTarget(value)) {
				value = ir.Hidden
			}
		}
		if value != "" {
			give(t.name, strings.ToValidUTF8(value[:min(len(value), maxTag)], "\uFFFD"))
		}
	}
}

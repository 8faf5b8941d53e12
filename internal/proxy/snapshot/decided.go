package snapshot

import (
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

// Decided is what a policy, "namespace/name", or a rule of it has made of a stream of the
// route, with the place where that is written. A nil Stream knows no places.
func (s *Stream) Decided(v trace.Verdict, policy, rule string) trace.Decided {
	d := trace.Decided{Verdict: v, Policy: policy, Rule: rule}
	if s == nil {
		return d
	}
	for _, a := range s.IR.Authorization {
		if a.Policy != policy {
			continue
		}
		d.Kind, d.Place = a.Ref.Kind, PlaceOf(&a.Ref)
		for i := range a.Rules {
			if rule != "" && a.Rules[i].Name == rule {
				d.Place = PlaceOf(&a.Rules[i].Ref)
			}
		}
		return d
	}
	for i := range s.IR.Policies {
		if p := &s.IR.Policies[i]; p.Namespace+"/"+p.Name == policy {
			d.Kind, d.Place = p.Kind, PlaceOf(p)
		}
	}
	return d
}

// PlaceOf is a place as records have it.
func PlaceOf(r *ir.Ref) trace.Place { return trace.Place{File: r.File, Line: r.Line, Column: r.Column} }

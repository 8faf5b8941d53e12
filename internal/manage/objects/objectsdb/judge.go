package objectsdb

import (
	"fmt"
	"slices"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/source/managed"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/manage/objects"
)

// maxDiagnostics bounds what is told of one change.
const maxDiagnostics = 100

func diagnostics(list []store.Problem) []objects.Diagnostic {
	out := []objects.Diagnostic{}
	for _, p := range list[:min(len(list), maxDiagnostics)] {
		d := objects.Diagnostic{Line: p.Position.Line, Column: p.Position.Column, File: p.Position.File, Code: p.Code, Field: p.Field, Message: p.Message, Hint: p.Remedy}
		if p.Object != (store.Key{}) {
			d.Object = p.Object.String()
		}
		out = append(out, d)
	}
	if more := len(list) - maxDiagnostics; more > 0 {
		out = append(out, objects.Diagnostic{Code: "TooManyProblems", Message: fmt.Sprintf("there are %d more, which are not listed", more)})
	}
	return out
}

func invalid(problems []store.Problem) error {
	return &objects.InvalidError{Errors: diagnostics(problems)}
}

// role is what it takes to change an object: who may be admitted, and which files of the
// machine are written, is decided by admins.
func role(o *store.Object) access.Role {
	if o.Key.Group != v1alpha1.GroupName {
		return access.Operator
	}
	switch o.Key.Kind {
	case v1alpha1.KindMeshPolicy, v1alpha1.KindMeshPeer, v1alpha1.KindTokenIssuer:
		return access.Admin
	case v1alpha1.KindTelemetrySink:
		if v, ok := o.Value.(*v1alpha1.TelemetrySink); !ok || v.Spec.File != nil {
			return access.Admin
		}
	}
	return access.Operator
}

// wanted is what an object is to be.
type wanted struct {
	key store.Key
	// before and after are nil for nothing.
	before, after *managed.Object
}

func (w *wanted) op() objects.Op {
	switch {
	case w.after == nil:
		return objects.Deleted
	case w.before == nil:
		return objects.Created
	case same(w.before, w.after):
		return objects.Unchanged
	}
	return objects.Changed
}

func name(k store.Key) objects.Name {
	return objects.Name{Kind: k.Kind, Namespace: k.Namespace, Name: k.Name}
}

// permitted tells whether somebody may make a change at all.
func (s *Service) permitted(by access.Actor, list []wanted) error {
	for i := range list {
		w := &list[i]
		if place, found := s.opt.InFile(w.key); found && w.after != nil {
			return fmt.Errorf("%s: %w: %s; change it there, or take it out of there first", w.key, objects.ErrInFile, place)
		}
		for _, o := range []*managed.Object{w.before, w.after} {
			if o != nil && !by.Role.Includes(role(o.Object)) {
				return fmt.Errorf("%s: %w", w.key, objects.ErrRole)
			}
		}
	}
	return nil
}

// judge compiles the configuration as it would be. What is wrong is an error if it is
// wrong with the change, or with something else because of it.
func (s *Service) judge(now *managed.State, list []wanted) (warnings []store.Problem, err error) {
	mine := map[store.Key]bool{}
	for i := range list {
		mine[list[i].key] = true
	}
	var before map[problemID]bool // of what is in service now, once it is asked for
	known := func(p *store.Problem) bool {
		if mine[p.Object] {
			return false
		}
		if before == nil {
			before = map[problemID]bool{}
			for _, b := range s.opt.Trial(now.Plain()) {
				before[idOf(&b)] = true
			}
		}
		return before[idOf(p)]
	}
	var errors []store.Problem
	for _, p := range s.opt.Trial(with(now, list)) {
		if p.Severity == store.Note || known(&p) {
			continue
		}
		if p.Severity == store.Error {
			errors = append(errors, p)
		} else {
			warnings = append(warnings, p)
		}
	}
	if len(errors) > 0 {
		return nil, invalid(errors)
	}
	return warnings, nil
}

// problemID tells problems apart wherever they stand.
type problemID struct {
	object               store.Key
	severity             store.Severity
	code, field, message string
}

func idOf(p *store.Problem) problemID {
	return problemID{p.Object, p.Severity, p.Code, p.Field, p.Message}
}

// with are the managed objects after a change, in their order.
func with(now *managed.State, list []wanted) []*store.Object {
	changed := make(map[store.Key]bool, len(list))
	var out []*store.Object
	for i := range list {
		changed[list[i].key] = true
		if o := list[i].after; o != nil {
			out = append(out, o.Object)
		}
	}
	for _, o := range now.Objects {
		if !changed[o.Key] {
			out = append(out, o.Object)
		}
	}
	slices.SortFunc(out, func(a, b *store.Object) int { return managed.Compare(a.Key, b.Key) })
	return out
}

// Package lint finds what is valid in a configuration but probably not meant:
// rules that no request can reach, Backends that nothing leads to, and the
// like. What compile notices while it works (expired certificates, missing
// backends, listeners without routes) is among its own problems; lint adds what
// only the whole configuration shows.
//
// It asks the proxy's own route table, so that its findings are true of the
// running thing. The package owns no goroutines. The CLI and app may import it;
// compile and the data plane may not.
package lint

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/route"
)

// Check returns what is suspicious about a compiled configuration. The objects
// it was compiled from are asked for positions.
func Check(cfg *ir.Config, set *store.Set) ([]store.Problem, error) {
	l := &linter{cfg: cfg, set: set}
	if err := l.unreachable(); err != nil {
		return nil, err
	}
	l.unusedBackends()
	l.weightless()
	return l.problems, nil
}

type linter struct {
	cfg      *ir.Config
	set      *store.Set
	problems []store.Problem
}

// problem is a finding about a field of the object that a ref names.
func (l *linter) problem(ref ir.Ref, group, field string, severity store.Severity, code, message, remedy string) {
	p := store.Problem{
		Severity: severity, Code: code, Field: field, Message: message, Remedy: remedy,
		Object:   store.Key{Group: group, Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name},
		Position: store.Position{File: ref.File, Line: ref.Line, Column: ref.Column},
	}
	if o := l.set.Get(p.Object); o != nil {
		p.Position = o.Locate(field)
	}
	l.problems = append(l.problems, p)
}

// unreachable names rules and matches that no request can reach.
func (l *linter) unreachable() error {
	live := map[*ir.Rule]bool{}
	var shadows []route.Shadow
	for _, listener := range l.cfg.Listeners {
		found, err := l.shadowed(listener, live)
		if err != nil {
			return err
		}
		shadows = append(shadows, found...)
	}
	told := map[string]bool{}
	for _, s := range shadows {
		// A route may serve through several listeners: its rule is dead only if
		// none of them leaves it anything.
		dead := !live[s.Rule]
		if s.BySection != nil && !dead {
			continue // that hostname is served through the other section
		}
		field := ruleField(s.Rule)
		code, what := "UnreachableRule", "no request can reach this rule"
		if !dead {
			code, what = "UnreachableMatch", "no request can reach this match"
			field += fmt.Sprintf(".matches[%d]", s.Match)
		}
		if id := s.Route.Name + field; !told[id] {
			told[id] = true
			l.problem(s.Route.Ref, "gateway.networking.k8s.io", field, store.Warning, code,
				what+": "+s.Why, "make it more specific, or remove it")
		}
	}
	return nil
}

// shadowed builds the table of a listener, and marks the rules that are live in it.
func (l *linter) shadowed(listener *ir.Listener, live map[*ir.Rule]bool) ([]route.Shadow, error) {
	routes := make(map[string]*ir.Route, len(l.cfg.Routes))
	for _, r := range l.cfg.Routes {
		routes[r.Name] = r
	}
	var sections []route.Section[struct{}]
	attached := map[*ir.Rule]bool{}
	for _, s := range listener.Sections {
		x := route.Section[struct{}]{Section: s}
		for _, a := range s.Routes {
			r := routes[a.Route]
			if r == nil {
				continue
			}
			x.Routes = append(x.Routes, route.Attached[struct{}]{
				Route: r, Hostnames: a.Hostnames, Values: make([]struct{}, len(r.Rules)),
			})
			for _, rule := range r.Rules {
				attached[rule] = true
			}
		}
		sections = append(sections, x)
	}
	table, err := route.Build(sections, nil)
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", listener.Name, err)
	}
	found := table.Shadowed()
	for _, s := range found {
		if s.Dead {
			delete(attached, s.Rule)
		}
	}
	for rule := range attached {
		live[rule] = true
	}
	return found, nil
}

// ruleField is the field of a rule, from its ID "HTTPRoute/namespace/name/rules/INDEX".
func ruleField(r *ir.Rule) string {
	i := strings.LastIndexByte(r.ID, '/')
	if n, err := strconv.Atoi(r.ID[i+1:]); err == nil {
		return fmt.Sprintf("spec.rules[%d]", n)
	}
	return "spec.rules"
}

// unusedBackends names Backends that no route leads to. Services are left
// alone: a cluster is full of those that are none of a gateway's business.
func (l *linter) unusedBackends() {
	used := map[string]bool{}
	for _, c := range l.cfg.Clusters {
		used[c.Ref.String()] = true
	}
	for _, r := range l.cfg.Routes {
		for _, rule := range r.Rules {
			for _, b := range rule.Backends {
				used[b.Ref.String()] = true
			}
		}
	}
	for _, o := range l.set.Kind("gridway.dev", "Backend") {
		ref := ir.Ref{Kind: o.Key.Kind, Namespace: o.Key.Namespace, Name: o.Key.Name}
		if !used[ref.String()] {
			l.problem(ref, "gridway.dev", "", store.Note, "UnusedBackend", "no route leads to this Backend", "")
		}
	}
}

// weightless names clusters whose endpoints all have weight zero.
func (l *linter) weightless() {
	for _, c := range l.cfg.Clusters {
		if len(c.Endpoints) == 0 || c.Discovery != nil || strings.Contains(c.Name, "~") {
			continue
		}
		total := uint64(0)
		for _, e := range c.Endpoints {
			total += uint64(e.Weight)
		}
		if total == 0 && c.Ref.Kind == "Backend" {
			l.problem(c.Ref, "gridway.dev", "spec.endpoints", store.Warning, "NoWeight",
				"the weight of every endpoint is 0, so none gets new traffic", "give at least one a weight")
		}
	}
}

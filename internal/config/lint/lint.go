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
	"slices"
	"strconv"
	"strings"

	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/route"
)

// Check returns what is suspicious about a compiled configuration. The objects
// it was compiled from are asked for positions.
func Check(cfg *ir.Config, set *store.Set) ([]store.Problem, error) {
	routes := make(map[string]*ir.Route, len(cfg.Routes))
	for _, r := range cfg.Routes {
		routes[r.Name] = r
	}
	tables := map[string]Table{}
	for _, l := range cfg.Listeners {
		t, err := build(l, routes)
		if err != nil {
			return nil, err
		}
		tables[l.Name] = t
	}
	return CheckTables(cfg, set, func(name string) Table { return tables[name] }), nil
}

// Table is the route table of a listener.
type Table interface {
	Shadowed() []route.Shadow
}

// CheckTables is Check for who has the tables of the configuration already. A
// listener whose table is nil is left out.
func CheckTables(cfg *ir.Config, set *store.Set, table func(listener string) Table) []store.Problem {
	l := &linter{cfg: cfg, set: set, table: table}
	l.unreachable()
	l.unusedBackends()
	l.weightless()
	l.preflights()
	l.orphanSlices()
	return l.problems
}

type linter struct {
	cfg      *ir.Config
	set      *store.Set
	table    func(listener string) Table
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
func (l *linter) unreachable() {
	var shadows []route.Shadow
	deadIn := make([]map[*ir.Rule]bool, len(l.cfg.Listeners))
	for i, listener := range l.cfg.Listeners {
		deadIn[i] = map[*ir.Rule]bool{}
		t := l.table(listener.Name)
		if t == nil {
			continue
		}
		found := t.Shadowed()
		for _, s := range found {
			if s.Dead {
				deadIn[i][s.Rule] = true
			}
		}
		shadows = append(shadows, found...)
	}
	if len(shadows) == 0 {
		return
	}
	live := l.live(deadIn)
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
}

// live lists the rules that are attached to some listener and not dead in it.
func (l *linter) live(deadIn []map[*ir.Rule]bool) map[*ir.Rule]bool {
	routes := make(map[string]*ir.Route, len(l.cfg.Routes))
	for _, r := range l.cfg.Routes {
		routes[r.Name] = r
	}
	live := map[*ir.Rule]bool{}
	for i, listener := range l.cfg.Listeners {
		for _, s := range listener.Sections {
			for _, a := range s.Routes {
				if r := routes[a.Route]; r != nil {
					for _, rule := range r.Rules {
						if !deadIn[i][rule] {
							live[rule] = true
						}
					}
				}
			}
		}
	}
	return live
}

// build makes the table of a listener.
func build(listener *ir.Listener, routes map[string]*ir.Route) (Table, error) {
	var sections []route.Section[struct{}]
	for _, s := range listener.Sections {
		x := route.Section[struct{}]{Section: s}
		for _, a := range s.Routes {
			if r := routes[a.Route]; r != nil {
				x.Routes = append(x.Routes, route.Attached[struct{}]{
					Route: r, Hostnames: a.Hostnames, Values: make([]struct{}, len(r.Rules)),
				})
			}
		}
		sections = append(sections, x)
	}
	table, err := route.Build(sections, nil)
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", listener.Name, err)
	}
	return table, nil
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
	all := l.set.Kind("gridway.dev", "Backend")
	used := make(map[backendName]bool, len(all))
	use := func(r *ir.Ref) {
		if r.Kind == "Backend" {
			used[backendName{r.Namespace, r.Name}] = true
		}
	}
	for _, c := range l.cfg.Clusters {
		use(&c.Ref)
	}
	// A Backend without a cluster may still be named by a rule that cannot use it.
	if slices.ContainsFunc(all, func(o *store.Object) bool { return !used[backendName{o.Key.Namespace, o.Key.Name}] }) {
		l.meshBackends(func(n backendName) { used[n] = true })
		for _, r := range l.cfg.Routes {
			for _, rule := range r.Rules {
				for i := range rule.Backends {
					use(&rule.Backends[i].Ref)
				}
			}
		}
	}
	for _, o := range all {
		if !used[backendName{o.Key.Namespace, o.Key.Name}] {
			ref := ir.Ref{Kind: o.Key.Kind, Namespace: o.Key.Namespace, Name: o.Key.Name}
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

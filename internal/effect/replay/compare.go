package replay

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/effect/delta"
	"github.com/gridway/gridway/internal/telemetry/tap"
)

// Report is what a replay has found.
type Report struct {
	// Requests is how many the recording has, Same how many are decided as before,
	// Different how many are not, and Undecided those of which nothing can be said.
	Requests  int `json:"requests"`
	Same      int `json:"same"`
	Different int `json:"different"`
	Undecided int `json:"undecided"`
	// Groups are requests that differ in the same way, the largest first.
	Groups []*Group `json:"differences"`
	// Why counts what could not be decided, by the reason.
	Why map[string]int `json:"notDecided,omitempty"`
	// Assumed counts requests by what was taken for granted about them.
	Assumed map[string]int `json:"assumed,omitempty"`
}

// Group are requests that differ in the same way.
type Group struct {
	Count   int            `json:"count"`
	Aspects []delta.Aspect `json:"aspects"`
	// Examples are the first of them.
	Examples []Example `json:"examples"`
}

// Example is a request.
type Example struct {
	// Proxy and Direction are where it has passed, and From is who has sent it, where that
	// is not an edge.
	Proxy     string `json:"proxy,omitempty"`
	Direction string `json:"direction,omitempty"`
	From      string `json:"from,omitempty"`
	// Protocol is that of a connection, which has no method and no path.
	Protocol  string `json:"protocol,omitempty"`
	Method    string `json:"method,omitempty"`
	Host      string `json:"host"`
	Path      string `json:"path,omitempty"`
	RequestID string `json:"requestId,omitempty"`
	Status    int    `json:"status,omitempty"`
}

// Bounds of a report.
const (
	maxExamples = 5
	maxGroups   = 1000
	maxTexts    = 100
)

// Run decides the requests of a recording on a candidate and compares that with what base
// makes of them, or with what was recorded if that is nil.
func Run(of *Recording, base, candidate *Side) (*Report, error) {
	r := &Report{Groups: []*Group{}, Why: map[string]int{}, Assumed: map[string]int{}}
	groups := map[string]*Group{}
	for e, err := range of.Events() {
		if err != nil {
			return nil, err
		}
		r.Requests++
		aspects, why := r.compare(e, base, candidate)
		switch {
		case why != "":
			r.Undecided++
			count(r.Why, why)
		case len(aspects) == 0:
			r.Same++
		default:
			r.Different++
			r.differs(groups, e, aspects)
		}
	}
	slices.SortStableFunc(r.Groups, func(a, b *Group) int { return b.Count - a.Count })
	return r, nil
}

func count(m map[string]int, text string) {
	if len(m) >= maxTexts && m[text] == 0 {
		text = "others"
	}
	m[text]++
}

func (r *Report) differs(groups map[string]*Group, e *tap.Event, aspects []delta.Aspect) {
	key := fmt.Sprintf("%q", aspects)
	g := groups[key]
	if g == nil {
		if len(groups) >= maxGroups {
			aspects = []delta.Aspect{{Name: "more than can be listed"}}
			key = "others"
			g = groups[key]
		}
		if g == nil {
			g = &Group{Aspects: aspects}
			groups[key] = g
			r.Groups = append(r.Groups, g)
		}
	}
	g.Count++
	if len(g.Examples) < maxExamples {
		g.Examples = append(g.Examples, example(e))
	}
}

func example(e *tap.Event) Example {
	x := Example{Method: e.Method, Host: e.Record.Host, Path: e.Record.Path, RequestID: e.RequestID, Status: e.Status}
	if e.Record.Query != "" {
		x.Path += "?" + e.Record.Query
	}
	if e.Type == tap.Stream {
		x.Protocol = e.Protocol
		if a := e.Record.Asked; x.Host == "" && a != nil {
			x.Host = name(*a)
		}
	}
	if e.Direction != tap.Edge {
		x.Proxy, x.Direction = e.Proxy, e.Direction
		if x.From = e.Record.Workload; x.From == "" && e.Source.Service != "" {
			x.From = e.Source.Namespace + "/" + e.Source.Service
		}
	}
	return x
}

// compare says in what a request is decided otherwise, or why that cannot be said.
func (r *Report) compare(e *tap.Event, base, candidate *Side) ([]delta.Aspect, string) {
	now, assumed, why := decided(candidate, e)
	if why != "" {
		return nil, why
	}
	var was *outcome
	if base == nil {
		was = recorded(e)
	} else if was, _, why = decided(base, e); why != "" {
		return nil, why
	}
	slices.Sort(assumed)
	for _, a := range slices.Compact(assumed) {
		count(r.Assumed, a)
	}
	return differences(was, now, base != nil), ""
}

// differences are what somebody could notice. Both is that both sides were decided here,
// so that all of them is known.
func differences(was, now *outcome, both bool) []delta.Aspect {
	out := behaviour(was, now, both)
	// The number of a rule changes with each one before it, which is no difference by
	// itself.
	moved := was.route == now.route && was.rule != now.rule && !was.early && !now.early
	if both && moved && was.match == now.match {
		moved = false
	}
	if moved && (both || len(out) > 0) {
		out = append([]delta.Aspect{{Name: "rule", Old: was.called(), New: now.called()}}, out...)
	}
	return out
}

// called is the rule as it is shown.
func (o *outcome) called() string {
	if o.ruleName == "" {
		return o.rule
	}
	return o.rule + " (" + o.ruleName + ")"
}

const policiesAspect = "policies"

// behaviour is what differs but for the rule.
func behaviour(was, now *outcome, both bool) (out []delta.Aspect) {
	add := func(name, a, b string) {
		if a != b {
			out = append(out, delta.Aspect{Name: name, Old: a, New: b})
		}
	}
	add("service", was.asked, now.asked)
	if !was.early && !now.early {
		add("route", was.route, now.route)
	}
	if both {
		add(policiesAspect, was.policies, now.policies)
	}
	if was.result == "" {
		return out
	}
	add("result", was.result, now.result)
	if was.result != forward || now.result != forward {
		if was.result == now.result {
			add("policy", was.policy, now.policy)
		}
		if both && was.result == now.result {
			add("reply", was.reply, now.reply)
		}
		return out
	}
	if was.anyBackend {
		return out
	}
	if both {
		add("backends", names(was.backends), names(now.backends))
	} else if !slices.ContainsFunc(now.backends, func(b backend) bool { return b.cluster == was.backends[0].cluster }) {
		add("backend", was.backends[0].cluster, names(now.backends))
	}
	seen := map[string]bool{}
	for _, a := range was.backends {
		for _, b := range now.backends {
			if a.cluster != b.cluster || seen[a.cluster] {
				continue
			}
			seen[a.cluster] = true
			to := ""
			if len(now.backends) > 1 {
				to = " to " + b.name
			}
			if a.path != "" {
				add("path"+to, a.path, b.path)
				add("host"+to, a.host, b.host)
			}
			if both {
				add("request headers"+to, a.fields, b.fields)
			}
		}
	}
	return out
}

func names(list []backend) string {
	shares := map[string]float64{}
	for _, b := range list {
		shares[b.cluster] += b.percent
	}
	var out []string
	for _, cluster := range slices.Sorted(maps.Keys(shares)) {
		if len(shares) == 1 {
			return cluster
		}
		out = append(out, fmt.Sprintf("%s %.4g%%", cluster, shares[cluster]))
	}
	return strings.Join(out, ", ")
}

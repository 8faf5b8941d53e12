package adminapi

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
)

const hidden = "(hidden)"

// complete gives lists that are empty the form of lists.
func (s Status) complete() Status {
	if s.Objects == nil {
		s.Objects = map[string]int{}
	}
	s.Ready = s.State == Serving
	s.Problems = append([]Problem{}, s.Problems...)
	s.Refused = append([]Refused{}, s.Refused...)
	s.Listeners = append([]ListenerStatus{}, s.Listeners...)
	s.Statuses = append([]ObjectStatus{}, s.Statuses...)
	return s
}

func sortObjects(list []Object) {
	slices.SortFunc(list, func(a, b Object) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
}

// redacted hides what must not leave the process. A value that is not JSON is
// left out: what is not understood is not shown.
func (o Object) redacted(values bool) Object {
	if o.Kind == "Secret" {
		o.Hash = "" // a digest of a short secret gives it away
	}
	if !values || o.Value == nil {
		o.Value = nil
		return o
	}
	var v map[string]any
	if err := json.Unmarshal(o.Value, &v); err != nil {
		o.Value = nil
		return o
	}
	hideHeaders(v)
	if meta, ok := v["metadata"].(map[string]any); ok {
		delete(meta, "managedFields")
		if a, ok := meta["annotations"].(map[string]any); ok {
			delete(a, "kubectl.kubernetes.io/last-applied-configuration")
		}
	}
	if o.Kind == "Secret" {
		for _, field := range []string{"data", "stringData"} {
			if m, ok := v[field].(map[string]any); ok {
				for k := range m {
					m[k] = hidden
				}
			}
		}
	}
	text, err := json.Marshal(v)
	if err != nil {
		text = nil
	}
	o.Value = text
	return o
}

// hideHeaders hides the value beside each name of a header that usually
// carries credentials, wherever it is.
func hideHeaders(v any) {
	switch v := v.(type) {
	case map[string]any:
		if name, ok := v["name"].(string); ok && ir.SecretHeader(name) {
			if _, ok := v["value"].(string); ok {
				v["value"] = hidden
			}
		}
		for _, x := range v {
			hideHeaders(x)
		}
	case []any:
		for _, x := range v {
			hideHeaders(x)
		}
	}
}

// redactDecision hides what filters add, and keys; not what the caller sent.
func redactDecision(d *dryrun.Decision) any {
	sent := map[string]bool{}
	for _, h := range d.Request.Headers {
		sent[h.Value] = true
	}
	hide := func(list []ir.Header) []ir.Header {
		out := slices.Clone(list)
		for i := range out {
			if ir.SecretHeader(out[i].Name) && !sent[out[i].Value] {
				out[i].Value = hidden
			}
		}
		return out
	}
	n := *d
	rule := func(f ir.Filters, p ir.RoutePolicy, m []ir.Match) *ir.Rule {
		c := ir.Config{Routes: []*ir.Route{{Rules: []*ir.Rule{{Filters: f, Policy: p, Matches: m}}}}}
		return c.Redacted().Routes[0].Rules[0]
	}
	var matches []ir.Match
	if d.Match != nil {
		matches = []ir.Match{*d.Match}
	}
	r := rule(d.Filters, d.Policy, matches)
	n.Filters, n.Policy = r.Filters, r.Policy
	if d.Match != nil {
		n.Match = &r.Matches[0]
	}
	if d.Local != nil {
		l := *d.Local
		l.Headers = hide(l.Headers)
		n.Local = &l
	}
	n.Backends = slices.Clone(d.Backends)
	for i := range n.Backends {
		b := &n.Backends[i]
		b.Filters = rule(b.Filters, ir.RoutePolicy{}, nil).Filters
		b.ResponseHeaders = hide(b.ResponseHeaders)
		if b.Upstream != nil {
			u := *b.Upstream
			u.Headers = hide(u.Headers)
			b.Upstream = &u
		}
	}
	return &n
}

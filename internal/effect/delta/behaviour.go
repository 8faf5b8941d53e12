package delta

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
)

// RequestChange is a request that would be served differently.
type RequestChange struct {
	Method  string      `json:"method"`
	URL     string      `json:"url"`
	Headers []ir.Header `json:"headers,omitempty"`
	Aspects []Aspect    `json:"aspects"`
}

// Aspect is one way in which the decisions differ.
type Aspect struct {
	Name string `json:"name"`
	Old  string `json:"old"`
	New  string `json:"new"`
}

// Tried says which requests were compared.
type Tried struct {
	Requests int
	// Bounded is true if there were more pairs of matches than are looked at.
	Bounded bool
	// Stopped is true if the context ended before all were compared.
	Stopped bool
}

// Behaviour compares what both configurations do with requests that stand for
// the rules of either, until ctx ends.
func Behaviour(ctx context.Context, before, after *dryrun.Table) (changes []RequestChange, tried Tried) {
	changes = []RequestChange{}
	old, now := newSide(before), newSide(after)
	seen := map[string]bool{}
	for _, t := range []*dryrun.Table{before, after} {
		list, all := dryrun.Samples(t.Config())
		tried.Bounded = tried.Bounded || !all
		for _, r := range list {
			key := r.Key()
			if seen[key] {
				continue
			}
			seen[key] = true
			if tried.Requests%samplesBetweenLooks == 0 && ctx.Err() != nil {
				tried.Stopped = true
				return changes, tried
			}
			tried.Requests++
			if a := difference(old.aspects(r), now.aspects(r)); len(a) > 0 {
				changes = append(changes, RequestChange{Method: r.Method, URL: r.URL, Headers: r.Headers, Aspects: a})
			}
		}
	}
	return changes, tried
}

// samplesBetweenLooks is how many requests are decided between looks at the context.
const samplesBetweenLooks = 64

// side is one configuration, with the settings in words that many requests share.
type side struct {
	*dryrun.Table
	told map[sharedBy][]setting
}

// sharedBy is a cluster, or a rule of a route, or one of the rule's backends.
type sharedBy struct {
	path, name    string
	rule, backend int
}

func newSide(t *dryrun.Table) *side { return &side{t, map[sharedBy][]setting{}} }

func (t *side) shared(by sharedBy, tell func() []setting) []setting {
	list, ok := t.told[by]
	if !ok {
		list = tell()
		t.told[by] = list
	}
	return list
}

// aspects are what a client or a backend could notice, as text by name, the
// result first. Names of routes and rules are not among them.
func (t *side) aspects(r dryrun.Request) []setting {
	d, err := t.Outcome(r)
	if err != nil {
		return []setting{{resultAspect, "no listener takes it"}}
	}
	out := []setting{{resultAspect, result(d)}}
	if d.DecidedBy != "" { // the requests that are compared have no credentials
		out = append(out, setting{"response headers of the refusal", headerText(d.Local.Headers)})
		if d, err = t.Admitted(r); err != nil {
			return out
		}
		out = append(out, setting{"result for those let through", result(d)})
	}
	return append(out, t.served(d)...)
}

// served are the aspects of a request that goes on.
func (t *side) served(d *dryrun.Decision) (out []setting) {
	if d.Local != nil {
		out = append(out, setting{"response headers", headerText(d.Local.Headers)}, setting{"body", d.Local.Body})
		return append(out, t.guards(d)...)
	}
	if d.Stream != nil {
		return append(out, t.stream(d)...)
	}
	for i := range d.Backends {
		b := &d.Backends[i]
		if b.Weight == 0 || b.Upstream == nil {
			continue
		}
		to := ""
		if len(d.Backends) > 1 {
			to = " to " + b.Ref.Name
		}
		u := b.Upstream
		path := u.Path
		if u.Query != "" {
			path += "?" + u.Query
		}
		out = append(out,
			setting{"path" + to, path}, setting{"host" + to, u.Host}, setting{"scheme" + to, u.Scheme},
			setting{"request headers" + to, headerText(u.Headers)},
			setting{"response headers" + to, headerText(b.ResponseHeaders)},
			setting{"endpoints" + to, endpointText(b.Endpoints)},
		)
		out = append(out, t.shared(sharedBy{"filters" + to, d.Route.Name, d.RuleIndex, i}, func() []setting {
			return filterSettings("filters"+to, b.Filters)
		})...)
		if c := t.Cluster(b.Cluster); c != nil {
			out = append(out, t.shared(sharedBy{path: "backend" + to, name: b.Cluster}, func() []setting {
				return clusterSettings("backend"+to, *c)
			})...)
		}
	}
	var mirrors []string
	for _, m := range d.Mirrors {
		mirrors = append(mirrors, fmt.Sprintf("%s %g%%", m.Name, m.Percent))
	}
	out = append(out, setting{"mirrors", strings.Join(mirrors, ", ")})
	return append(out, t.policy(d)...)
}

// guards are the settings of what comes before a reply of the rule's own.
func (t *side) guards(d *dryrun.Decision) []setting {
	if d.Rule == nil {
		return nil
	}
	return t.shared(sharedBy{path: "guards", name: d.Route.Name, rule: d.RuleIndex}, func() []setting {
		return settings("policy", ir.RoutePolicy{Authentication: d.Policy.Authentication, Authorization: d.Policy.Authorization, Shield: d.Policy.Shield, RateLimits: d.Policy.RateLimits})
	})
}

// policy are the settings of the rule.
func (t *side) policy(d *dryrun.Decision) []setting {
	return t.shared(sharedBy{path: "policy", name: d.Route.Name, rule: d.RuleIndex}, func() []setting {
		return append(filterSettings("filters", d.Filters), settings("policy", d.Policy)...)
	})
}

// stream is the part of aspects for connections that are not HTTP.
func (t *side) stream(d *dryrun.Decision) []setting {
	s := *d.Stream
	s.Hostname = ""
	out := settings("stream", s)
	for i := range d.Backends {
		b := &d.Backends[i]
		c := t.Cluster(b.Cluster)
		if b.Weight == 0 || c == nil {
			continue
		}
		to := ""
		if len(d.Backends) > 1 {
			to = " to " + b.Ref.Name
		}
		out = append(out, setting{"endpoints" + to, endpointText(b.Endpoints)})
		out = append(out, t.shared(sharedBy{path: "backend" + to, name: b.Cluster}, func() []setting {
			return clusterSettings("backend"+to, *c)
		})...)
	}
	return out
}

const resultAspect = "result"

// filterSettings are those whose effect a dry run of one request need not
// show: a header is removed only where there is one, CORS needs an Origin.
func filterSettings(path string, f ir.Filters) []setting {
	f.Mirrors, f.Redirect, f.Rewrite = nil, nil, nil
	return settings(path, f)
}

// clusterSettings leaves out what has an aspect of its own.
func clusterSettings(path string, c ir.Cluster) []setting {
	c.Name, c.Endpoints, c.Host, c.Protocol = "", nil, "", ""
	return settings(path, c)
}

func result(d *dryrun.Decision) string {
	if d.Action == dryrun.Refuse {
		return "refused " + d.Local.Reason
	}
	if l := d.Local; l != nil {
		s := fmt.Sprintf("reply %d", l.Status)
		for _, h := range l.Headers {
			if strings.EqualFold(h.Name, "Location") {
				s += " to " + h.Value
			}
		}
		if l.Reason != "" {
			s += " " + l.Reason
		}
		return s
	}
	var to []string
	for i := range d.Backends {
		b := &d.Backends[i]
		if b.Weight == 0 {
			continue
		}
		s := b.Ref.Name
		if b.Ref.Namespace != "default" && b.Ref.Namespace != "" {
			s = b.Ref.Namespace + "/" + s
		}
		if len(d.Backends) > 1 {
			s = fmt.Sprintf("%s %.4g%%", s, b.Percent)
		}
		if b.Problem != "" {
			s += " (answers 500)"
		}
		to = append(to, s)
	}
	return strings.Join(to, ", ")
}

func headerText(list []ir.Header) string {
	var s []string
	for _, h := range list {
		s = append(s, h.Name+": "+h.Value)
	}
	slices.Sort(s)
	return strings.Join(s, ", ")
}

func endpointText(list []ir.Endpoint) string {
	var s []string
	for _, e := range list {
		text := e.Address
		if e.Weight != 1 {
			text += fmt.Sprintf(" weight %d", e.Weight)
		}
		if e.Zone != "" {
			text += " zone " + e.Zone
		}
		if e.Priority != 0 {
			text += fmt.Sprintf(" priority %d", e.Priority)
		}
		if e.Hostname != "" {
			text += " as " + e.Hostname
		}
		if e.Draining {
			text += " draining"
		}
		s = append(s, text)
	}
	slices.Sort(s)
	return strings.Join(s, ", ")
}

// difference lists what is not the same; when the result differs, the rest is
// a consequence.
func difference(a, b []setting) []Aspect {
	if slices.Equal(a, b) {
		return nil
	}
	if len(a) > 0 && len(b) > 0 && a[0].name == resultAspect && a[0].text != b[0].text {
		return []Aspect{{Name: resultAspect, Old: a[0].text, New: b[0].text}}
	}
	var out []Aspect
	old := map[string]string{}
	for _, x := range a {
		old[x.name] = x.text
	}
	add := func(name, x, y string) {
		if x != y {
			out = append(out, Aspect{Name: name, Old: x, New: y})
		}
	}
	later := map[string]bool{}
	for _, y := range b {
		later[y.name] = true
		add(y.name, old[y.name], y.text)
	}
	for _, x := range a {
		if !later[x.name] {
			add(x.name, x.text, "")
		}
	}
	return withoutEchoes(out)
}

// withoutEchoes drops what filters say about headers where the headers
// themselves show it.
func withoutEchoes(list []Aspect) []Aspect {
	seen := func(headers string) bool {
		return slices.ContainsFunc(list, func(a Aspect) bool { return strings.HasPrefix(a.Name, headers) })
	}
	request, response := seen("request headers"), seen("response headers")
	return slices.DeleteFunc(list, func(a Aspect) bool {
		return strings.HasPrefix(a.Name, "filters") &&
			(request && strings.Contains(a.Name, ".requestHeaders.") || response && strings.Contains(a.Name, ".responseHeaders."))
	})
}

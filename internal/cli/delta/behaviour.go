package delta

import (
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

// Behaviour compares what both configurations do with requests that stand for
// the rules of either. Tried is how many there were. Describe puts a policy in
// words, one line per part.
func Behaviour(before, after *dryrun.Table, describe func(ir.RoutePolicy) []string) (changes []RequestChange, tried int) {
	changes = []RequestChange{}
	seen := map[string]bool{}
	for _, r := range append(dryrun.Samples(before.Config()), dryrun.Samples(after.Config())...) {
		key := fmt.Sprint(r)
		if seen[key] {
			continue
		}
		seen[key] = true
		tried++
		if a := difference(aspects(before, r, describe), aspects(after, r, describe)); len(a) > 0 {
			changes = append(changes, RequestChange{Method: r.Method, URL: r.URL, Headers: r.Headers, Aspects: a})
		}
	}
	return changes, tried
}

// aspects are what a client or a backend could notice, as text by name. Names
// of routes and rules are not among them.
func aspects(t *dryrun.Table, r dryrun.Request, describe func(ir.RoutePolicy) []string) [][2]string {
	d, err := t.Decide(r)
	if err != nil {
		return [][2]string{{"result", "no listener takes it"}}
	}
	out := [][2]string{{"result", result(d)}}
	if d.Local != nil {
		return append(out, [2]string{"response headers", headerText(d.Local.Headers)}, [2]string{"body", d.Local.Body})
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
			[2]string{"path" + to, path}, [2]string{"host" + to, u.Host}, [2]string{"scheme" + to, u.Scheme},
			[2]string{"request headers" + to, headerText(u.Headers)},
			[2]string{"response headers" + to, headerText(b.ResponseHeaders)},
			[2]string{"balancing" + to, b.Balance},
			[2]string{"endpoints" + to, endpointText(b.Endpoints)},
		)
	}
	var mirrors []string
	for _, m := range d.Mirrors {
		mirrors = append(mirrors, fmt.Sprintf("%s %g%%", m.Name, m.Percent))
	}
	out = append(out, [2]string{"mirrors", strings.Join(mirrors, ", ")})
	return append(out, [2]string{policyAspect, strings.Join(describe(d.Policy), "\n")})
}

const policyAspect = "policy"

// onlyIn returns the lines of a that b does not have, as one.
func onlyIn(a, b string) string {
	have := strings.Split(b, "\n")
	lines := slices.DeleteFunc(strings.Split(a, "\n"), func(l string) bool { return slices.Contains(have, l) })
	return strings.Join(lines, "; ")
}

func result(d *dryrun.Decision) string {
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
		s = append(s, text)
	}
	slices.Sort(s)
	return strings.Join(s, ", ")
}

// difference lists what is not the same; when the result differs, the rest is
// a consequence.
func difference(a, b [][2]string) []Aspect {
	if a[0][1] != b[0][1] {
		return []Aspect{{Name: "result", Old: a[0][1], New: b[0][1]}}
	}
	var out []Aspect
	later := map[string]string{}
	for _, x := range b {
		later[x[0]] = x[1]
	}
	for _, x := range a {
		if y := later[x[0]]; y != x[1] && !strings.Contains(y+x[1], Hidden) {
			if x[0] == policyAspect {
				x[1], y = onlyIn(x[1], y), onlyIn(y, x[1])
			}
			out = append(out, Aspect{Name: x[0], Old: x[1], New: y})
		}
	}
	return out
}

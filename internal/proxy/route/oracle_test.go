package route_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/route"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// The oracle does what the text of the Gateway API says, one attached match
// after the other.

type oracleCandidate struct {
	hostname  string
	route     *ir.Route
	ruleIndex int
	index     int
	rule      *ir.Rule
}

func (c *oracleCandidate) match() *ir.Match { return &c.rule.Matches[c.index] }

func oracle(sections []route.Section[string], r *httpmsg.Request) string {
	host := string(r.Host)
	if i := strings.IndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	best := -1
	for i := range sections {
		h := sections[i].Section.Hostname
		if oracleHost(h, host) && (best < 0 || oracleMoreSpecific(h, sections[best].Section.Hostname)) {
			best = i
		}
	}
	if best < 0 {
		return ""
	}
	var winner *oracleCandidate
	for _, a := range sections[best].Routes {
		hostnames := a.Hostnames
		if len(hostnames) == 0 {
			hostnames = []string{""}
		}
		for _, h := range hostnames {
			for i, rule := range a.Route.Rules {
				for j := range rule.Matches {
					c := &oracleCandidate{h, a.Route, i, j, rule}
					if oracleHost(h, host) && oracleMatch(c.match(), r) && (winner == nil || c.before(winner)) {
						winner = c
					}
				}
			}
		}
	}
	if winner == nil {
		return ""
	}
	return fmt.Sprint(winner.rule.ID, "/", winner.index)
}

func oracleHost(pattern, host string) bool {
	if pattern == "" || pattern == host {
		return true
	}
	return strings.HasPrefix(pattern, "*.") && len(host) >= len(pattern) && strings.HasSuffix(host, pattern[1:])
}

func oracleMoreSpecific(a, b string) bool {
	exact := func(h string) int {
		if strings.HasPrefix(h, "*") {
			return 0
		}
		return len(h)
	}
	if exact(a) != exact(b) {
		return exact(a) > exact(b)
	}
	return len(a) > len(b)
}

func oracleMatch(m *ir.Match, r *httpmsg.Request) bool {
	path := string(r.Path)
	value := func(t ir.MatchType, want, got string) bool {
		if t == ir.Regex {
			return regexp.MustCompile("^(?:" + want + ")$").MatchString(got)
		}
		return want == got
	}
	if m.Path.Type == ir.Prefix {
		p := strings.TrimRight(m.Path.Value, "/")
		if path != p && !strings.HasPrefix(path, p+"/") {
			return false
		}
	} else if !value(m.Path.Type, m.Path.Value, path) {
		return false
	}
	if m.Method != "" && m.Method != string(r.Method) {
		return false
	}
	seen := map[string]bool{}
	for _, h := range m.Headers {
		if seen[strings.ToLower(h.Name)] {
			continue
		}
		seen[strings.ToLower(h.Name)] = true
		var values []string
		for i := range r.Header.Len() {
			if f := r.Header.At(i); strings.EqualFold(string(f.Name), h.Name) {
				values = append(values, string(f.Value))
			}
		}
		if values == nil || !value(h.Type, h.Value, strings.Join(values, ", ")) {
			return false
		}
	}
	query, _ := url.ParseQuery(string(r.Query))
	seen = map[string]bool{}
	for _, q := range m.Query {
		if seen[q.Name] {
			continue
		}
		seen[q.Name] = true
		if !query.Has(q.Name) || !value(q.Type, q.Value, query.Get(q.Name)) {
			return false
		}
	}
	return true
}

func (c *oracleCandidate) before(o *oracleCandidate) bool {
	if c.hostname != o.hostname {
		return oracleMoreSpecific(c.hostname, o.hostname)
	}
	class := map[ir.MatchType]int{ir.Exact: 0, ir.Regex: 1, ir.Prefix: 2}
	length := func(m *ir.Match) int {
		if m.Path.Type == ir.Prefix {
			return len(strings.TrimRight(m.Path.Value, "/"))
		}
		return len(m.Path.Value)
	}
	distinct := func(values []ir.ValueMatch, fold bool) int {
		names := map[string]bool{}
		for _, v := range values {
			if fold {
				v.Name = strings.ToLower(v.Name)
			}
			names[v.Name] = true
		}
		return len(names)
	}
	a, b := c.match(), o.match()
	for _, d := range []int{
		class[a.Path.Type] - class[b.Path.Type],
		length(b) - length(a),
		strings.Compare(min(b.Method, "x"), min(a.Method, "x")) * boolean((a.Method == "") != (b.Method == "")),
		distinct(b.Headers, true) - distinct(a.Headers, true),
		distinct(b.Query, false) - distinct(a.Query, false),
		c.route.Created.Compare(o.route.Created),
		strings.Compare(c.route.Ref.Namespace+"/"+c.route.Ref.Name, o.route.Ref.Namespace+"/"+o.route.Ref.Name),
		c.ruleIndex - o.ruleIndex,
	} {
		if d != 0 {
			return d < 0
		}
	}
	return false // an earlier match of the same rule was there first
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// generator makes tables and requests from few words, so that they often meet.
type generator struct{ *rand.Rand }

func (g generator) pick(words ...string) string { return words[g.IntN(len(words))] }

func (g generator) path() string {
	var b strings.Builder
	for range g.IntN(5) {
		b.WriteString("/" + g.pick("a", "b", "ab", "a", "b", ""))
	}
	if b.Len() == 0 || g.IntN(6) == 0 {
		b.WriteString("/")
	}
	return b.String()
}

func (g generator) values(names []string, kind func() ir.MatchType) (out []ir.ValueMatch) {
	for range max(0, g.IntN(5)-2) {
		v := ir.ValueMatch{Name: g.pick(names...), Type: kind(), Value: g.pick("1", "2")}
		if v.Type == ir.Regex {
			v.Value = g.pick("1|2", "1.*", ".*", "[12]+")
		}
		out = append(out, v)
	}
	return out
}

func (g generator) match() ir.Match {
	kind := func() ir.MatchType {
		if g.IntN(4) == 0 {
			return ir.Regex
		}
		return ir.Exact
	}
	m := ir.Match{
		Path:    ir.PathMatch{Type: ir.Prefix, Value: g.path()},
		Headers: g.values([]string{"X-A", "x-a", "Accept", "x-b"}, kind),
		Query:   g.values([]string{"q", "Q", "a b"}, kind),
	}
	switch g.IntN(5) {
	case 0:
		m.Path.Type = ir.Exact
	case 1:
		m.Path = ir.PathMatch{Type: ir.Regex, Value: g.pick("/.*", "/a/.*", "/a/[ab]+", "/a", "/(a|b)/b", "/a/b/.*", "^/b/a?b$", ".*/b", "/a/b/[ab]*", "/ab?/.*")}
	}
	if g.IntN(4) == 0 {
		m.Method = g.pick("GET", "POST")
	}
	return m
}

func (g generator) sections() (out []route.Section[string]) {
	hostnames := []string{"", "*.x", "a.x", "*.a.x", "b.a.x", "y"}
	g.Shuffle(len(hostnames), func(i, j int) { hostnames[i], hostnames[j] = hostnames[j], hostnames[i] })
	n := 0
	for _, hostname := range hostnames[:1+g.IntN(3)] {
		s := section(hostname)
		for range g.IntN(5) {
			n++
			var rules []*ir.Rule
			for i := range 1 + g.IntN(3) {
				r := rule(fmt.Sprintf("r%d/%d", n, i))
				for range 1 + g.IntN(3) {
					r.Matches = append(r.Matches, g.match())
				}
				rules = append(rules, r)
			}
			a := attach(g.pick("k", "l", "m")+fmt.Sprint(n), nil, rules...)
			a.Route.Ref.Namespace = g.pick("n", "n-", "n0")
			a.Route.Created = time.Unix(int64(g.IntN(2)), 0)
			for range g.IntN(3) {
				if h := g.pick("", "*.x", "a.x", "*.a.x", "b.a.x", "y"); !slices.Contains(a.Hostnames, h) {
					a.Hostnames = append(a.Hostnames, h)
				}
			}
			s.Routes = append(s.Routes, a)
		}
		out = append(out, s)
	}
	return out
}

func (g generator) request() *httpmsg.Request {
	var query []string
	for range g.IntN(3) {
		query = append(query, g.pick("q", "Q", "a+b", "%61%20b", "z")+"="+g.pick("1", "2", "%31", "12"))
	}
	var headers []string
	for range g.IntN(4) {
		headers = append(headers, g.pick("X-A", "x-A", "accept", "X-B"), g.pick("1", "2", "1", "12"))
	}
	return request(g.pick("GET", "POST", "PUT"), g.pick("x", "a.x", "b.a.x", "c.b.a.x", "y", "z")+g.pick("", ":80"), g.path(), strings.Join(query, "&"), headers...)
}

// compareWithOracle makes a table and asks it, then changes some of its routes
// and makes the next table from it, as a gateway does: from all routes, and from
// the changed ones alone.
func compareWithOracle(t *testing.T, seed uint64) {
	g := generator{rand.New(rand.NewPCG(seed, 1))}
	sections := g.sections()
	table, err := route.Build(sections, nil)
	if err != nil {
		t.Fatal(err)
	}
	g.compare(t, seed, sections, table)
	for range 4 {
		changes := g.change(sections)
		built, err := route.Build(sections, table)
		if err != nil {
			t.Fatal(err)
		}
		g.compare(t, seed, sections, built)
		with, ok := table.With(sectionsOf(sections), changes)
		if !ok {
			t.Fatalf("seed %d: the table refused %d changes of its own routes", seed, len(changes))
		}
		g.compare(t, seed, sections, with)
		table = with
		if g.IntN(3) == 0 {
			table = built
		}
	}
}

func sectionsOf[T any](sections []route.Section[T]) (out []*ir.Section) {
	for _, s := range sections {
		out = append(out, s.Section)
	}
	return out
}

// change replaces some routes by ones of the same name, with or without other
// matches, and others by themselves.
func (g generator) change(sections []route.Section[string]) (changes []route.Change[string]) {
	for i := range sections {
		for j := range sections[i].Routes {
			a := &sections[i].Routes[j]
			was, next := a.Route, *a.Route
			switch g.IntN(4) {
			case 0:
				next.Rules = slices.Clone(next.Rules)
				k := g.IntN(len(next.Rules))
				next.Rules[k] = rule(next.Rules[k].ID, g.match(), g.match())
			case 1:
				next.Created = time.Unix(int64(g.IntN(2)), 0)
			case 2:
				next.Rules = slices.Clone(next.Rules)
				next.Rules[0] = rule(next.Rules[0].ID, next.Rules[0].Matches...)
			default:
				continue
			}
			a.Route = &next
			changes = append(changes, route.Change[string]{Section: i, Was: was, Attached: *a})
		}
	}
	return changes
}

func (g generator) compare(t *testing.T, seed uint64, sections []route.Section[string], table *route.Table[string]) {
	served := map[*ir.Rule]bool{}
	for range 20 {
		r := g.request()
		want := oracle(sections, r)
		got := ""
		if m, ok := table.Match(r, ""); ok {
			served[m.Rule] = true
			for i := range m.Rule.Matches {
				if &m.Rule.Matches[i] == m.Match {
					got = fmt.Sprint(m.Value, "/", i)
				}
			}
			if !slices.Contains(m.Route.Rules, m.Rule) {
				t.Fatalf("seed %d: rule %s is not of route %s", seed, m.Rule.ID, m.Route.Name)
			}
		}
		if got != want {
			t.Fatalf("seed %d: %s %s%s?%s: %q, the oracle says %q", seed, r.Method, r.Host, r.Path, r.Query, got, want)
		}
		e := table.Explain(r, "")
		explained := ""
		if e.Winner >= 0 {
			c := e.Candidates[e.Winner]
			explained = fmt.Sprint(c.Rule.ID, "/", c.Match)
		}
		if explained != want {
			t.Fatalf("seed %d: %s %s%s?%s: explained as %q, the oracle says %q", seed, r.Method, r.Host, r.Path, r.Query, explained, want)
		}
	}
	for _, s := range table.Shadowed() {
		if s.Dead && served[s.Rule] {
			t.Fatalf("seed %d: %s served, but is reported as dead: %s", seed, s.Rule.ID, s.Why)
		}
	}
}

func TestAgainstOracle(t *testing.T) {
	for seed := range uint64(500) {
		compareWithOracle(t, seed)
	}
}

func FuzzAgainstOracle(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { compareWithOracle(t, seed) })
}

package route

import (
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Section is a section of a listener with the routes that are attached to it.
type Section[T any] struct {
	Section *ir.Section
	Routes  []Attached[T]
}

// Attached is a route under the hostnames it serves, which are the intersection
// of its own with the section's; an empty one, or none at all, means any host.
// Values has one value per rule, for Match to return.
type Attached[T any] struct {
	Route     *ir.Route
	Hostnames []string
	Values    []T
}

// Match is what serves a request. Route, Rule, Match and Value are set only if a
// rule matched and the request is not misdirected.
type Match[T any] struct {
	// Section is set whenever one matches the host, with or without a rule.
	Section *ir.Section
	Route   *ir.Route
	Rule    *ir.Rule
	Match   *ir.Match
	Value   T
	// Misdirected says that the host belongs to another section than the server
	// name of the TLS handshake: the answer is 421 (RFC 9110 §15.5.20). It
	// keeps a connection that was set up under one section's certificates and
	// client authentication from reaching the routes of another.
	Misdirected bool
}

// Table is immutable; any number of goroutines may use it.
type Table[T any] struct {
	sections hostIndex[*group[T]]
	ordered  []*group[T] // as Build was given them
	places   []place     // of the sections that Build was given
}

// place is where a section is in a table.
type place struct{ group, section int }

// group is the sections with one hostname, nearly always a single one.
type group[T any] struct {
	hostname string
	sections []*ir.Section
	hosts    hostIndex[int32] // of list
	list     vec[host[T]]
}

// host is one hostname of a group with the routes attached under it.
type host[T any] struct {
	name    string
	tree    *tree
	targets vec[target[T]] // one for each entry of the tree
	routes  vec[hosted[T]]
}

type hosted[T any] struct {
	section int // of the group; a section's pointer is new with each configuration
	route   *ir.Route
	values  []T
}

type target[T any] struct {
	section int
	route   *ir.Route
	rule    *ir.Rule
	match   *ir.Match
	value   T
}

// Match finds what serves a request that came over a connection with this
// server name; sni is empty on plain connections, and on TLS when the client
// sent none. ok is false when no section or no rule matches (404). Look at
// Misdirected before anything else: such a request (421) has no rule, and ok.
// It allocates nothing; the values of repeated headers and of escaped query
// parameters that a regular expression looks at take room in the request's arena.
func (t *Table[T]) Match(r *httpmsg.Request, sni string) (m Match[T], ok bool) {
	name := withoutPort(r.Host)
	g, ok := t.sections.best(name)
	if !ok {
		return m, false
	}
	m.Section = g.sections[0]
	if r.Scheme == schemeTLS && t.misdirected(g, sni) {
		m.Misdirected = true
		return m, true
	}
	var at cursor
	for at.stage != stageDone {
		n, ok := g.hosts.next(name, &at)
		if !ok {
			continue
		}
		h := g.list.at(n)
		if i := h.tree.find(r); i >= 0 {
			x := h.targets.at(i)
			return Match[T]{Section: g.sections[x.section], Route: x.route, Rule: x.rule, Match: x.match, Value: x.value}, true
		}
	}
	return m, false
}

const schemeTLS = "https"

// misdirected tells whether a handshake with this server name chose another
// section than g, which the host asks for. Without a server name it chose the
// section without a hostname.
func (t *Table[T]) misdirected(g *group[T], sni string) bool {
	// With one hostname there is one set of certificates and of rules for
	// clients, whatever the handshake named.
	if len(t.ordered) == 1 && (g.hostname == "" || sni == "") {
		return false
	}
	chosen, ok := t.bySNI(sni)
	return !ok || chosen != g
}

func (t *Table[T]) bySNI(sni string) (*group[T], bool) {
	var buf [256]byte // longer than any DNS name
	name := buf[:0]
	if len(sni) <= len(buf) {
		name = append(name, sni...)
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			name[i] = c + 'a' - 'A'
		}
	}
	if n := len(name); n > 0 && name[n-1] == '.' {
		name = name[:n-1]
	}
	return t.sections.best(name)
}

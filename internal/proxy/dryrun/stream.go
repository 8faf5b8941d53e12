package dryrun

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters"
	"github.com/gridway/gridway/internal/proxy/filters/authorization"
)

// Stream is what becomes of a connection, or a session of UDP, that is not HTTP.
type Stream struct {
	// TLS is "terminated" or "passed through"; empty without.
	TLS string `json:"tls,omitempty"`
	// Hostname of the route that the server name matched; empty for any.
	Hostname  string        `json:"hostname,omitempty"`
	Idle      time.Duration `json:"idle,omitempty"`
	MaxStream time.Duration `json:"maxStream,omitempty"`
	// Attempts is how many other endpoints may be tried.
	Attempts int `json:"attempts,omitempty"`
}

// streamSchemes are the schemes of URLs that stand for connections.
var streamSchemes = map[string]ir.Protocol{"tcp": ir.TCP, "tls": ir.TLS, "udp": ir.UDP}

// decideStream is decide for tcp://host:port, tls://name:port and udp://host:port.
func (t *Table) decideStream(req Request, to target) (*Decision, error) {
	if req.Method != "" || len(req.Headers) > 0 || to.path != "/" {
		return nil, fmt.Errorf("a %s:// URL has no method, headers or path: write %s://HOST:PORT alone", to.scheme, to.scheme)
	}
	as, err := t.imagine(req)
	if err != nil {
		return nil, err
	}
	var fit []*ir.Listener
	for _, l := range parted(t.config.Listeners) {
		if l.Outbound() {
			asked := req.Listener == "" && !l.Inbound || req.Listener != "" && named(l, req.Listener)
			if asked && speaks(l, l.Sections[0], streamSchemes[to.scheme]) && takes(l, l.Sections[0], to) {
				return t.streamAt(l, req, to, as), nil
			}
			continue
		}
		switch {
		case req.Listener != "" && !named(l, req.Listener), req.Listener == "" && to.port != "" && to.port != fmt.Sprint(l.Port):
		case slices.ContainsFunc(l.Sections, func(s *ir.Section) bool { return l.ProtocolOf(s) == streamSchemes[to.scheme] }):
			fit = append(fit, l)
		}
	}
	if len(fit) == 0 && req.Listener == "" {
		if err := t.outside(to); err != nil {
			return nil, err
		}
	}
	if len(fit) == 0 {
		return nil, fmt.Errorf("no %s listener is meant; there are %s", strings.ToUpper(to.scheme), t.names())
	}
	var first *Decision
	for _, l := range fit {
		d := t.streamAt(l, req, to, as)
		if to.port == "" && req.Listener == "" && len(fit) > 1 {
			d.Notes = append(d.Notes, "the URL names no port: of several listeners the first with a route was taken")
		}
		if d.Route != nil {
			return d, nil
		}
		first = cmp.Or(first, d)
	}
	return first, nil
}

func (t *Table) streamAt(l *ir.Listener, req Request, to target, as *stand) *Decision {
	d := &Decision{Request: req, Listener: l.Name, Action: Refuse, as: as}
	name := ""
	if to.scheme == "tls" {
		name = serverName(to)
	}
	if meshOnly(l) {
		d.refuse(filter.MeshTLSRequired, meshOnlyDetail)
		return d
	}
	section := d.chooseSection(l, streamSchemes[to.scheme], name)
	if section == nil {
		d.refuse(filter.RouteNotFound, fmt.Sprintf("no section of the listener has a hostname for %q", name))
		return d
	}
	d.Section = &Place{Name: section.Name, Ref: section.Ref}
	d.Stream = &Stream{}
	if to.scheme == "tls" {
		d.Stream.TLS = "terminated"
		if section.Passthrough {
			d.Stream.TLS = "passed through"
		}
	}
	r := t.chooseStream(d, section, name)
	if r == nil {
		d.refuse(filter.RouteNotFound, "no route of the section takes it")
		return d
	}
	d.Route, d.Rule = &Place{Name: r.Name, Ref: r.Ref}, &Place{Name: cmp.Or(r.Rule, r.ID), Ref: r.Ref}
	d.Stream.Idle, d.Stream.MaxStream = r.Idle, r.MaxStream
	if to.scheme != "udp" { // which does not connect
		d.Stream.Attempts = r.Attempts
	}
	d.Policies = r.Policies
	if to.scheme != "udp" && !t.authorizeStream(d, l, section, r, req, name) {
		return d
	}
	t.streamBackends(d, r)
	return d
}

// authorizeStream asks the policies that reach the connection. It is false if they
// refuse it.
func (t *Table) authorizeStream(d *Decision, l *ir.Listener, section *ir.Section, r *ir.StreamRoute, req Request, serverName string) bool {
	as := d.as
	c := authorization.Connection{
		Client: req.client(), Section: section, Port: filter.PortOf(section, l.Port), ServerName: serverName, Opened: time.Now(),
	}
	if as != nil && !section.Passthrough {
		c.TLS = as.tls
	}
	if as != nil && !as.at.IsZero() {
		c.Opened = as.at
	}
	if section.ServicePort != 0 {
		c.ServerName = ""
	}
	a := (&filters.Deps{}).AuthorizationOf(r.Authorization)
	d.Authorization = a.ExplainConnection(&c)
	ruling := a.Open(&c)
	if ruling.Why == filter.ReasonNone {
		return true
	}
	d.DecidedBy, d.DecidedByRule = ruling.Policy, ruling.Rule
	d.refuse(ruling.Why, "a policy does not let the connection be opened")
	return false
}

func (d *Decision) refuse(why filter.Reason, detail string) {
	d.Action, d.Local = Refuse, &Local{Reason: why.String(), Detail: detail}
}

// chooseSection takes the section with the most specific hostname.
func (d *Decision) chooseSection(l *ir.Listener, p ir.Protocol, name string) *ir.Section {
	var best *ir.Section
	for _, s := range l.Sections {
		var why string
		switch {
		case !speaks(l, s, p) && (p != ir.TLS || l.ProtocolOf(s) != ir.HTTPS):
			why = fmt.Sprintf("it speaks %s", l.ProtocolOf(s))
		case !serves(s.Hostname, name):
			why = fmt.Sprintf("its hostname is %s", s.Hostname)
		case best == nil || slices.Compare(hostOrder(s.Hostname), hostOrder(best.Hostname)) < 0:
			best = s
			continue
		default:
			why = "another section is more specific"
		}
		d.OtherSections = append(d.OtherSections, Candidate{Rule: s.Name, Ref: s.Ref, Why: why})
	}
	if best != nil && l.ProtocolOf(best) == ir.HTTPS {
		d.Notes = append(d.Notes, "the server name belongs to an HTTPS listener: ask for an https:// URL")
		return nil
	}
	return best
}

// chooseStream takes the route with the most specific hostname, of equals the oldest.
func (t *Table) chooseStream(d *Decision, s *ir.Section, name string) *ir.StreamRoute {
	var best *ir.StreamRoute
	lost := func(r *ir.StreamRoute, outcome, why string) {
		d.Others = append(d.Others, Candidate{Rule: r.ID, Name: r.Rule, Ref: r.Ref, Outcome: outcome, Why: why})
	}
	for _, a := range s.Streams {
		r := t.streams[a.Route]
		if r == nil {
			continue
		}
		names := a.Hostnames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, h := range names {
			switch {
			case !serves(h, name):
				lost(r, "host", fmt.Sprintf("its hostname is %s", h))
			case best == nil || slices.Compare(hostOrder(h), hostOrder(d.Stream.Hostname)) < 0:
				if best != nil {
					lost(best, "precedence", "another route has a more specific hostname")
				}
				best, d.Stream.Hostname = r, h
			case slices.Equal(hostOrder(h), hostOrder(d.Stream.Hostname)):
				lost(r, "precedence", "another route is older")
			default:
				lost(r, "precedence", "another route has a more specific hostname")
			}
		}
	}
	return best
}

func (t *Table) streamBackends(d *Decision, r *ir.StreamRoute) {
	total, usable, why := 0.0, false, ""
	for i := range r.Backends {
		total += float64(r.Backends[i].Weight)
	}
	for i := range r.Backends {
		ref := &r.Backends[i]
		b := Backend{Name: ref.Ref.String(), Ref: ref.Ref, Cluster: ref.Cluster, Weight: ref.Weight, Problem: ref.Problem}
		if total > 0 {
			b.Percent = float64(ref.Weight) / total * 100
		}
		if c := t.clusters[ref.Cluster]; c != nil {
			b.Balance, b.Endpoints, b.ConnectTimeout = string(c.Balance.Algorithm), c.Endpoints, c.ConnectTimeout
			b.Sources = sourcesOf(c.Discovery)
		} else {
			b.Problem = cmp.Or(b.Problem, "it could not be resolved")
			why = cmp.Or(why, b.Problem)
		}
		usable = usable || b.Problem == "" && ref.Weight > 0
		d.Backends = append(d.Backends, b)
	}
	d.Action = Forward
	if !usable {
		d.refuse(filter.BackendInvalid, cmp.Or(why, "every backend of the route has weight 0"))
	}
}

// streamRows are the rows of routes of streams at a section.
func (t *Table) streamRows(rows []Row, listener int, l *ir.Listener, s *ir.Section, host string) []Row {
	for _, a := range s.Streams {
		r := t.streams[a.Route]
		if r == nil {
			continue
		}
		names := a.Hostnames
		if len(names) == 0 {
			names = []string{s.Hostname}
		}
		for _, h := range names {
			if host != "" && !serves(h, host) {
				continue
			}
			rows = append(rows, Row{
				Listener: l.Name, Section: s.Name, Hostname: h, Route: r.Name, Rule: cmp.Or(r.Rule, r.ID),
				Match: StreamText(l, s), To: shares(r.Backends), Ref: r.Ref,
				order: append([]int{listener}, hostOrder(h)...), age: r.Created.UnixNano(), source: &ir.Match{},
			})
		}
	}
	return rows
}

// StreamText says in a word what a section takes: "TCP", "TLS passed through",
// "TLS terminated", "UDP".
func StreamText(l *ir.Listener, s *ir.Section) string {
	switch p := l.ProtocolOf(s); {
	case p == ir.TLS && s.Passthrough:
		return "TLS passed through"
	case p == ir.TLS:
		return "TLS terminated"
	default:
		return string(p)
	}
}

// serverName is what a client that connects to the URL puts in its hello.
func serverName(to target) string {
	host := strings.ToLower(strings.TrimSuffix(to.host(), "."))
	if isAddress(host) {
		return "" // RFC 6066 §3: literal addresses are not server names
	}
	return host
}

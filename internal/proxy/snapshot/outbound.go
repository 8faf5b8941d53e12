package snapshot

import (
	"net/netip"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/route"
)

// Outbound finds the section of what applications send to others (see
// ir.Listener.Outbound). Each of its outlets is a listener by itself, so that what
// comes behind the choice is as with any other.
type Outbound struct {
	destinations map[netip.AddrPort]*Outlet
	authorities  map[string]*Outlet
	sections     map[string]*Outlet // by name, for the next snapshot
	// Nowhere serves nothing: it is for connections whose section is gone.
	Nowhere *Outlet
	// Outside is for what no section takes, nil if that is denied. Its rule and its
	// stream route have no backend: where they lead is in what is sent.
	Outside *Outlet
}

// Outlet is a section of an outbound listener.
type Outlet struct {
	// Listener serves requests, and Stream what is not HTTP, if it is not nil.
	Listener *Listener
	Stream   *Stream
	// Section may be nil.
	Section *ir.Section
	// Protocol is HTTP, TCP or Detect.
	Protocol ir.Protocol
}

// Destination is the outlet for a captured connection, nil if no section takes it.
func (o *Outbound) Destination(to netip.AddrPort) *Outlet {
	if outlet := o.destinations[to]; outlet != nil {
		return outlet
	}
	anywhere := netip.IPv6Unspecified()
	if to.Addr().Is4() {
		anywhere = netip.IPv4Unspecified()
	}
	return o.destinations[netip.AddrPortFrom(anywhere, to.Port())]
}

// Authority is the outlet for requests to an authority: a host in lower case and
// optionally a port. It is nil if no section takes them. It allocates nothing.
func (o *Outbound) Authority(authority []byte) *Outlet {
	host, port := splitAuthority(authority)
	if port == nil {
		// RFC 9110 §4.2.1: what names no port is for 80.
		var b [maxAuthority]byte
		if outlet := o.authorities[string(append(append(b[:0], host...), ":80"...))]; outlet != nil {
			return outlet
		}
	} else if outlet := o.authorities[string(authority)]; outlet != nil {
		return outlet
	}
	return o.authorities[string(host)]
}

// maxAuthority is the longest host that parsers let through, with a port.
const maxAuthority = 255 + len(":65535")

// splitAuthority cuts the port off; it is nil if there is none. The brackets of an
// IPv6 address stay.
func splitAuthority(authority []byte) (host, port []byte) {
	for i := len(authority) - 1; i >= 0; i-- {
		switch authority[i] {
		case ':':
			return authority[:i], authority[i+1:]
		case ']':
			return authority, nil
		}
	}
	return authority, nil
}

// outbound gives the listener its outlets.
func (b *builder) outbound(l, before *Listener) error {
	out := &Outbound{
		destinations: map[netip.AddrPort]*Outlet{}, authorities: map[string]*Outlet{},
		sections: make(map[string]*Outlet, len(l.IR.Sections)),
	}
	var was *Outbound
	if before != nil {
		was = before.Outbound
	}
	for _, section := range l.IR.Sections {
		outlet, err := b.outlet(l, section, was)
		if err != nil {
			return err
		}
		out.sections[section.Name] = outlet
		for _, to := range section.Destinations {
			putNew(out.destinations, to, outlet)
		}
		for _, a := range section.Authorities {
			putNew(out.authorities, a, outlet)
		}
	}
	out.Nowhere = &Outlet{Protocol: ir.HTTP}
	var err error
	if out.Nowhere.Listener, err = b.outletListener(l, nil, nil); err != nil {
		return err
	}
	out.Nowhere.Listener.MeshOnly = l.IR.Inbound
	if l.IR.Egress == ir.EgressAllow {
		if out.Outside, err = b.outside(l); err != nil {
			return err
		}
	}
	l.Outbound = out
	// What asks the listener itself for routes finds none.
	return b.buildTable(l, nil, nil)
}

func putNew[K comparable](m map[K]*Outlet, key K, o *Outlet) {
	if _, taken := m[key]; !taken {
		m[key] = o
	}
}

func (b *builder) outlet(l *Listener, section *ir.Section, was *Outbound) (*Outlet, error) {
	outlet := &Outlet{Protocol: l.IR.ProtocolOf(section), Stream: b.buildDoor(section).Route(""), Section: section}
	if l.IR.Inbound && !section.Plaintext {
		var err error
		if outlet.Listener, err = b.outletListener(l, nil, nil); err != nil {
			return nil, err
		}
		outlet.Stream, outlet.Listener.MeshOnly, outlet.Listener.Closed = nil, true, section
		outlet.Listener.ends = endsOf(b.deps.Signals, l.IR, []*ir.Section{section})
		return outlet, nil
	}
	var before *Listener
	if was != nil && was.sections[section.Name] != nil {
		before = was.sections[section.Name].Listener
	}
	var err error
	outlet.Listener, err = b.outletListener(l, []*ir.Section{section}, before)
	return outlet, err
}

// outletListener is l with these sections alone, which requests of any host belong to.
func (b *builder) outletListener(l *Listener, sections []*ir.Section, before *Listener) (*Listener, error) {
	view := *l
	view.Secure, view.Outbound = &view, nil
	for _, s := range sections {
		if s.Hostname != "" { // means nothing here, see ir.Listener.Outbound
			open := *s
			open.Hostname = ""
			sections = []*ir.Section{&open}
		}
	}
	view.sections = sections
	view.ends = endsOf(b.deps.Signals, l.IR, sections)
	return &view, b.table(&view, before)
}

// outside is the outlet for what no section takes, where that is allowed. It shows
// like any other rule in metrics and in the access log.
func (b *builder) outside(l *Listener) (*Outlet, error) {
	ref := ir.Ref{Kind: "Egress", Namespace: "-", Name: l.IR.Name}
	rule := &ir.Rule{ID: l.IR.EgressRule(), Ref: ref, Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.Prefix, Value: "/"}}}}
	built := buildRule(rule, b.deps)
	built.Outside = true
	view := *l
	view.Secure, view.Outbound = &view, nil
	view.sections = []*ir.Section{{Name: ref.String(), Ref: ref, Protocol: ir.HTTP}}
	view.ends = endsOf(b.deps.Signals, l.IR, view.sections)
	var err error
	view.Table, err = route.Build([]route.Section[*Rule]{{
		Section: view.sections[0],
		Routes:  []route.Attached[*Rule]{{Route: &ir.Route{Name: ref.String(), Ref: ref, Rules: []*ir.Rule{rule}}, Values: []*Rule{built}}},
	}}, nil)
	return &Outlet{
		Protocol: ir.TCP, Listener: &view,
		Stream: buildStream(&ir.StreamRoute{Name: ref.String(), Ref: ref, ID: rule.ID}, b.deps),
	}, err
}

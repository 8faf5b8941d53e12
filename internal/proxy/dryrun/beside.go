package dryrun

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// besides are the listeners beside applications for what is named: "http://reviews:9080/"
// means the section of that service, wherever a proxy takes it up, and on a listener with
// Inbound the section of the port. ours is false if there are none such listeners.
func (t *Table) besides(req Request, to target) (list []*listener, ours bool) {
	for _, l := range t.listeners {
		switch {
		case !l.ir.Outbound(), req.Listener != "" && !named(l.ir, req.Listener):
			continue
		case req.Listener == "" && l.ir.Inbound: // what strangers get has to be asked for
			continue
		}
		ours = true
		if takes(l.ir, l.ir.Sections[0], to) {
			list = append(list, l)
		}
	}
	return list, ours
}

// takes tells whether a section beside applications is what a URL means.
func takes(l *ir.Listener, s *ir.Section, to target) bool {
	port, host := to.port, strings.ToLower(to.host())
	if port == "" {
		port = "80" // RFC 9110 §4.2.1
	}
	at := func(d netip.AddrPort) bool {
		return fmt.Sprint(d.Port()) == port && (d.Addr().IsUnspecified() || d.Addr().String() == host)
	}
	if l.Inbound {
		return slices.ContainsFunc(s.Destinations, at)
	}
	bare := strings.TrimSuffix(strings.ToLower(to.authority), ":"+to.port)
	return slices.Contains(s.Authorities, bare+":"+port) || slices.Contains(s.Authorities, bare) || slices.ContainsFunc(s.Destinations, at)
}

// outside says what becomes of what is for no service; nil if there is nobody who would
// take it up.
func (t *Table) outside(to target) error {
	for _, l := range t.config.Listeners {
		for _, s := range l.Sections {
			if l.Outbound() && !l.Inbound && takes(l, s, to) { // but not what was asked for
				instead := "http"
				if l.ProtocolOf(s) == ir.TCP {
					instead = "tcp"
				}
				return fmt.Errorf("%s has another protocol: ask for %s://%s", s.Name, instead, to.authority)
			}
		}
		switch l.Egress {
		case ir.EgressAllow:
			return fmt.Errorf("no service that this proxy knows has %s: it asks its control plane when a program does, and what is no service goes where it leads (egress: Allow)", to.authority)
		case ir.EgressDeny:
			return fmt.Errorf("no service that this proxy knows has %s: it asks its control plane when a program does, and what is no service is refused with 502 %s (egress: Deny)", to.authority, filter.EgressDenied)
		}
	}
	return nil
}

// meshOnly tells whether what comes to a listener is refused for having come without the
// mesh's TLS.
func meshOnly(l *ir.Listener) bool { return l.Inbound && !l.Sections[0].Plaintext }

const meshOnlyDetail = "this workload takes connections of the mesh alone: let the client join the mesh, or set \"mtls: Permissive\" in a MeshPolicy"

// speaks tells whether a section takes requests of a protocol, or connections: what is
// found out may be either, beside applications.
func speaks(l *ir.Listener, s *ir.Section, p ir.Protocol) bool {
	of := l.ProtocolOf(s)
	return of == p || l.Outbound() && of == ir.Detect && (p == ir.HTTP || p == ir.TCP)
}

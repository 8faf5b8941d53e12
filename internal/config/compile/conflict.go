package compile

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// findConflicts compares the listeners of one Gateway. Of the Gateway's own
// listeners that are not distinct none is served; an entry of a ListenerSet
// loses against the Gateway and against older ListenerSets. What has lost is in
// nobody's way.
func (c *compiler) findConflicts(gw *gateway) {
	all := gw.everySection()
	reasons := make([]string, len(all))
	lost := make([]bool, len(all)) // against an elder
	for i, a := range all {
		for j, b := range all[:i] {
			if a.owner != b.owner && reasons[j] == "" {
				reasons[i] = cmp.Or(reasons[i], conflictOf(a, b))
			}
		}
		lost[i] = reasons[i] != ""
		for j, b := range all[:i] {
			if a.owner != b.owner || lost[i] || lost[j] {
				continue
			}
			if reason := conflictOf(a, b); reason != "" {
				reasons[i], reasons[j] = cmp.Or(reasons[i], reason), cmp.Or(reasons[j], reason)
			}
		}
	}
	for i, s := range all {
		if reasons[i] != "" {
			c.markConflicted(s, reasons[i])
		}
	}
	for i, a := range all {
		for _, b := range all[:i] {
			if a.served() && b.served() && a.spec.Port == b.spec.Port && a.terminates() && b.terminates() &&
				(covers(a.hostname, b.hostname) || covers(b.hostname, a.hostname) || a.hostname == "" || b.hostname == "") {
				a.overlapping, b.overlapping = true, true
			}
		}
	}
}

func (s *section) served() bool { return !s.refused }

func conflictOf(a, b *section) string {
	switch {
	case a.refused || b.refused || a.spec.Port != b.spec.Port:
		return ""
	case a.transport() != b.transport():
		return ""
	case a.opening() != b.opening():
		if a.detects && b.detects {
			return ""
		}
		return string(gwv1.ListenerReasonProtocolConflict)
	case a.hostname == b.hostname:
		return string(gwv1.ListenerReasonHostnameConflict)
	}
	return ""
}

// transport is what carries the section's connections. One port of each is free
// for the other.
func (s *section) transport() string {
	if s.spec.Protocol == gwv1.UDPProtocolType {
		return "udp"
	}
	return "tcp"
}

// opening is how a connection of the section begins. Sections whose connections
// begin alike are told apart by hostname; HTTPS and TLS both by server name.
func (s *section) opening() ir.Protocol {
	if s.spec.Protocol == gwv1.HTTPSProtocolType {
		return ir.TLS
	}
	return ir.Protocol(s.spec.Protocol)
}

func (c *compiler) markConflicted(s *section, reason string) {
	message := fmt.Sprintf("another listener on port %d has the same hostname", s.spec.Port)
	if reason == string(gwv1.ListenerReasonProtocolConflict) {
		message = fmt.Sprintf("another listener on port %d has another protocol", s.spec.Port)
	}
	s.conflicted.Status, s.conflicted.Reason, s.conflicted.Message = status.True, reason, message
	remedy := "give listeners that share a port one protocol and each its own hostname"
	if reason == string(gwv1.ListenerReasonProtocolConflict) && s.opening() != ir.UDP {
		remedy += ", or turn on protocol detection for them (client.protocolDetection of a TrafficPolicy)"
	}
	c.refuse(s, "", reason, message, remedy)
}

// socket is what one address and port is shared by.
type socket struct {
	listener *ir.Listener
	first    *section
	hosts    map[socketPlace]*section
	sections []*section
}

// socketPlace is what a section of a socket has for itself.
type socketPlace struct {
	opening  ir.Protocol
	hostname string
}

func (s *section) place() socketPlace { return socketPlace{s.opening(), s.hostname} }

// shareSockets puts the sections of all Gateways onto sockets. An older
// Gateway keeps the port that a younger one asks for in another way.
func (c *compiler) shareSockets() {
	c.sockets = map[string]*socket{}
	for _, s := range c.sections {
		if s.refused || s.gateway.accepted.Status == status.False {
			continue
		}
		var mine []*socket
		for _, address := range s.gateway.addresses {
			name := net.JoinHostPort(address, strconv.Itoa(int(s.spec.Port)))
			if s.transport() == "udp" {
				name += "/udp"
			}
			k := c.sockets[name]
			if k == nil {
				k = &socket{first: s, hosts: map[socketPlace]*section{}, listener: &ir.Listener{
					Name: name, Address: address, Port: uint16(s.spec.Port), Protocol: ir.Protocol(s.spec.Protocol),
				}}
				c.sockets[name] = k
			}
			if why := k.refuses(s); why != "" {
				c.refuse(s, ".port", string(gwv1.ListenerReasonPortUnavailable), why,
					"use another port, or give the Gateways addresses of their own")
				break
			}
			mine = append(mine, k)
		}
		if s.refused {
			continue
		}
		for _, k := range mine {
			k.hosts[s.place()] = s
			k.sections = append(k.sections, s)
		}
	}
}

func (k *socket) refuses(s *section) string {
	for _, other := range k.sections {
		if other.opening() != s.opening() && !(other.detects && s.detects) {
			return fmt.Sprintf("port %d already serves %s for %s", s.spec.Port, other.spec.Protocol, other.name())
		}
	}
	if other := k.hosts[s.place()]; other != nil {
		return fmt.Sprintf("port %d already serves this hostname for %s", s.spec.Port, other.name())
	}
	return ""
}

// compileListeners builds the IR of the sockets, once routes have been attached.
func (c *compiler) compileListeners() []*ir.Listener {
	var out []*ir.Listener
	built := map[*section]*ir.Section{}
	for _, name := range slices.Sorted(maps.Keys(c.sockets)) {
		k := c.sockets[name]
		for _, s := range k.sections {
			if s.refused {
				continue
			}
			x := built[s]
			if x == nil {
				x = &ir.Section{
					Name: s.name(), Hostname: s.hostname, TLS: s.tls, Passthrough: s.passesThrough(),
					Routes: s.attachments, Streams: s.streams, Telemetry: c.sectionTelemetry(s), Ref: ref(s.owner, s.field),
				}
				if p := k.protocol(); p != ir.Protocol(s.spec.Protocol) || p == ir.TLS {
					x.Protocol = ir.Protocol(s.spec.Protocol)
				}
				built[s] = x
			}
			k.listener.Sections = append(k.listener.Sections, x)
		}
		if len(k.listener.Sections) > 0 {
			k.listener.Protocol = k.protocol()
			k.listener.Client = c.clientPolicy(k)
			if k.listener.Protocol != ir.Detect {
				k.listener.Client.DetectTimeout = 0
			}
			out = append(out, k.listener)
		}
	}
	c.noteIdleALPN()
	c.warnIdleDetection()
	c.warnUnused()
	c.warnIdleHTTP3()
	return out
}

// protocol is that of all sections in service, or the one that includes them.
func (k *socket) protocol() ir.Protocol {
	var p ir.Protocol
	for _, s := range k.sections {
		switch is := ir.Protocol(s.spec.Protocol); {
		case s.refused:
		case p == "":
			p = is
		case p == is:
		case s.opening() == ir.TLS && (p == ir.TLS || p == ir.HTTPS):
			p = ir.TLS
		default:
			return ir.Detect
		}
	}
	return p
}

// equalListeners compares without reflection what there can be many of.
func equalListeners(a, b []*ir.Listener) bool {
	return slices.EqualFunc(a, b, func(x, y *ir.Listener) bool {
		if len(x.Sections) != len(y.Sections) {
			return false
		}
		for i := range x.Sections {
			if !equalSections(x.Sections[i], y.Sections[i]) {
				return false
			}
		}
		p, q := *x, *y
		p.Sections, q.Sections = nil, nil
		return hashOf(p) == hashOf(q)
	})
}

func equalSections(a, b *ir.Section) bool {
	if !equalAttachments(a.Routes, b.Routes) || !equalAttachments(a.Streams, b.Streams) {
		return false
	}
	p, q := *a, *b
	p.Routes, q.Routes, p.Streams, q.Streams = nil, nil, nil, nil
	return hashOf(p) == hashOf(q)
}

func equalAttachments(a, b []ir.Attachment) bool {
	if len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) {
		return true
	}
	return slices.EqualFunc(a, b, func(x, y ir.Attachment) bool {
		return x.Route == y.Route && slices.Equal(x.Hostnames, y.Hostnames)
	})
}

// resolveKey fills in what a reference leaves out.
func resolveKey(owner *store.Object, group *gwv1.Group, defGroup string, kind *gwv1.Kind, defKind string, namespace *gwv1.Namespace, name gwv1.ObjectName) store.Key {
	k := store.Key{
		Group: coreGroup(string(deref(group, gwv1.Group(defGroup)))), Kind: string(deref(kind, gwv1.Kind(defKind))),
		Namespace: owner.Key.Namespace, Name: string(name),
	}
	if namespace != nil && *namespace != "" {
		k.Namespace = string(*namespace)
	}
	return k
}

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
// loses against the Gateway and against older ListenerSets.
func (c *compiler) findConflicts(gw *gateway) {
	all := gw.everySection()
	reasons := make([]string, len(all))
	for i, a := range all {
		for j, b := range all[:i] {
			reason := conflictOf(a, b)
			if reason == "" {
				continue
			}
			reasons[i] = cmp.Or(reasons[i], reason)
			if a.owner == b.owner {
				reasons[j] = cmp.Or(reasons[j], reason)
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
			if a.served() && b.served() && a.spec.Port == b.spec.Port && a.spec.Protocol == gwv1.HTTPSProtocolType &&
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
	case a.spec.Protocol != b.spec.Protocol:
		return string(gwv1.ListenerReasonProtocolConflict)
	case a.hostname == b.hostname:
		return string(gwv1.ListenerReasonHostnameConflict)
	}
	return ""
}

func (c *compiler) markConflicted(s *section, reason string) {
	message := fmt.Sprintf("another listener on port %d has the same hostname", s.spec.Port)
	if reason == string(gwv1.ListenerReasonProtocolConflict) {
		message = fmt.Sprintf("another listener on port %d has another protocol", s.spec.Port)
	}
	s.conflicted.Status, s.conflicted.Reason, s.conflicted.Message = status.True, reason, message
	c.refuse(s, "", reason, message, "give listeners that share a port one protocol and each its own hostname")
}

// socket is what one address and port is shared by.
type socket struct {
	listener *ir.Listener
	first    *section
	hosts    map[string]*section
	sections []*section
}

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
			k := c.sockets[name]
			if k == nil {
				k = &socket{first: s, hosts: map[string]*section{}, listener: &ir.Listener{
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
			k.hosts[s.hostname] = s
			k.sections = append(k.sections, s)
		}
	}
}

func (k *socket) refuses(s *section) string {
	if k.listener.Protocol != ir.Protocol(s.spec.Protocol) {
		return fmt.Sprintf("port %d already serves %s for %s", s.spec.Port, k.listener.Protocol, k.first.name())
	}
	if other := k.hosts[s.hostname]; other != nil {
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
					Name: s.name(), Hostname: s.hostname, TLS: s.tls, Routes: s.attachments, Ref: ref(s.owner, s.field),
				}
				built[s] = x
			}
			k.listener.Sections = append(k.listener.Sections, x)
		}
		if len(k.listener.Sections) > 0 {
			k.listener.Client = c.clientPolicy(k)
			out = append(out, k.listener)
		}
	}
	return out
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
	same := len(a.Routes) == len(b.Routes) && (len(a.Routes) == 0 || &a.Routes[0] == &b.Routes[0])
	if !same && !slices.EqualFunc(a.Routes, b.Routes, func(x, y ir.Attachment) bool {
		return x.Route == y.Route && slices.Equal(x.Hostnames, y.Hostnames)
	}) {
		return false
	}
	p, q := *a, *b
	p.Routes, q.Routes = nil, nil
	return hashOf(p) == hashOf(q)
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

package compile

import (
	"fmt"
	"slices"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// section is one listener of a Gateway or a ListenerSet.
type section struct {
	index   int // in compiler.sections
	gateway *gateway
	owner   *store.Object // the Gateway or ListenerSet
	field   string        // "spec.listeners[2]"
	spec    gwv1.Listener

	hostname string
	allowed  namespaces
	kinds    []gwv1.RouteGroupKind
	context  *policyContext

	accepted, resolved, conflicted status.Condition
	overlapping                    bool
	refused                        bool // nothing is programmed for it
	detects                        bool // its first bytes are looked at
	tls                            *ir.ServerTLS
	attachments, streams           []ir.Attachment
	attached                       int
}

// name is the section's name in the IR.
func (s *section) name() string { return s.owner.Key.String() + "/" + string(s.spec.Name) }

// newSection judges what can be judged of a listener by itself.
func (c *compiler) newSection(gw *gateway, owner *store.Object, i int, spec gwv1.Listener) *section {
	s := &section{
		gateway: gw, owner: owner, spec: spec,
		field: fmt.Sprintf("spec.listeners[%d]", i),
	}
	if spec.Hostname != nil {
		s.hostname = string(*spec.Hostname)
	}
	generation := meta(owner).GetGeneration()
	s.accepted = status.Condition{
		Type: string(gwv1.ListenerConditionAccepted), Status: status.True,
		Reason: string(gwv1.ListenerReasonAccepted), Generation: generation,
	}
	s.resolved = status.Condition{
		Type: string(gwv1.ListenerConditionResolvedRefs), Status: status.True,
		Reason: string(gwv1.ListenerReasonResolvedRefs), Generation: generation,
	}
	s.conflicted = status.Condition{
		Type: string(gwv1.ListenerConditionConflicted), Status: status.False,
		Reason: string(gwv1.ListenerReasonNoConflicts), Generation: generation,
	}
	if a := spec.AllowedRoutes; a != nil && a.Namespaces != nil {
		s.allowed, _ = selectNamespaces(a.Namespaces.From, gwv1.NamespacesFromSame, a.Namespaces.Selector, owner.Key.Namespace)
	} else {
		s.allowed = namespaces{from: gwv1.NamespacesFromSame, own: owner.Key.Namespace}
	}
	c.judgeProtocol(s)
	c.judgeKinds(s)
	return s
}

// withoutCertificate tells whether no handshake can succeed, because none of
// the certificates that are named can be used.
func (s *section) withoutCertificate() bool {
	return s.terminates() && s.resolved.Status == status.False &&
		(s.tls == nil || len(s.tls.Certificates) == 0)
}

// refuse marks the section as one that is not programmed, and reports why.
func (c *compiler) refuse(s *section, field, reason, message, remedy string) {
	s.refused = true
	s.accepted.Status, s.accepted.Reason, s.accepted.Message = status.False, reason, message
	c.report(problemAt(s.owner, s.field+field, store.Error, reason, message, remedy))
}

// unresolved sets ResolvedRefs to False, and reports why: as a warning, since
// the object itself is valid. The first reason stays.
func (c *compiler) unresolved(s *section, field, reason, message, remedy string) {
	if s.resolved.Status == status.True {
		s.resolved.Status, s.resolved.Reason, s.resolved.Message = status.False, reason, message
	}
	c.report(problemAt(s.owner, s.field+field, store.Warning, reason, message, remedy))
}

func (c *compiler) judgeProtocol(s *section) {
	switch s.spec.Protocol {
	case gwv1.HTTPProtocolType, gwv1.HTTPSProtocolType, gwv1.TLSProtocolType, gwv1.TCPProtocolType, gwv1.UDPProtocolType:
	default:
		s.refused = true
		s.accepted.Status = status.False
		s.accepted.Reason = string(gwv1.ListenerReasonUnsupportedProtocol)
		s.accepted.Message = fmt.Sprintf("protocol %q is not known", s.spec.Protocol)
		c.report(problemAt(s.owner, s.field+".protocol", store.Warning, s.accepted.Reason, s.accepted.Message, "use HTTP, HTTPS, TLS, TCP or UDP"))
	}
}

// judgeKinds finds the route kinds that may attach.
func (c *compiler) judgeKinds(s *section) {
	supported := s.supportedKinds()
	if s.spec.AllowedRoutes == nil || len(s.spec.AllowedRoutes.Kinds) == 0 {
		s.kinds = supported
		return
	}
	for i, k := range s.spec.AllowedRoutes.Kinds {
		k.Group = ptr(deref(k.Group, gatewayGroup))
		field := fmt.Sprintf(".allowedRoutes.kinds[%d]", i)
		known := slices.ContainsFunc(supported, func(x gwv1.RouteGroupKind) bool {
			return *x.Group == *k.Group && x.Kind == k.Kind
		})
		switch {
		case known:
			s.kinds = append(s.kinds, k)
		default:
			c.unresolved(s, field, string(gwv1.ListenerReasonInvalidRouteKinds),
				fmt.Sprintf("kind %s of group %q cannot attach to a listener with protocol %s", k.Kind, *k.Group, s.spec.Protocol),
				"use "+kindList(supported))
		}
	}
}

func (s *section) supportedKinds() []gwv1.RouteGroupKind {
	var kinds []gwv1.Kind
	switch s.spec.Protocol {
	case gwv1.HTTPProtocolType, gwv1.HTTPSProtocolType:
		kinds = []gwv1.Kind{"HTTPRoute", "GRPCRoute"}
	case gwv1.TLSProtocolType:
		kinds = []gwv1.Kind{"TLSRoute"}
		if s.terminates() {
			kinds = append(kinds, "TCPRoute") // the server name does not matter to it
		}
	case gwv1.TCPProtocolType:
		kinds = []gwv1.Kind{"TCPRoute"}
	case gwv1.UDPProtocolType:
		kinds = []gwv1.Kind{"UDPRoute"}
	}
	out := make([]gwv1.RouteGroupKind, len(kinds))
	for i, k := range kinds {
		out[i] = gwv1.RouteGroupKind{Group: ptr(gwv1.Group(gatewayGroup)), Kind: k}
	}
	return out
}

func kindList(kinds []gwv1.RouteGroupKind) string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k.Kind)
	}
	return strings.Join(names, " or ")
}

// terminates tells whether TLS ends at the listener.
func (s *section) terminates() bool {
	switch s.spec.Protocol {
	case gwv1.HTTPSProtocolType:
		return true
	case gwv1.TLSProtocolType:
		return !s.passesThrough()
	}
	return false
}

func (s *section) passesThrough() bool {
	return s.spec.Protocol == gwv1.TLSProtocolType && s.spec.TLS != nil && deref(s.spec.TLS.Mode, gwv1.TLSModeTerminate) == gwv1.TLSModePassthrough
}

// admits tells whether routes of a kind and a namespace may attach.
func (c *compiler) admits(s *section, route store.Key) bool {
	return s.takes(route) && c.inNamespaces(s.allowed, route.Namespace)
}

// takes tells whether the listener is for routes of that kind.
func (s *section) takes(route store.Key) bool {
	return slices.ContainsFunc(s.kinds, func(k gwv1.RouteGroupKind) bool {
		return string(*k.Group) == route.Group && string(k.Kind) == route.Kind
	})
}

// conditions are what the status says of the listener before it is programmed.
func (s *section) conditions() []status.Condition {
	programmed := status.Condition{
		Type: string(gwv1.ListenerConditionProgrammed), Status: status.Unknown,
		Reason: string(gwv1.ListenerReasonPending), Generation: s.accepted.Generation,
	}
	if s.tls != nil && len(s.tls.Certificates) == 0 && len(s.tls.Awaited) > 0 {
		programmed.Status = status.False
		programmed.Message = "the port is open, but its handshakes are refused until the first certificate has been issued: " + strings.Join(s.tls.Awaited, ", ")
	}
	if s.refused {
		programmed.Status, programmed.Reason, programmed.Message = status.False, string(gwv1.ListenerReasonInvalid), ""
		if s.conflicted.Status == status.True {
			programmed.Reason = s.conflicted.Reason
		}
	}
	list := []status.Condition{s.accepted, s.resolved, s.conflicted, programmed}
	if s.overlapping {
		list = append(list, status.Condition{
			Type: string(gwv1.ListenerConditionOverlappingTLSConfig), Status: status.True,
			Reason:     string(gwv1.ListenerReasonOverlappingHostnames),
			Message:    "another HTTPS listener on this port has a hostname that overlaps with this one's",
			Generation: s.accepted.Generation,
		})
	}
	return list
}

func (s *section) status() status.Listener {
	l := status.Listener{Name: string(s.spec.Name), AttachedRoutes: s.attached, Conditions: s.conditions()}
	for _, k := range s.kinds {
		l.SupportedKinds = append(l.SupportedKinds, string(*k.Group)+"/"+string(k.Kind))
	}
	return l
}

func ptr[T any](v T) *T { return &v }

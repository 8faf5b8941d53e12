package compile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// slowDetection is the wait for silent clients from which on it is worth a
// warning: detection is a matter of milliseconds.
const slowDetection = time.Second

// noteReach warns of what a socket is asked to speak and cannot, or only slowly.
// s is what the policies on it come to.
func (c *compiler) noteReach(k *socket, s *settings) {
	at := func(path, code, message, remedy string) {
		if b, ok := s.origin[path]; ok {
			c.reportOnce(problemAt(b.policy.used, "spec."+path, store.Warning, code, message, remedy))
		}
	}
	l := k.listener
	for _, f := range clientFields {
		if b, ok := s.origin[f.path]; ok {
			c.weigh(b.policy, f, f.used(l))
		}
	}
	if b, ok := s.origin["client.xForwardedClientCert.mode"]; ok {
		c.weigh(b.policy, certificateField, l.Client.ClientCert.Mode == ir.ClientCertSanitize || l.Client.ClientCert.Mode == ir.ClientCertAlwaysForwardOnly ||
			slices.ContainsFunc(k.sections, func(x *section) bool {
				return x.tls != nil && x.tls.ClientAuth != nil && x.tls.ClientAuth.Mode != ir.ClientAuthRequestInsecure
			}))
	}
	if l.Client.NoHTTP2 {
		if route := c.nativeCalls(l); route != "" {
			at("client.http2", "GRPCWithoutHTTP2", fmt.Sprintf("gRPC needs HTTP/2, which is off for %s: no call reaches %s", k.first.name(), route),
				"set http2 to true, or attach the route to another listener")
		}
	}
	if l.Protocol == ir.Detect && k.servesStreams() {
		switch d := l.Client.DetectTimeout; {
		case d == 0:
			at("client.protocolDetection.timeout", "SlowDetection",
				fmt.Sprintf("with 0s clients that wait for the server to speak first are waited for as long as a handshake may take, %s", l.Client.HandshakeTimeout),
				"set some milliseconds, or leave it out for "+defaultDetectTimeout.String())
		case d > slowDetection:
			at("client.protocolDetection.timeout", "SlowDetection",
				fmt.Sprintf("clients that wait for the server to speak first (databases, mail) get nothing for %s on port %d", d, l.Port),
				"milliseconds will do for clients that speak first; the default is "+defaultDetectTimeout.String())
		}
	}
	if !l.ServesHTTP3() {
		return
	}
	http3 := "client.http3"
	for _, path := range slices.Sorted(maps.Keys(s.origin)) { // its parts may be leaves of their own
		if strings.HasPrefix(path, http3) {
			http3 = path
			break
		}
	}
	if u := c.sockets[l.Name+"/udp"]; u != nil && slices.ContainsFunc(u.sections, (*section).served) {
		at(http3, "PortUnavailable", fmt.Sprintf("a listener of protocol UDP has port %d, which HTTP/3 needs for %s", l.Port, k.first.name()),
			"use another port for one of the two, or set http3.enabled to false for this listener")
	}
	if older := k.everyHTTPS(func(x *section) bool { return x.tls != nil && x.tls.MaxVersion == "1.2" }); older {
		at(http3, "NoEffect", fmt.Sprintf("HTTP/3 needs TLS 1.3 (RFC 9001 §4.2), and client.tls.maxVersion of %s is 1.2", k.first.name()),
			"raise maxVersion, or leave http3 out")
	}
	if l.Client.HTTP3.EarlyData && k.everyHTTPS(func(x *section) bool { return x.tls != nil && x.tls.ClientAuth != nil }) {
		at("client.http3.earlyData", "NoEffect", k.first.name()+" asks clients for certificates, and takes no early data", "leave it out")
	}
}

// clientField is a field that means nothing to some listeners.
type clientField struct {
	path            string
	used            func(*ir.Listener) bool
	message, remedy string
}

// certificateField is used by listeners that verify clients' certificates.
var certificateField = clientField{
	path: "client.xForwardedClientCert.mode", message: "no listener with it verifies client certificates, and the header is always removed",
	remedy: verifyRemedy + ", or leave it out",
}

func manyStreams(l *ir.Listener) bool { return !l.Client.NoHTTP2 || l.ServesHTTP3() }

var clientFields = []clientField{
	{
		"client.proxyProtocolFrom", func(l *ir.Listener) bool { return l.Client.ProxyProtocol != ir.ProxyProtocolOff },
		"no listener with it takes PROXY headers", "set proxyProtocol to Optional or Required, or leave it out",
	},
	{
		"client.proxyProtocol", func(l *ir.Listener) bool { return l.Protocol != ir.UDP },
		"its listeners are of protocol UDP, which carries no PROXY header", "leave it out",
	},
	{
		"client.timeouts.http2KeepAlive", func(l *ir.Listener) bool { return !l.Client.NoHTTP2 },
		"HTTP/2 is off for all listeners with it", "leave it out, or set http2 to true",
	},
	{
		"client.limits.perClient", func(l *ir.Listener) bool {
			return l.Client.TrustedHops == 0 || l.Client.ProxyProtocol != ir.ProxyProtocolOff
		},
		"with trustedHops all connections are those of proxies, which the limit would take for clients",
		"name the proxies in forwarded.trustedProxies, and they are not bounded",
	},
	{"client.limits.concurrentStreams", manyStreams, "HTTP/2 is off for all listeners with it", "leave it out, or set http2 to true"},
}

// weighed is a field of a policy that may mean nothing to any listener.
type weighed struct {
	policy *trafficPolicy
	field  clientField
	used   bool
}

// weigh notes whether a listener uses a field of a policy.
func (c *compiler) weigh(p *trafficPolicy, f clientField, used bool) {
	i := slices.IndexFunc(c.weighed, func(w weighed) bool { return w.policy == p && w.field.path == f.path })
	if i < 0 {
		i, c.weighed = len(c.weighed), append(c.weighed, weighed{policy: p, field: f})
	}
	c.weighed[i].used = c.weighed[i].used || used
}

// warnUnused names fields that no listener uses.
func (c *compiler) warnUnused() {
	for _, w := range c.weighed {
		if !w.used {
			c.report(problemAt(w.policy.used, "spec."+w.field.path, store.Warning, "NoEffect", w.field.message, w.field.remedy))
		}
	}
}

// servesStreams tells whether there is a listener of protocol TCP.
func (k *socket) servesStreams() bool {
	return slices.ContainsFunc(k.sections, func(x *section) bool { return !x.refused && x.spec.Protocol == gwv1.TCPProtocolType })
}

// everyHTTPS tells whether something holds for each section of HTTPS.
func (k *socket) everyHTTPS(holds func(*section) bool) bool {
	return !slices.ContainsFunc(k.sections, func(x *section) bool {
		return !x.refused && x.spec.Protocol == gwv1.HTTPSProtocolType && !holds(x)
	})
}

// nativeCalls names a GRPCRoute of the listener that only clients can reach that
// speak gRPC themselves; empty if there is none.
func (c *compiler) nativeCalls(l *ir.Listener) string {
	if l.ServesHTTP3() {
		return ""
	}
	names := map[string]bool{}
	for _, s := range l.Sections {
		for _, a := range s.Routes {
			if strings.HasPrefix(a.Route, "GRPCRoute/") {
				names[a.Route] = true
			}
		}
	}
	if len(names) == 0 {
		return ""
	}
	for _, rs := range c.next.routes {
		for _, f := range rs.forms {
			translated := func(r *ir.Rule) bool { return r.Policy.Bridge != nil || r.Policy.Transcoding != nil }
			if names[f.Name] && slices.ContainsFunc(f.Rules, translated) {
				delete(names, f.Name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		return name
	}
	return ""
}

// warnIdleDetection names policies with detection where no port is shared.
func (c *compiler) warnIdleDetection() {
	used, seen := map[*trafficPolicy]bool{}, []*trafficPolicy(nil)
	for _, name := range slices.Sorted(maps.Keys(c.sockets)) {
		k := c.sockets[name]
		for _, x := range k.sections {
			for _, b := range clientChain(x) {
				if b.policy.spec.Client.ProtocolDetection == nil {
					continue
				}
				if _, known := used[b.policy]; !known {
					seen = append(seen, b.policy)
				}
				used[b.policy] = used[b.policy] || k.listener.Protocol == ir.Detect
			}
		}
	}
	for _, p := range seen {
		if !used[p] {
			c.report(problemAt(p.used, "spec.client.protocolDetection", store.Warning, "NoEffect",
				"no port with this policy is shared by listeners whose connections begin in different ways",
				"give a listener of another protocol the same port, or leave it out"))
		}
	}
}

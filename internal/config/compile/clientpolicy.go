package compile

import (
	"net/netip"
	"reflect"
	"slices"
	"time"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// clientChain lists the policies on a section that speak of clients.
func clientChain(s *section) []bound {
	var out []bound
	for _, b := range s.context.full {
		if b.policy.spec.Client != nil {
			out = append(out, b)
		}
	}
	return out
}

// mergeClient merges the client part of a chain of policies.
func (c *compiler) mergeClient(chain []bound) *settings {
	key := "client|" + chainKey(chain)
	if s := c.traffic.merged[key]; s != nil {
		return s
	}
	s := mergeChain(chain, func(spec *v1alpha1.TrafficPolicySpec) v1alpha1.TrafficPolicySpec {
		return v1alpha1.TrafficPolicySpec{Client: spec.Client}
	})
	c.traffic.merged[key] = s
	return s
}

// clientPolicy is how a socket treats its clients: as the section that opened
// the socket says. Other sections that say something else lose.
func (c *compiler) clientPolicy(k *socket) ir.ClientPolicy {
	first := clientChain(k.first)
	s := c.mergeClient(first)
	c.settle(s)
	for _, other := range k.sections[1:] {
		for _, b := range clientChain(other) {
			if !slices.ContainsFunc(first, func(x bound) bool { return x.policy == b.policy }) && !onlyTLS(b.policy.spec.Client) {
				b.policy.lose(b.target, loss{path: "client", winner: k.first.name() + ", which shares the port and comes first", equal: true})
			}
		}
	}
	for _, x := range k.sections {
		c.clientTLS(x)
	}
	p := defaultClient()
	if s.spec.Client != nil {
		applyClient(&p, s.spec.Client)
	}
	if p.HTTP3 != nil {
		c.noteHTTP3(k, first, p.ProxyProtocol != ir.ProxyProtocolOff)
	} else {
		c.noteNoHTTP3(first)
	}
	k.listener.Client = p
	c.noteReach(k, s)
	return p
}

// onlyTLS tells whether nothing is said but of TLS, which each section has for itself.
func onlyTLS(v *v1alpha1.Client) bool {
	other := *v
	other.TLS = nil
	return v.TLS != nil && reflect.ValueOf(other).IsZero()
}

// mergeClientTLS merges what a chain of policies says of TLS.
func (c *compiler) mergeClientTLS(chain []bound) *settings {
	key := "client.tls|" + chainKey(chain)
	if s := c.traffic.merged[key]; s != nil {
		return s
	}
	s := mergeChain(chain, func(spec *v1alpha1.TrafficPolicySpec) v1alpha1.TrafficPolicySpec {
		if spec.Client.TLS == nil {
			return v1alpha1.TrafficPolicySpec{}
		}
		return v1alpha1.TrafficPolicySpec{Client: &v1alpha1.Client{TLS: spec.Client.TLS}}
	})
	c.traffic.merged[key] = s
	return s
}

// noteHTTP3 says that a listener that takes PROXY headers has no HTTP/3, and
// notes which policies reach one that can have it.
func (c *compiler) noteHTTP3(k *socket, chain []bound, proxied bool) {
	https := slices.ContainsFunc(k.sections, func(x *section) bool { return x.spec.Protocol == gwv1.HTTPSProtocolType && !x.refused })
	i := slices.IndexFunc(chain, func(b bound) bool { return b.policy.spec.Client.HTTP3 != nil })
	if i < 0 {
		return
	}
	if c.http3 == nil {
		c.http3 = map[*trafficPolicy]bool{}
	}
	c.http3[chain[i].policy] = c.http3[chain[i].policy] || https
	if https && proxied {
		c.report(problemAt(chain[i].policy.used, "spec.client.http3", store.Warning, "NoEffect",
			k.first.name()+" has no HTTP/3: it takes PROXY headers (client.proxyProtocol), and UDP carries none",
			"remove proxyProtocol, or set http3.enabled to false for this listener"))
	}
}

// noteNoHTTP3 says what a policy that switches HTTP/3 off says of it all the same.
func (c *compiler) noteNoHTTP3(chain []bound) {
	for _, b := range chain {
		h := b.policy.spec.Client.HTTP3
		if h == nil || deref(h.Enabled, true) {
			continue
		}
		idle := func(field string) {
			c.reportOnce(problemAt(b.policy.used, "spec.client.http3."+field, store.Warning, "NoEffect",
				"there is no HTTP/3: enabled is false", "leave it out, or enabled"))
		}
		if deref(h.EarlyData, false) {
			idle("earlyData")
		}
		if h.AltSvc != nil {
			idle("altSvc")
		}
	}
}

// warnIdleHTTP3 names policies that switch HTTP/3 on where no listener can have it.
func (c *compiler) warnIdleHTTP3() {
	for p, https := range c.http3 {
		if !https {
			c.report(problemAt(p.used, "spec.client.http3", store.Warning, "NoEffect",
				"HTTP/3 needs TLS, and no listener with this policy is of protocol HTTPS",
				"make the listener one of protocol HTTPS, with tls.certificateRefs, or leave it out"))
		}
	}
}

// clientTLS sets versions and cipher suites, which each section has for itself.
func (c *compiler) clientTLS(x *section) {
	if x.tls == nil {
		return
	}
	s := c.mergeClientTLS(clientChain(x))
	c.settle(s)
	v := s.spec.Client
	if v == nil {
		return
	}
	x.tls.MinVersion, x.tls.MaxVersion = string(deref(v.TLS.MinVersion, "")), string(deref(v.TLS.MaxVersion, ""))
	x.tls.CipherSuites = nil
	for _, suite := range v.TLS.CipherSuites {
		x.tls.CipherSuites = append(x.tls.CipherSuites, string(suite))
	}
	if x.spec.Protocol == gwv1.TLSProtocolType {
		x.tls.ALPN = protocols(v.TLS.ALPN)
	}
}

func applyClient(p *ir.ClientPolicy, v *v1alpha1.Client) {
	switch deref(v.ProxyProtocol, v1alpha1.ProxyProtocolDisabled) {
	case v1alpha1.ProxyProtocolOptional:
		p.ProxyProtocol = ir.ProxyProtocolOptional
	case v1alpha1.ProxyProtocolRequired:
		p.ProxyProtocol = ir.ProxyProtocolRequired
	}
	p.ProxyProtocolFrom = prefixes(v.ProxyProtocolFrom)
	p.Via = deref(v.Via, "")
	p.MergeSlashes = deref(v.MergeSlashes, false)
	p.NoHTTP2 = !deref(v.HTTP2, true)
	p.HTTP3 = http3(v.HTTP3)
	if f := v.Forwarded; f != nil {
		p.TrustedHops = int(deref(f.TrustedHops, 0))
		p.TrustedProxies = prefixes(f.TrustedProxies)
		p.FromForwarded = deref(f.From, v1alpha1.FromXForwardedFor) == v1alpha1.FromForwarded
		p.XForwarded = deref(f.XForwarded, p.XForwarded)
		p.Forwarded = deref(f.Forwarded, false)
		if len(p.TrustedProxies) > 0 {
			p.TrustedHops = 0 // one policy may say the one, another the other
		}
	}
	if f := v.XForwardedClientCert; f != nil {
		p.ClientCert = forwardedClientCert(f)
	}
	if r := v.RequestID; r != nil {
		p.RequestIDHeader = string(deref(r.Header, "X-Request-Id"))
		p.KeepRequestID = deref(r.Keep, false)
	}
	if l := v.Limits; l != nil {
		p.MaxConnections = int(deref(l.Connections, 0))
		p.PerClient = clientShare(l.PerClient)
		if slow := l.MinBodyRate; slow != nil {
			p.MinBodyRate, _ = v1alpha1.ParseBodyRate(slow.Rate) // it was judged
			p.BodyGrace = duration(slow.Grace, defaultBodyGrace)
		}
		p.MaxRequestsPerConnection = int(deref(l.RequestsPerConnection, 0))
		p.MaxConcurrentStreams = int(deref(l.ConcurrentStreams, 0))
		p.MaxHeaderBytes = int(deref(l.HeaderBytes, int32(p.MaxHeaderBytes)))
		p.MaxHeaderCount = int(deref(l.HeaderCount, int32(p.MaxHeaderCount)))
		p.MaxBodyBytes = deref(l.BodyBytes, 0)
	}
	if d := v.ProtocolDetection; d != nil {
		p.DetectTimeout = duration(d.Timeout, defaultDetectTimeout)
	}
	if t := v.Timeouts; t != nil {
		p.HeaderTimeout = duration(t.Header, p.HeaderTimeout)
		p.IdleTimeout = duration(t.Idle, p.IdleTimeout)
		p.RequestTimeout = duration(t.Request, 0)
		p.BodyIdleTimeout = duration(t.BodyIdle, p.BodyIdleTimeout)
		p.HandshakeTimeout = duration(t.Handshake, p.HandshakeTimeout)
		p.MaxConnectionDuration = duration(t.MaxConnectionDuration, 0)
		p.HTTP2KeepAlive = duration(t.HTTP2KeepAlive, 0)
	}
}

const defaultBodyGrace = 10 * time.Second

func clientShare(v *v1alpha1.ClientShare) *ir.ClientShare {
	if v == nil {
		return nil
	}
	out := &ir.ClientShare{
		Connections: int(deref(v.Connections, 0)),
		IPv4Bits:    int(deref(v.IPv4PrefixLength, defaultIPv4Bits)), IPv6Bits: int(deref(v.IPv6PrefixLength, defaultIPv6Bits)),
	}
	if v.NewConnections != nil {
		units, period, _ := v1alpha1.ParseRate(*v.NewConnections) // it was judged
		out.New = &ir.Rate{Units: units, Period: period, Burst: int64(deref(v.Burst, int32(min(units, 1_000_000))))}
	}
	return out
}

func prefixes(list []v1alpha1.CIDR) []netip.Prefix {
	var out []netip.Prefix
	for _, v := range list {
		if p, err := parsePrefix(v); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// defaultAltSvcMaxAge is RFC 7838's own (§3.1).
const defaultAltSvcMaxAge = 24 * time.Hour

func http3(v *v1alpha1.HTTP3) *ir.HTTP3 {
	if v == nil || !deref(v.Enabled, true) {
		return nil
	}
	p := &ir.HTTP3{EarlyData: deref(v.EarlyData, false), AltSvcMaxAge: defaultAltSvcMaxAge}
	if a := v.AltSvc; a != nil {
		p.AltSvcMaxAge = duration(a.MaxAge, defaultAltSvcMaxAge)
		p.AltSvcPort = uint16(deref(a.Port, 0))
	}
	return p
}

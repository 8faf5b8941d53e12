package live

import (
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/surface/adminapi"
)

// Listener is what there is to say of a listener that is open.
func Listener(l *ir.Listener, connections int) adminapi.ListenerStatus {
	out := adminapi.ListenerStatus{
		Name: l.Name, Protocol: string(l.Protocol), State: "listening", Connections: connections,
		ProxyProtocol: string(l.Client.ProxyProtocol), ALPN: agreed(l), Speaks: Speaks(l, false),
	}
	if l.Protocol == ir.Detect {
		out.DetectTimeout = l.Client.DetectTimeout
	}
	for _, sec := range l.Sections {
		out.Sections = append(out.Sections, sec.Name)
	}
	return out
}

// Speaks lists what clients of a listener may speak.
func Speaks(l *ir.Listener, http3 bool) []string {
	var web, tls, tcp, udp bool
	for _, s := range l.Sections {
		switch l.ProtocolOf(s) {
		case ir.HTTP, ir.HTTPS:
			web = true
		case ir.TLS:
			tls = true
		case ir.UDP:
			udp = true
		default:
			tcp = true
		}
	}
	out := []string{}
	for _, p := range []struct {
		name string
		is   bool
	}{{"HTTP/1.1", web}, {"HTTP/2", web && !l.Client.NoHTTP2}, {"HTTP/3", http3}, {"TLS", tls}, {"TCP", tcp}, {"UDP", udp}} {
		if p.is {
			out = append(out, p.name)
		}
	}
	return out
}

// agreed lists what sections of TLS agree on by ALPN.
func agreed(l *ir.Listener) []string {
	var out []string
	for _, s := range l.Sections {
		if s.TLS != nil && l.ProtocolOf(s) == ir.TLS {
			out = append(out, s.TLS.ALPN...)
		}
	}
	slices.SortFunc(out, strings.Compare)
	return slices.Compact(out)
}

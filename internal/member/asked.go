package member

import (
	"github.com/miekg/dns"

	"github.com/gridway/gridway/internal/mesh/nameserver"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

// asked counts the questions of a workload that resolvers are asked, as an edge of the
// service graph. What the member answers itself goes nowhere.
func (m *member) asked(namespace, service string) func(*nameserver.Asked) {
	who := signal.Of(signal.Party{Kind: signal.Service, Namespace: namespace, Name: service})
	return func(a *nameserver.Asked) {
		seen := signal.Seen{Status: statusOf(a), Duration: a.Took, In: int64(a.Question), Out: int64(a.Answer)}
		if !a.Stream {
			seen.InDatagrams = 1
			if a.Answered {
				seen.OutDatagrams = 1
			}
		}
		resolver := m.signals.Host(a.Resolver.Unmap().WithZone("").String())
		m.signals.Record(signal.Key{Source: who, Destination: resolver, Side: signal.Client, Protocol: signal.DNS}, &seen)
	}
}

// statusOf is the status of HTTP that an answer counts with: a name that is not there is
// no failure of the resolver.
func statusOf(a *nameserver.Asked) int {
	switch {
	case !a.Answered:
		return 0
	case a.Code == dns.RcodeSuccess:
		return 200
	case a.Code == dns.RcodeNameError:
		return 404
	}
	return 500
}

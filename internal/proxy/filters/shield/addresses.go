package shield

import (
	"net/netip"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// ruling is why a client's address is refused, and by which part of which policy.
type ruling struct {
	decision     filter.Decision
	reason       filter.Reason
	policy, part string
}

func denied(policy, part string) ruling {
	return ruling{filter.Denied, filter.AddressDenied, policy, part}
}

func unavailable(policy, part string) ruling {
	return ruling{filter.Unavailable, filter.ShieldUnavailable, policy, part}
}

func (r *ruling) status() int {
	if r.decision == filter.Denied {
		return 403
	}
	return 503
}

func (r *ruling) detail() string {
	if r.decision == filter.Denied {
		return badAddress
	}
	return cannotTell
}

// rule says whether a client's address is refused.
func (l *addressLists) rule(client netip.Addr) (r ruling, refused bool) {
	for _, deny := range l.deny {
		switch found, broken := deny.Has(client); {
		case found || !client.IsValid():
			return denied(deny.Policy(), "addresses.deny"), true
		case broken:
			return unavailable(deny.Policy(), "addresses.deny"), true
		}
	}
	if l.allow == nil {
		return ruling{}, false
	}
	switch found, broken := l.allow.Has(client); {
	case found:
		return ruling{}, false
	case broken:
		return unavailable(l.allow.Policy(), "addresses.allow"), true
	default:
		return denied(l.allow.Policy(), "addresses.allow"), true
	}
}

// Connections refuses those of a route that has no requests, by their addresses.
type Connections struct{ shield *Shield }

// NewConnections makes it of a shield that speaks of addresses alone; nil of one
// that says nothing.
func NewConnections(s *ir.Shield, d Deps) *Connections {
	if s == nil {
		return nil
	}
	if made := New(s, d); made != nil {
		return &Connections{made}
	}
	return nil
}

// Refuse says why a connection of a client is refused; filter.ReasonNone lets it in.
// Policy is "namespace/name", part the list in it.
func (c *Connections) Refuse(client netip.Addr) (why filter.Reason, policy, part string) {
	if c == nil {
		return filter.ReasonNone, "", ""
	}
	s := c.shield
	r, refused := unavailable(s.broken, ""), true
	if s.broken == "" && !s.addresses.lost {
		r, refused = s.addresses.rule(client)
	}
	for i := range s.policies {
		p := &s.policies[i]
		switch {
		case !refused:
			p.decisions.Decided(int(filter.Allowed))
		case p.name == r.policy:
			p.decisions.Decided(int(r.decision))
		}
	}
	return r.reason, r.policy, r.part
}

package authorization

import (
	"crypto/tls"
	"net/netip"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// Connection is what is known of one that carries no requests. It may be kept for as
// long as the connection lives.
type Connection struct {
	// Client is the caller's address.
	Client netip.Addr
	// TLS is nil without, and where it is passed through.
	TLS *tls.ConnectionState
	// Section is what the connection belongs to; nil is that there is one alone.
	Section    *ir.Section
	Port       uint16
	ServerName string
	// Opened is when the connection was.
	Opened time.Time
}

// Ruling is what policies make of a connection.
type Ruling struct {
	// Why is filter.ReasonNone where it may go on.
	Why filter.Reason
	// Policy is the one that refuses, "namespace/name", and Rule the part of it that
	// decides; empty where no rule allows.
	Policy, Rule string
	// Notes are what policies for the log and dry ones have to say.
	Notes []filter.Noted
}

// exchange is the connection as conditions see it.
func (c *Connection) exchange() *filter.Exchange {
	return &filter.Exchange{
		Connection: &filter.Connection{Port: c.Port, ServerName: c.ServerName},
		Client:     c.Client, TLS: c.TLS, Section: c.Section, Start: c.Opened,
	}
}

// Open decides about a connection that is opened, and counts and notes that. A nil
// Authorization lets everything go on.
func (a *Authorization) Open(c *Connection) Ruling {
	if a == nil {
		return Ruling{}
	}
	if a.broken != nil {
		a.broken.decisions.Decided(int(filter.Unavailable))
		return Ruling{Why: filter.AuthorizationUnavailable, Policy: a.broken.cfg.Policy}
	}
	x := c.exchange()
	r := a.decide(x)
	out := Ruling{Notes: x.Notes}
	if r.by != nil {
		out.Why, out.Policy, out.Rule = filter.AccessDenied, r.by.cfg.Policy, r.rule
	}
	return out
}

// Still decides about a connection that was let in before, by other policies. Only what
// is refused is counted, and nothing is noted.
func (a *Authorization) Still(c *Connection) Ruling {
	if a == nil {
		return Ruling{}
	}
	if a.broken != nil {
		a.broken.decisions.Decided(int(filter.Unavailable))
		return Ruling{Why: filter.AuthorizationUnavailable, Policy: a.broken.cfg.Policy}
	}
	x := c.exchange()
	refuse := func(p *Policy, rule string) Ruling {
		p.decisions.Decided(int(filter.Denied))
		return Ruling{Why: filter.AccessDenied, Policy: p.cfg.Policy, Rule: rule}
	}
	for _, p := range a.deny {
		if i := p.match(x); i >= 0 {
			return refuse(p, p.rules[i].name)
		}
	}
	for _, p := range a.allow {
		if p.match(x) >= 0 {
			return Ruling{}
		}
	}
	if a.allow != nil {
		return refuse(a.allow[0], "")
	}
	return Ruling{}
}

// ExplainConnection says what each policy makes of a connection.
func (a *Authorization) ExplainConnection(c *Connection) []Finding {
	if a == nil {
		return nil
	}
	return a.Explain(c.exchange())
}

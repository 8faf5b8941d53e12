package authentication

import (
	"errors"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/extauthz"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// external has a server say who calls. It takes no credential out of the request:
// what the server has not replaced is the endpoint's.
type external struct {
	policy    *ir.Authentication
	cfg       *ir.ExternalAuth
	server    *extauthz.Server
	consumers Consumers
}

func newExternal(p *ir.Authentication, m *ir.AuthenticationMethod, d Deps, counts Counts) *external {
	return &external{policy: p, cfg: m.External, server: extauthz.New(m.External, p.Policy, d.Answers).Counting(counts.Recalled), consumers: d.Consumers}
}

func (e *external) authenticate(x *filter.Exchange) result {
	answer, err := e.server.Ask(x)
	switch {
	case errors.Is(err, extauthz.ErrAnswered):
		x.Policy = e.policy.Policy
		x.Found(filter.FaultMalformed)
		return answered
	case err != nil && e.cfg.FailOpen && e.cfg.Cluster != "":
		e.server.Replaced(x)
		return excused
	case err != nil:
		return without(x, filter.FaultNoAnswer)
	case !answer.Allowed:
		x.Found(filter.FaultDenied)
		answer.Deny(x, e.policy.Policy, "")
		return answered
	}
	if e.cfg.Consumer != nil {
		x.Caller.Consumer = named(e.policy, e.consumers, answer.Claims, e.cfg.Consumer)
		if x.Caller.Consumer == nil && e.cfg.ConsumerRequired {
			x.Found(filter.FaultConsumer)
			x.Refuse(403, filter.InvalidCredential, badCredential, e.policy.Policy, "")
			return answered
		}
	}
	x.Caller.Claims = answer.Claims
	e.server.Replaced(x)
	answer.Admit(x)
	return accepted
}

func (*external) strip(*filter.Exchange) {}

// challenge is empty: the server asks for what it wants.
func (*external) challenge(result) []byte { return nil }

package proxy

import (
	"runtime"

	"github.com/gridway/gridway/internal/proxy/filters/authentication"
	"github.com/gridway/gridway/internal/proxy/issuing"
	"github.com/gridway/gridway/internal/proxy/keyset"
	"github.com/gridway/gridway/internal/proxy/login"
	"github.com/gridway/gridway/internal/proxy/token"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// tokens is what all rules verify tokens with.
func tokens(keys *keyset.Set) authentication.Tokens {
	return authentication.Tokens{
		Keys:         func(name string) authentication.KeySet { return keysOf(keys, name) },
		Verified:     token.NewCache(),
		Gate:         token.NewGate(runtime.GOMAXPROCS(0) / 2),
		Introspected: token.NewAnswers(),
		Replays:      token.NewReplays(),
	}
}

// KeySetStates reads the state of all key sets, for metrics. An issuer that a policy
// names in several methods counts once.
func (p *Proxy) KeySetStates(yield func(policy, issuer string, k metric.KeySet)) {
	seen := map[[2]string]bool{}
	p.keys.States(func(s keyset.State) {
		if at := [2]string{s.Policy, s.Issuer}; !seen[at] {
			seen[at] = true
			yield(s.Policy, s.Issuer, metric.KeySet{Keys: s.Keys, Fetches: s.Fetches, Failures: s.Failures, Fetched: s.Fetched})
		}
	})
}

// LoginStates reads what was counted of logins, for metrics. A provider that a policy
// names in several methods counts once.
func (p *Proxy) LoginStates(yield func(policy, issuer string, l metric.Login)) {
	seen := map[[2]string]*metric.Login{}
	p.logins.States(func(policy, issuer string, c *login.Counts) {
		at := [2]string{policy, issuer}
		if seen[at] == nil {
			seen[at] = &metric.Login{}
		}
		for i := range c.Logins {
			seen[at].Logins[i] += c.Logins[i].Load()
			seen[at].Refreshes[i] += c.Refreshes[i].Load()
		}
	})
	for at, l := range seen {
		yield(at[0], at[1], *l)
	}
}

// TokenIssuerStates reads what was counted of issuers of tokens, for metrics.
func (p *Proxy) TokenIssuerStates(yield func(issuer string, t metric.TokenIssuer)) {
	p.issuers.States(func(s issuing.State) {
		yield(s.Name, metric.TokenIssuer{Keys: s.Keys, Outcomes: s.Counts[:]})
	})
}

// keysOf is nil, and no KeySet that holds nil, for a name that nobody has.
func keysOf(keys *keyset.Set, name string) authentication.KeySet {
	if k := keys.Keys(name); k != nil {
		return k
	}
	return nil
}

// Keys finds the keys of a key set of the configuration that serves, for explain.
func (p *Proxy) Keys(name string) authentication.KeySet { return keysOf(p.keys, name) }

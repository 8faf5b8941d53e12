// Package externalauth is the filter ExternalAuth of the Gateway API (GEP-1494): a
// server says whether a request of the rule may go on. It comes after the rule's
// AuthenticationPolicy, so that both must let the request through. Its values are
// shared by all exchanges; it owns no goroutines. The list in package filters
// imports it.
package externalauth

import (
	"errors"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/extauthz"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// Method is what a caller is known by whom nothing but the filter has let through.
const Method = "externalAuth"

// Filter asks a server.
type Filter struct{ server *extauthz.Server }

// New makes the filter.
func New(cfg *ir.ExternalAuth) *Filter { return &Filter{extauthz.New(cfg, "", nil)} }

// OnRequest lets the request through as the server says, or answers it.
func (f *Filter) OnRequest(x *filter.Exchange) filter.Verdict {
	answer, err := f.server.Ask(x)
	switch {
	case errors.Is(err, extauthz.ErrAnswered):
		return filter.Reply
	case err != nil:
		return x.Fail(503, filter.AuthorizationUnavailable, "whether the request may go on cannot be found out now; try again later")
	case !answer.Allowed:
		return answer.Deny(x, "", "")
	}
	if !x.Caller.Known() {
		x.Caller.Method = Method
	}
	if x.Caller.Claims == nil {
		x.Caller.Claims = answer.Claims
	}
	f.server.Replaced(x)
	answer.Admit(x)
	return filter.Continue
}

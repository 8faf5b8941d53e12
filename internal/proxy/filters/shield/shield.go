// Package shield refuses requests by what is known of them before anybody is asked
// who sends them: the client's address, its User-Agent, and the site that a browser
// sends them for. It also gives responses the headers that make browsers careful.
// Its values are shared by all exchanges; it owns no goroutines. The list in package
// filters imports it.
package shield

import (
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/accesslist"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Lists finds the lists that shields name.
type Lists interface {
	Addresses(name string) *accesslist.Addresses
	UserAgents(name string) *accesslist.UserAgents
}

// Deps is what a shield needs beside its policies.
type Deps struct {
	Lists Lists
	// Policy counts the decisions of a policy, "namespace/name".
	Policy func(name string) filter.Decisions
	// CORS is the rule's filter, or nil: the origins that it names may send requests.
	CORS *ir.CORS
}

// Shield is what the policies on a rule come to.
type Shield struct {
	broken, noAgent string
	// policies are all that may refuse the request.
	policies  []policy
	addresses addressLists
	agents    agentLists
	csrf      *csrf
	body      *Body
}

type policy struct {
	name      string
	decisions filter.Decisions
}

// addressLists and agentLists are what is denied and the one list of what is allowed.
type addressLists struct {
	deny  []*accesslist.Addresses
	allow *accesslist.Addresses
	lost  bool // a list is not there
}

type agentLists struct {
	deny  []*accesslist.UserAgents
	allow *accesslist.UserAgents
	lost  bool
}

// New makes a shield; nil where none of the policies could refuse a request.
func New(s *ir.Shield, d Deps) *Shield {
	out := &Shield{broken: s.Broken, noAgent: s.NoUserAgent}
	for _, name := range s.DenyAddresses {
		l := d.Lists.Addresses(name)
		out.addresses.lost = out.addresses.lost || l == nil
		out.addresses.deny = append(out.addresses.deny, l)
		out.counts(policyOf(name), d)
	}
	if s.AllowAddresses != "" {
		out.addresses.allow = d.Lists.Addresses(s.AllowAddresses)
		out.addresses.lost = out.addresses.lost || out.addresses.allow == nil
		out.counts(policyOf(s.AllowAddresses), d)
	}
	for _, name := range s.DenyUserAgents {
		l := d.Lists.UserAgents(name)
		out.agents.lost = out.agents.lost || l == nil
		out.agents.deny = append(out.agents.deny, l)
		out.counts(policyOf(name), d)
	}
	if s.AllowUserAgents != "" {
		out.agents.allow = d.Lists.UserAgents(s.AllowUserAgents)
		out.agents.lost = out.agents.lost || out.agents.allow == nil
		out.counts(policyOf(s.AllowUserAgents), d)
	}
	if s.CSRF != nil {
		out.csrf = newCSRF(s.CSRF, d.CORS)
		out.counts(s.CSRF.Policy, d)
	}
	if s.Body != nil && len(s.Body.ContentTypes) > 0 {
		out.body = NewBody(s.Body, d)
		out.counts(s.Body.Policy, d)
	}
	out.counts(s.NoUserAgent, d)
	out.counts(s.Broken, d)
	if len(out.policies) == 0 {
		return nil
	}
	return out
}

// policyOf is the policy that a list is of: "namespace/name/section.list".
func policyOf(list string) string { return list[:max(0, strings.LastIndexByte(list, '/'))] }

func (s *Shield) counts(name string, d Deps) {
	if name != "" && !slices.ContainsFunc(s.policies, func(p policy) bool { return p.name == name }) {
		s.policies = append(s.policies, policy{name, d.Policy(name)})
	}
}

const (
	badAddress  = "requests from this address are not accepted"
	badAgent    = "requests of this program are not accepted"
	noAgent     = "this request needs a User-Agent"
	crossOrigin = "this request was sent for another site"

	badContentType = "bodies of this Content-Type are not accepted"
	cannotTell     = "whether this request may be accepted cannot be found out now; try again later"
)

// OnRequest lets the request through or answers it.
func (s *Shield) OnRequest(x *filter.Exchange) filter.Verdict {
	if s.broken != "" || s.addresses.lost || s.agents.lost {
		return s.refuse(x, filter.Unavailable, 503, filter.ShieldUnavailable, cannotTell, s.broken, "")
	}
	if r, refused := s.addresses.rule(x.Client); refused {
		return s.refuse(x, r.decision, r.status(), r.reason, r.detail(), r.policy, r.part)
	}
	if s.agents.refuse(s, x) {
		return filter.Reply
	}
	if s.csrf != nil && !s.csrf.allows(x) {
		return s.refuse(x, filter.Denied, 403, filter.CrossOriginRequest, crossOrigin, s.csrf.policy, "csrf")
	}
	if s.body != nil && !s.body.takes(&x.Req) {
		return s.refuse(x, filter.Denied, 415, filter.ContentTypeDenied, badContentType, s.body.policy, "body.contentTypes")
	}
	for i := range s.policies {
		s.policies[i].decisions.Decided(int(filter.Allowed))
	}
	return filter.Continue
}

// refuse answers the request for a policy, and counts that.
func (s *Shield) refuse(x *filter.Exchange, d filter.Decision, status int, reason filter.Reason, detail, name, part string) filter.Verdict {
	for i := range s.policies {
		if s.policies[i].name == name {
			s.policies[i].decisions.Decided(int(d))
		}
	}
	return x.Refuse(status, reason, detail, name, part)
}

func (l *agentLists) refuse(s *Shield, x *filter.Exchange) bool {
	if l.deny == nil && l.allow == nil && s.noAgent == "" {
		return false
	}
	agent := x.Req.Header.Get(httpmsg.NameUserAgent)
	if len(agent) == 0 {
		if s.noAgent == "" {
			return false
		}
		s.refuse(x, filter.Denied, 403, filter.UserAgentDenied, noAgent, s.noAgent, "userAgents.missing")
		return true
	}
	for _, deny := range l.deny {
		switch found, broken := deny.Has(agent); {
		case found:
			s.refuse(x, filter.Denied, 403, filter.UserAgentDenied, badAgent, deny.Policy(), "userAgents.deny")
			return true
		case broken:
			s.refuse(x, filter.Unavailable, 503, filter.ShieldUnavailable, cannotTell, deny.Policy(), "userAgents.deny")
			return true
		}
	}
	if l.allow == nil {
		return false
	}
	switch found, broken := l.allow.Has(agent); {
	case found:
		return false
	case broken:
		s.refuse(x, filter.Unavailable, 503, filter.ShieldUnavailable, cannotTell, l.allow.Policy(), "userAgents.allow")
	default:
		s.refuse(x, filter.Denied, 403, filter.UserAgentDenied, badAgent, l.allow.Policy(), "userAgents.allow")
	}
	return true
}

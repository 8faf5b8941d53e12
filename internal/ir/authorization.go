package ir

import (
	"net/netip"
	"time"
)

// Authorization is a policy about which requests may go on. Rules share it.
type Authorization struct {
	// Policy is "namespace/name" of the AuthorizationPolicy.
	Policy string              `json:"policy"`
	Ref    Ref                 `json:"ref"`
	Action AuthorizationAction `json:"action,omitempty"`
	DryRun bool                `json:"dryRun,omitempty"`
	// Broken: the policy cannot be used, and nothing gets through.
	Broken bool                `json:"broken,omitempty"`
	Rules  []AuthorizationRule `json:"rules,omitempty"`
	// Hash is equal for equal policies.
	Hash uint64 `json:"hash,omitempty"`
}

// AuthorizationAction is what becomes of requests that a rule matches.
type AuthorizationAction string

const (
	AuthorizationAllow AuthorizationAction = "Allow"
	AuthorizationDeny  AuthorizationAction = "Deny"
	AuthorizationAudit AuthorizationAction = "Audit"
)

// AuthorizationRule matches requests for which all that is given holds, and none
// of the lists of Not does.
type AuthorizationRule struct {
	Name string `json:"name"`
	Ref  Ref    `json:"ref"`
	AuthorizationConditions
	Not *AuthorizationConditions `json:"not,omitempty"`
	// CEL is an expression that must hold, too; empty is none.
	CEL string `json:"cel,omitempty"`
}

// AuthorizationConditions are lists, of which empty ones ask for nothing.
type AuthorizationConditions struct {
	// Consumers are "namespace/name", or "*" for any.
	Consumers []string         `json:"consumers,omitempty"`
	Groups    []string         `json:"groups,omitempty"`
	Plans     []string         `json:"plans,omitempty"`
	Labels    []LabelCondition `json:"labels,omitempty"`
	// AuthenticationMethods are names, or "*" for any.
	AuthenticationMethods []string         `json:"authenticationMethods,omitempty"`
	Scopes                []string         `json:"scopes,omitempty"`
	Claims                []ValueCondition `json:"claims,omitempty"`
	// Identities are SPIFFE IDs, "spiffe://domain/path/*" for all below, or "*".
	Identities []string `json:"identities,omitempty"`
	// Namespaces are of identities of the section's own trust domain.
	Namespaces []string       `json:"namespaces,omitempty"`
	ClientIPs  []netip.Prefix `json:"clientIPs,omitempty"`
	// Ports are Section.ServicePort or, where that is none, the listener's.
	Ports []uint16 `json:"ports,omitempty"`
	// ServerNames are of TLS, in lower case, "*.example.com" for all below.
	ServerNames []string            `json:"serverNames,omitempty"`
	Methods     []string            `json:"methods,omitempty"`
	Paths       []PathMatch         `json:"paths,omitempty"`
	GRPCMethods []GRPCMethodPattern `json:"grpcMethods,omitempty"`
	// Hosts are in lower case, "*.example.com" for all below.
	Hosts   []string         `json:"hosts,omitempty"`
	Headers []ValueCondition `json:"headers,omitempty"`
	Times   []TimeWindow     `json:"times,omitempty"`
}

// LabelCondition is about a label of a Consumer, which must be there where Values
// has none.
type LabelCondition struct {
	Name   string   `json:"name"`
	Values []string `json:"values,omitempty"`
}

// ValueCondition is about a header or a claim.
type ValueCondition struct {
	// Name of the header, or of the claim as ParseClaim reads it.
	Name   string     `json:"name"`
	Type   Comparison `json:"type"`
	Values []string   `json:"values,omitempty"`
}

// Comparison says how a value is compared.
type Comparison string

const (
	CompareExact   Comparison = "Exact"
	ComparePrefix  Comparison = "Prefix"
	CompareSuffix  Comparison = "Suffix"
	CompareRegex   Comparison = "RegularExpression"
	ComparePresent Comparison = "Present"
)

// GRPCMethodPattern is a method of gRPC; what is empty is any.
type GRPCMethodPattern struct {
	Service string `json:"service,omitempty"`
	Method  string `json:"method,omitempty"`
}

// TimeWindow is a stretch of time.
type TimeWindow struct {
	// Days has a bit for each time.Weekday; zero is all.
	Days uint8 `json:"days,omitempty"`
	// From and Until are minutes of the day; both zero are the whole day. Where
	// Until is not later, the window goes over midnight, and Days are those on
	// which it begins.
	From  int `json:"from,omitempty"`
	Until int `json:"until,omitempty"`
	// TimeZone is a name of the IANA database.
	TimeZone  string    `json:"timeZone,omitempty"`
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
}

// AsksCaller tells whether a rule asks who calls.
func (r *AuthorizationRule) AsksCaller() bool {
	return r.AuthorizationConditions.asksCaller() || r.Not != nil && r.Not.asksCaller()
}

func (c *AuthorizationConditions) asksCaller() bool {
	return len(c.Consumers)+len(c.Groups)+len(c.Plans)+len(c.Labels)+len(c.AuthenticationMethods)+len(c.Scopes)+len(c.Claims) > 0
}

// RequestFields are the fields of a rule that only a request can meet, as they are
// written, those of Not with "not." before them. CEL is not among them.
func (r *AuthorizationRule) RequestFields() []string {
	out := r.AuthorizationConditions.requestFields("")
	if r.Not != nil {
		out = append(out, r.Not.requestFields("not.")...)
	}
	return out
}

func (c *AuthorizationConditions) requestFields(prefix string) (out []string) {
	for _, f := range []struct {
		name string
		n    int
	}{
		{"consumers", len(c.Consumers)},
		{"groups", len(c.Groups)},
		{"plans", len(c.Plans)},
		{"labels", len(c.Labels)},
		{"authenticationMethods", len(c.AuthenticationMethods)},
		{"scopes", len(c.Scopes)},
		{"claims", len(c.Claims)},
		{"methods", len(c.Methods)},
		{"paths", len(c.Paths)},
		{"grpcMethods", len(c.GRPCMethods)},
		{"hosts", len(c.Hosts)},
		{"headers", len(c.Headers)},
	} {
		if f.n > 0 {
			out = append(out, prefix+f.name)
		}
	}
	return out
}

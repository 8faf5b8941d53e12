package ir

import "net/netip"

// Shield is what the ShieldPolicies that reach a rule come to.
type Shield struct {
	// Broken is "namespace/name" of a policy that cannot be used: nothing gets
	// through.
	Broken string `json:"broken,omitempty"`
	// DenyAddresses and AllowAddresses name lists of the configuration. Without an
	// allow list all that is not denied may come; so it is with User-Agents.
	DenyAddresses   []string `json:"denyAddresses,omitempty"`
	AllowAddresses  string   `json:"allowAddresses,omitempty"`
	DenyUserAgents  []string `json:"denyUserAgents,omitempty"`
	AllowUserAgents string   `json:"allowUserAgents,omitempty"`
	// NoUserAgent is "namespace/name" of the policy that refuses requests without
	// User-Agent; empty if none does.
	NoUserAgent string           `json:"noUserAgent,omitempty"`
	CSRF        *CSRF            `json:"csrf,omitempty"`
	Body        *BodyShield      `json:"body,omitempty"`
	Headers     *SecurityHeaders `json:"headers,omitempty"`
}

// AddressList is a list of addresses that a policy allows or denies. Rules name
// it, so that another content leaves them as they are.
type AddressList struct {
	// Name is "namespace/policy/addresses.deny", or allow.
	Name string `json:"name"`
	// Policy is "namespace/name" of the ShieldPolicy.
	Policy string `json:"policy"`
	// Ranges are in order, those of IPv4 first, and neither overlap nor touch.
	Ranges []AddressRange `json:"ranges,omitempty"`
	// Broken: a part of the list is not known.
	Broken bool `json:"broken,omitempty"`
}

// AddressRange is from one address to another of the same family, both included.
type AddressRange struct {
	First netip.Addr `json:"first"`
	Last  netip.Addr `json:"last"`
}

// UserAgentList is a list of User-Agents that a policy allows or denies, compared
// without regard to case.
type UserAgentList struct {
	Name        string   `json:"name"`
	Policy      string   `json:"policy"`
	Exact       []string `json:"exact,omitempty"`
	Prefixes    []string `json:"prefixes,omitempty"`
	Substrings  []string `json:"substrings,omitempty"`
	Expressions []string `json:"expressions,omitempty"`
	Broken      bool     `json:"broken,omitempty"`
}

// CSRF refuses requests that browsers send for other sites.
type CSRF struct {
	Policy string `json:"policy"`
	// TrustedOrigins are "https://host", or with a wildcard label "https://*.host".
	TrustedOrigins []string    `json:"trustedOrigins,omitempty"`
	ExemptPaths    []PathMatch `json:"exemptPaths,omitempty"`
}

// BodyShield says which bodies requests may have.
type BodyShield struct {
	Policy string `json:"policy"`
	// ContentTypes are in lower case, "type/subtype", "type/*" or "type/*+suffix";
	// none allows all.
	ContentTypes []string `json:"contentTypes,omitempty"`
	// JSON is nil where it is not looked at.
	JSON *JSONLimits `json:"json,omitempty"`
}

// JSONLimits bound bodies that are JSON; zero is no limit.
type JSONLimits struct {
	Bytes       int64 `json:"bytes,omitempty"`
	Depth       int   `json:"depth"`
	Members     int   `json:"members,omitempty"`
	Elements    int   `json:"elements,omitempty"`
	Values      int   `json:"values,omitempty"`
	NameBytes   int   `json:"nameBytes,omitempty"`
	StringBytes int   `json:"stringBytes,omitempty"`
	NumberBytes int   `json:"numberBytes,omitempty"`
	// UniqueNames refuses objects that have a name twice.
	UniqueNames bool `json:"uniqueNames,omitempty"`
}

// SecurityHeaders are given to responses.
type SecurityHeaders struct {
	Policy string `json:"policy"`
	// Replace takes the place of what endpoints send.
	Replace bool `json:"replace,omitempty"`
	// StrictTransportSecurity is for clients with TLS only.
	StrictTransportSecurity string   `json:"strictTransportSecurity,omitempty"`
	Set                     []Header `json:"set,omitempty"`
	Remove                  []string `json:"remove,omitempty"`
}

package ir

import (
	"slices"
	"strings"
	"time"
)

// RateLimit is one limit of a RateLimitPolicy: one of Rate, Quota, Concurrency
// and Bandwidth is set.
type RateLimit struct {
	// Policy is "namespace/name" of the RateLimitPolicy, and Name that of the limit.
	Policy string `json:"policy"`
	Name   string `json:"name"`
	Ref    Ref    `json:"ref"`
	// State names the counters: limits with equal ones share them, and they
	// outlive changes of all else.
	State string `json:"state"`

	Key []KeyPart `json:"key,omitempty"`
	// Matches are alternatives; none is every request.
	Matches []Match `json:"matches,omitempty"`
	// Callers are whom the limit is for; nil is everybody.
	Callers *Callers `json:"callers,omitempty"`
	// When is an expression of CEL that holds for requests that the limit is for;
	// empty is all.
	When string `json:"when,omitempty"`
	// AsksCaller: an expression of the limit asks who calls.
	AsksCaller bool `json:"asksCaller,omitempty"`

	Rate        *Rate      `json:"rate,omitempty"`
	Quota       *Quota     `json:"quota,omitempty"`
	Concurrency int        `json:"concurrency,omitempty"`
	Bandwidth   *Bandwidth `json:"bandwidth,omitempty"`

	// Cost is what a request is charged when it comes. CostExpression is in CEL, and
	// what it comes to is charged in the place of Cost, or empty. CostHeader is where
	// the endpoint says what the request has cost, or empty.
	Cost           int64  `json:"cost,omitempty"`
	CostExpression string `json:"costExpression,omitempty"`
	CostHeader     string `json:"costHeader,omitempty"`

	// Global is nil for a limit that each proxy counts by itself.
	Global *GlobalLimit `json:"global,omitempty"`
	// Kept is where a quota that is not global is counted by a proxy that has a state
	// store: leases of it, so that what was used outlives the process.
	Kept *GlobalLimit `json:"kept,omitempty"`

	OnMissingKey MissingKey       `json:"onMissingKey"`
	DryRun       bool             `json:"dryRun,omitempty"`
	MaxKeys      int              `json:"maxKeys"`
	Headers      RateLimitHeaders `json:"headers"`
}

// Shared is where others count the limit, too, if the proxy can ask there.
func (l *RateLimit) Shared() *GlobalLimit {
	if l.Global != nil {
		return l.Global
	}
	return l.Kept
}

// NeedsCaller tells whether the limit asks who calls, which is not known before
// authentication.
func (l *RateLimit) NeedsCaller() bool {
	if l.Callers != nil || l.AsksCaller {
		return true
	}
	for _, k := range l.Key {
		switch k.Type {
		case KeyConsumer, KeyPlan, KeyCredential, KeyClaim:
			return true
		}
	}
	return false
}

// Callers are those who have one of the Plans, are in one of the Groups, or are one
// of the Consumers ("namespace/name"), and with Unknown those whom nobody knows.
type Callers struct {
	Plans     []string `json:"plans,omitempty"`
	Groups    []string `json:"groups,omitempty"`
	Consumers []string `json:"consumers,omitempty"`
	Unknown   bool     `json:"unknown,omitempty"`
}

// Include tells whether a caller is among them. The consumer may be nil, also of
// one who is known.
func (c *Callers) Include(consumer *Consumer, known bool) bool {
	switch {
	case !known:
		return c.Unknown
	case consumer == nil:
		return false
	case slices.Contains(c.Plans, consumer.Plan):
		return true
	}
	for _, g := range c.Groups {
		if consumer.InGroup(g) {
			return true
		}
	}
	for _, name := range c.Consumers {
		// As consumer.String() has it, which allocates.
		if n := len(consumer.Namespace); len(name) == n+1+len(consumer.Name) && name[:n] == consumer.Namespace && name[n+1:] == consumer.Name && name[n] == '/' {
			return true
		}
	}
	return false
}

// String is for people: "plans gold, trial; unknown".
func (c *Callers) String() string {
	var list []string
	for _, of := range []struct {
		what  string
		names []string
	}{{"plans ", c.Plans}, {"groups ", c.Groups}, {"consumers ", c.Consumers}} {
		if len(of.names) > 0 {
			list = append(list, of.what+strings.Join(of.names, ", "))
		}
	}
	if c.Unknown {
		list = append(list, "unknown callers")
	}
	return strings.Join(list, "; ")
}

// Rate is so many units per period, of which Burst may come at once.
type Rate struct {
	Units  int64         `json:"units"`
	Period time.Duration `json:"period"`
	Burst  int64         `json:"burst"`
}

// Quota is so much in a window of the calendar of a time zone, by its IANA name.
type Quota struct {
	Amount   int64       `json:"amount"`
	Window   QuotaWindow `json:"window"`
	TimeZone string      `json:"timeZone"`
}

// QuotaWindow is a window of the calendar; weeks begin on Monday.
type QuotaWindow string

const (
	QuotaHour  QuotaWindow = "Hour"
	QuotaDay   QuotaWindow = "Day"
	QuotaWeek  QuotaWindow = "Week"
	QuotaMonth QuotaWindow = "Month"
)

// Bandwidth is in bytes of bodies per second; zero is no limit.
type Bandwidth struct {
	Request  int64 `json:"request,omitempty"`
	Response int64 `json:"response,omitempty"`
}

// KeyPart is a part of what requests are counted by.
type KeyPart struct {
	Type KeyType `json:"type"`
	// Name of a header.
	Name string `json:"name,omitempty"`
	// Claim, as ParseClaim makes it.
	Claim []string `json:"claim,omitempty"`
	// Expression of CEL that comes to a string.
	Expression string `json:"expression,omitempty"`
	// IPv4Bits and IPv6Bits of a client's address count.
	IPv4Bits int `json:"ipv4Bits,omitempty"`
	IPv6Bits int `json:"ipv6Bits,omitempty"`
}

// KeyType says what a part of a key is.
type KeyType string

const (
	KeyConsumer   KeyType = "Consumer"
	KeyPlan       KeyType = "Plan"
	KeyCredential KeyType = "Credential"
	KeyClientIP   KeyType = "ClientIP"
	KeyHeader     KeyType = "Header"
	KeyClaim      KeyType = "Claim"
	KeyHost       KeyType = "Host"
	KeyPath       KeyType = "Path"
	KeyMethod     KeyType = "Method"
	KeyRoute      KeyType = "Route"
	KeyExpression KeyType = "Expression"
)

// MissingKey says what happens to requests that lack a part of a key.
type MissingKey string

const (
	MissingKeyShare MissingKey = "Share"
	MissingKeySkip  MissingKey = "Skip"
	MissingKeyDeny  MissingKey = "Deny"
)

// RateLimitHeaders says which responses tell what is left.
type RateLimitHeaders string

const (
	RateLimitHeadersAlways    RateLimitHeaders = "Always"
	RateLimitHeadersOnLimited RateLimitHeaders = "OnLimited"
	RateLimitHeadersNever     RateLimitHeaders = "Never"
)

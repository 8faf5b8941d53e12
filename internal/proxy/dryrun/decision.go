package dryrun

import (
	"fmt"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filters/authentication"
	"github.com/gridway/gridway/internal/proxy/filters/authorization"
)

// Request is an imagined request.
type Request struct {
	// Method is GET unless it says something else.
	Method string `json:"method,omitempty"`
	// URL is absolute ("https://shop.example/cart?x=1"), or a path, which then
	// goes to the host "localhost". Its scheme and port choose the listener.
	// "tcp://host:port", "tls://name:port" and "udp://host:port" stand for
	// connections, and sessions, that are not HTTP; they have no method.
	URL     string      `json:"url"`
	Headers []ir.Header `json:"headers,omitempty"`
	// Listener is the name of a listener ("0.0.0.0:8080") or of a section
	// ("http", "Gateway/default/edge/http") and overrides the URL's port.
	Listener string `json:"listener,omitempty"`
	// Client is the address of who sends it, after trusted proxies; by default
	// 127.0.0.1.
	Client string `json:"client,omitempty"`
	// Caller is somebody whom the policies of authentication are taken to have let
	// through; nil is who the headers' credentials prove.
	Caller *Imagined `json:"caller,omitempty"`
	// Credential is put where the policy that is in force looks for it.
	Credential *Credential `json:"credential,omitempty"`
	// At is when the request comes, as in RFC 3339; empty is now.
	At string `json:"at,omitempty"`
}

// Imagined is a caller whom nobody has asked for a credential.
type Imagined struct {
	// Consumer is "namespace/name", or a name in namespace default.
	Consumer string `json:"consumer,omitempty"`
	// Claims are of JSON.
	Claims map[string]any `json:"claims,omitempty"`
	// Method is the name of the method; empty is the first of the policy's.
	Method string `json:"method,omitempty"`
	// Identity is the SPIFFE ID of a client certificate.
	Identity string `json:"identity,omitempty"`
	// Certificate is one of a client, in PEM, that the listener is taken to have
	// verified by the certificates after it; Identity is empty then.
	Certificate string `json:"certificate,omitempty"`
}

// Key is equal for equal requests.
func (r Request) Key() string {
	key := r.Method + "\n" + r.URL + "\n" + r.Listener + "\n" + r.Client + "\n" + r.At
	if r.Caller != nil {
		key += fmt.Sprintf("\n%q", *r.Caller) // fmt orders maps
	}
	if r.Credential != nil {
		key += fmt.Sprintf("\n%q", *r.Credential)
	}
	for _, h := range r.Headers {
		key += "\n" + h.Name + ":" + h.Value
	}
	return key
}

// Action is how an exchange would end.
type Action string

const (
	// Forward to one of Backends.
	Forward Action = "forward"
	// Reply by the proxy itself.
	Reply Action = "reply"
	// Refuse: the connection is reset, the datagram dropped.
	Refuse Action = "refuse"
)

// Place is an item of the configuration and where the user wrote it.
type Place struct {
	Name string `json:"name"`
	Ref  ir.Ref `json:"ref,omitzero"`
}

// Decision is what the proxy would do with a Request, and why.
type Decision struct {
	Request  Request `json:"request"`
	Listener string  `json:"listener,omitempty"`
	// Section, Route and Rule are nil from the point on where nothing matched.
	Section *Place `json:"section,omitempty"`
	Route   *Place `json:"route,omitempty"`
	// Rule's name is its ID, or the name that the user gave it.
	Rule *Place `json:"rule,omitempty"`
	// RuleIndex counts from zero within the route.
	RuleIndex int `json:"ruleIndex,omitempty"`
	// Match is the one of the rule's matches that held.
	Match *ir.Match `json:"match,omitempty"`

	// Call is set for a request that becomes a call of gRPC. Templates are the paths
	// nearest to one that should have, and is for no method.
	Call      *Call      `json:"call,omitempty"`
	Templates []Template `json:"templates,omitempty"`

	// Caller is who the request is from, nil if nobody is known. DecidedBy is the
	// policy that refuses it, "namespace/name", and DecidedByRule the part of that.
	Caller        *Caller `json:"caller,omitempty"`
	DecidedBy     string  `json:"decidedBy,omitempty"`
	DecidedByRule string  `json:"decidedByRule,omitempty"`
	// AuthenticatedBy is the AuthenticationPolicy in force, "namespace/name", and
	// Authentication what each of its methods makes of the request; empty where nobody
	// is asked, or the caller is imagined.
	AuthenticatedBy string                   `json:"authenticatedBy,omitempty"`
	Authentication  []authentication.Finding `json:"authentication,omitempty"`
	// Authorization is what each AuthorizationPolicy that reaches the rule makes of
	// the request; empty where it was refused before.
	Authorization []authorization.Finding `json:"authorization,omitempty"`
	// RateLimits are those that reach the rule.
	RateLimits []RateLimit `json:"rateLimits,omitempty"`

	Action   Action    `json:"action"`
	Local    *Local    `json:"reply,omitempty"`
	Backends []Backend `json:"backends,omitempty"`
	Mirrors  []Mirror  `json:"mirrors,omitempty"`

	// Stream is set for what is not HTTP.
	Stream *Stream `json:"stream,omitempty"`

	// Filters are the rule's, as they are written.
	Filters ir.Filters `json:"filters,omitzero"`
	// Policy is in force for the exchange; Policies are the objects it came from.
	Policy   ir.RoutePolicy `json:"policy,omitzero"`
	Policies []ir.Ref       `json:"policies,omitempty"`

	// SectionWhy says why the request belongs to the section, OtherSections why
	// it does not belong to the others of the listener.
	SectionWhy    string      `json:"sectionWhy,omitempty"`
	OtherSections []Candidate `json:"otherSections,omitempty"`
	// Others are matches that were considered and lost, the nearest first;
	// Omitted counts those that are left out.
	Others  []Candidate `json:"others,omitempty"`
	Omitted int         `json:"omitted,omitempty"`
	// Notes say what was assumed about the request.
	Notes []string `json:"notes,omitempty"`

	admitted bool   // by all policies about callers
	as       *stand // who sends the request, and when
}

// Caller is who a request is from.
type Caller struct {
	// Method accepted the credential.
	Method string `json:"method"`
	// Consumer is "namespace/name".
	Consumer   string   `json:"consumer,omitempty"`
	Credential string   `json:"credential,omitempty"`
	Groups     []string `json:"groups,omitempty"`
	Plan       string   `json:"plan,omitempty"`
	// Issuer and Subject are those of a token.
	Issuer  string   `json:"issuer,omitempty"`
	Subject string   `json:"subject,omitempty"`
	Scopes  []string `json:"scopes,omitempty"`
}

// Local is a reply that the proxy makes.
type Local struct {
	Status int `json:"status,omitempty"`
	// Reason is the code in X-Gridway-Reason; empty for configured replies.
	Reason  string      `json:"reason,omitempty"`
	Detail  string      `json:"detail,omitempty"`
	Headers []ir.Header `json:"headers,omitempty"`
	Body    string      `json:"body,omitempty"`
	// GRPC is what a client of gRPC is told in its place; nil for other requests.
	GRPC *GRPCStatus `json:"grpc,omitempty"`
}

// Backend is one that the exchange may go to.
type Backend struct {
	// Name is the object's, Cluster the runtime set behind it.
	Name    string `json:"name"`
	Ref     ir.Ref `json:"ref,omitzero"`
	Cluster string `json:"cluster,omitempty"`
	// Weight of the ref and its share of the rule's traffic in percent.
	Weight  uint32  `json:"weight"`
	Percent float64 `json:"percent"`
	// Problem says why the ref does not resolve; its share is answered 500.
	Problem string `json:"problem,omitempty"`

	Filters   ir.Filters    `json:"filters,omitzero"`
	Upstream  *Upstream     `json:"upstream,omitempty"`
	Balance   string        `json:"balance,omitempty"`
	Endpoints []ir.Endpoint `json:"endpoints,omitempty"`
	// Sources are what endpoints are found by that are not written down: "dns NAME",
	// "consul SERVICE at AGENT".
	Sources []string `json:"sources,omitempty"`
	// ResponseHeaders are what the filters add to a response that had none.
	ResponseHeaders []ir.Header   `json:"responseHeaders,omitempty"`
	ConnectTimeout  time.Duration `json:"connectTimeout,omitempty"`
}

// Upstream is the request as the backend gets it, without what every request
// gets (X-Forwarded-*, X-Request-Id, Via, trace context).
type Upstream struct {
	Method  string      `json:"method"`
	Scheme  string      `json:"scheme"`
	Host    string      `json:"host"`
	Path    string      `json:"path"`
	Query   string      `json:"query,omitempty"`
	Headers []ir.Header `json:"headers,omitempty"`
}

// Mirror is where a copy goes.
type Mirror struct {
	Name    string  `json:"name"`
	Cluster string  `json:"cluster"`
	Percent float64 `json:"percent"`
}

// Candidate is a match of a rule, or a section, that was considered.
type Candidate struct {
	Rule  string `json:"rule"`
	Name  string `json:"name,omitempty"`
	Match string `json:"match,omitempty"`
	Ref   ir.Ref `json:"ref,omitzero"`
	// Outcome is host, path, method, header, query or precedence: what it lost by.
	Outcome string `json:"outcome,omitempty"`
	Why     string `json:"why"`
}

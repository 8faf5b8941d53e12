package signals

import (
	"errors"
	"time"
)

// Kinds of nodes.
const (
	// KindService is a Service of the mesh, or one that a route leads to: "NAMESPACE/NAME".
	// One of another trust domain is "TRUST-DOMAIN/NAMESPACE/NAME".
	KindService = "service"
	// KindEdge is a proxy of the mesh that faces clients: "NAMESPACE/NAME".
	KindEdge = "edge"
	// KindGateway is a Gateway where there is no mesh: "gateway:NAMESPACE/NAME".
	KindGateway = "gateway"
	// KindBackend is a Backend: "backend:NAMESPACE/NAME".
	KindBackend = "backend"
	// KindExternal is a host outside of the configuration: "external:HOST".
	KindExternal = "external"
	// KindInternet are clients of Gateways: "internet".
	KindInternet = "internet"
	// KindUnknown are clients in the mesh's network without an identity: "unknown".
	KindUnknown = "unknown"
	// KindOther stands for what was too much to be told apart: "other".
	KindOther = "other"
)

// Protocols of edges.
const (
	ProtocolHTTP = "HTTP"
	ProtocolGRPC = "gRPC"
	ProtocolTCP  = "TCP"
	ProtocolUDP  = "UDP"
	ProtocolDNS  = "DNS"
)

// Traffic is what went over an edge, or in or out of a node, in some time. Rates are per
// second. Of TCP requests are connections that have ended, and latencies how long they
// took; of UDP they are sessions that have ended, and latencies the time until the first
// answer; of DNS questions that a workload's proxy has asked resolvers.
type Traffic struct {
	// Count is how many requests there were, Requests how many per second.
	Count    uint64  `json:"count"`
	Requests float64 `json:"requests"`
	// Errors is the share, from 0 to 1, of requests that the server's side failed: answers
	// of 500 and above, calls of gRPC that ended with a code to that effect, and requests
	// without an answer.
	Errors float64 `json:"errors"`
	// P50, P95 and P99 are latencies in nanoseconds, exact to an eighth; 0 without
	// requests.
	P50 time.Duration `json:"p50"`
	P95 time.Duration `json:"p95"`
	P99 time.Duration `json:"p99"`
	// RequestBytes and ResponseBytes are of bodies, per second.
	RequestBytes  float64 `json:"requestBytes"`
	ResponseBytes float64 `json:"responseBytes"`
	// RequestDatagrams and ResponseDatagrams are those of UDP, per second.
	RequestDatagrams  float64 `json:"requestDatagrams,omitempty"`
	ResponseDatagrams float64 `json:"responseDatagrams,omitempty"`
	// Classes are requests per second without an answer, and by the first digit of their
	// status, 1 to 5, in this order.
	Classes [6]float64 `json:"classes"`
}

// Node is who sends or receives.
type Node struct {
	// ID names the node in edges; see the kinds.
	ID        string `json:"id"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	// TrustDomain is that of a service of another mesh.
	TrustDomain string `json:"trustDomain,omitempty"`
	// In is what it has received, and Out what it has sent.
	In  Traffic `json:"in"`
	Out Traffic `json:"out"`
	// Open are the connections and streams that it has with its clients now.
	Open int64 `json:"open"`
	// Proxies is how many proxies before its workloads have reported in the last 30
	// seconds.
	Proxies int `json:"proxies"`
}

// Edge is what one node sends to another by one protocol.
type Edge struct {
	// ID is "SOURCE>DESTINATION", which two protocols have in common.
	ID string `json:"id"`
	// Source and Destination are IDs of nodes.
	Source      string `json:"source"`
	Destination string `json:"destination"`
	Protocol    string `json:"protocol"`
	// MutualTLS is the share of requests, from 0 to 1, that came over mutual TLS of the
	// mesh; without requests that of the connections that are open.
	MutualTLS float64 `json:"mutualTLS"`
	Traffic
	// Open are connections and streams under way now.
	Open int64 `json:"open"`
	// ReportedBy are the sides whose proxies have told of it: client, server. What the
	// client's side has seen counts if it has seen more or as much: it alone knows of
	// requests that reached nobody.
	ReportedBy []string `json:"reportedBy"`
	// Routes are those that requests took at the side that counts, the busiest first, ten
	// at most.
	Routes []RouteTraffic `json:"routes,omitempty"`
	// LastSeen is when a proxy has told of it last.
	LastSeen time.Time `json:"lastSeen"`
}

// RouteTraffic is the part of an edge that took one route.
type RouteTraffic struct {
	// Route is "KIND/NAMESPACE/NAME"; empty is none.
	Route    string  `json:"route"`
	Requests float64 `json:"requests"`
	Errors   float64 `json:"errors"`
}

// Graph is who has spoken to whom in a time.
type Graph struct {
	// From and To bound the time: it begins with a step of Resolution seconds, or with the
	// process, and ends when what proxies have reported does, about.
	From       time.Time `json:"from"`
	To         time.Time `json:"to"`
	Resolution float64   `json:"resolutionSeconds"`
	// Nodes are ordered by ID, Edges by ID and protocol. There is no node without an edge.
	Nodes []Node `json:"nodes"`
	Edges []Edge `json:"edges"`
	State State  `json:"state"`
	// Unreached are other control planes whose proxies' reports do not come here now.
	Unreached []Unreached `json:"unreached,omitempty"`
}

// Unreached is a control plane that what proxies have told is not known of.
type Unreached struct {
	Control string `json:"control"`
	// Why is for people.
	Why string `json:"why"`
	// Since is when that began: what its proxies reported before is known.
	Since time.Time `json:"since"`
}

// State is how a Table stands.
type State struct {
	// Proxies have reported in the last 30 seconds, and are still there.
	Proxies int `json:"proxies"`
	// Edges is how many are told apart, by reporter and route, in Memory bytes of Limit.
	Edges  int   `json:"edges"`
	Memory int64 `json:"memoryBytes"`
	Limit  int64 `json:"memoryLimitBytes"`
	// Folded counts how often an edge was folded into "other", because memory was full or a
	// workload had too many, since the process began.
	Folded uint64 `json:"folded"`
	// History is how far back is kept: 24 hours, and less where memory is scarce.
	History float64 `json:"historySeconds"`
	// Since is when the table began.
	Since time.Time `json:"since"`
}

// Series is how something went over time.
type Series struct {
	// Of is what it is of, as it was asked for.
	Of string `json:"of"`
	// From and To bound the time; Step is how long each point is, in seconds.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	Step float64   `json:"stepSeconds"`
	// Points are in the order of time, one for each step, also where there was nothing.
	Points []Point `json:"points"`
	// Total is of all points together.
	Total Traffic `json:"total"`
	// Unreached are as in a Graph.
	Unreached []Unreached `json:"unreached,omitempty"`
}

// Point is one step of a Series.
type Point struct {
	// At is its beginning.
	At time.Time `json:"at"`
	Traffic
}

// Query asks for a Graph or for Series.
type Query struct {
	// Window is how far back, from Least to Most.
	Window time.Duration
	// Namespace, unless it is empty, keeps edges of which an end is in it.
	Namespace string
	// Of is what Series are of; see ParseSubject.
	Of Subject
	// Step of Series; 0 is the finest that there is.
	Step time.Duration
}

// Bounds of a window.
const (
	Least = 10 * time.Second
	Most  = 24 * time.Hour
)

// ErrUnknown is that nothing is known of what was asked for.
var ErrUnknown = errors.New("nothing was seen of it")

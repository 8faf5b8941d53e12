package adminapi

import (
	"encoding/json"
	"time"
)

// State is where a process is in its life.
type State string

const (
	Starting State = "starting" // no revision serves yet
	Serving  State = "serving"
	Draining State = "draining" // no new connections; what is under way ends
)

// Status is what `gridway status` shows.
type Status struct {
	State   State  `json:"state"`
	Ready   bool   `json:"ready"`
	Version string `json:"version"`
	PID     int    `json:"pid"`
	// Started is when the process started.
	Started  time.Time `json:"started"`
	Revision Revision  `json:"revision"`
	// Predecessor is the process that this one has replaced, while that drains.
	Predecessor *Predecessor `json:"predecessor,omitempty"`
	// LastFailure is the last configuration that could not be put in service, if
	// it is newer than Revision.
	LastFailure *Failure `json:"lastFailure,omitempty"`
	// Objects counts objects by kind.
	Objects   map[string]int   `json:"objects"`
	Problems  []Problem        `json:"problems"`
	Refused   []Refused        `json:"refused"`
	Listeners []ListenerStatus `json:"listeners"`
	// RateLimitStores are the stores that limits are counted in by several gateways,
	// but for servers of Envoy's protocol, which are endpoints.
	RateLimitStores []RateLimitStoreStatus `json:"rateLimitStores"`
	// Certificates are those that listeners want from CertificateIssuers.
	Certificates []Certificate `json:"certificates"`
	// Dependencies are what the gateway needs of others.
	Dependencies []Dependency `json:"dependencies"`
	// Sinks are the TelemetrySinks that policies send something to.
	Sinks []SinkStatus `json:"sinks"`
	// Troubles are what is not well on the way to clusters, the first 100: as this process
	// sees it and, at a control plane, as all proxies of the mesh do. MoreTroubles are left out.
	Troubles     []Trouble `json:"troubles"`
	MoreTroubles int       `json:"moreTroubles,omitempty"`
	// Election is there if the process has a state store.
	Election *ElectionStatus `json:"election,omitempty"`
	// Mesh is there if the process is a control plane, and Member if it is a sidecar, an
	// edge or a node proxy.
	Mesh     *MeshStatus    `json:"mesh,omitempty"`
	Member   *MemberStatus  `json:"member,omitempty"`
	Statuses []ObjectStatus `json:"statuses"`
}

// ElectionStatus is which of the processes that share a state store does the periodic work
// that one does for all. Serving needs none.
type ElectionStatus struct {
	// Process is the one that was elected, HOST/PID/RANDOM; empty is that nobody was yet,
	// or that this process does not know.
	Process string `json:"process"`
	// Term counts elections up to this one.
	Term int64 `json:"term"`
	// Self: it is this process.
	Self bool `json:"self"`
	// Read is when the store was asked last.
	Read time.Time `json:"read,omitzero"`
}

// MeshStatus is how a mesh stands at one of its control planes.
type MeshStatus struct {
	TrustDomain string `json:"trustDomain"`
	// Address is where proxies come.
	Address string `json:"address"`
	// Control names this process.
	Control string `json:"control"`
	// Serving of the Proxies, those of other control planes among them, serve the newest
	// configuration that they were sent. Its number here is Revision.
	Serving  int         `json:"serving"`
	Revision uint64      `json:"revision"`
	Proxies  []MeshProxy `json:"proxies"`
	// Federation are other trust domains whose identities are trusted.
	Federation []MeshFederation `json:"federation,omitempty"`
	// Peers are other meshes whose Services are used here.
	Peers []MeshPeer `json:"peers,omitempty"`
	// SVIDJoins is the file of grants for joining by SVIDs, if there is one.
	SVIDJoins *MeshSVIDJoins `json:"svidJoins,omitempty"`
}

// MeshSVIDJoins is the file with the grants that say as what machines may join by SVIDs.
type MeshSVIDJoins struct {
	File string `json:"file"`
	// Grants hold, as they were read at Read.
	Grants int       `json:"grants"`
	Read   time.Time `json:"read"`
	// Error is why the file as it is now is not what holds.
	Error string `json:"error,omitempty"`
}

// MeshPeer is another mesh whose Services are used here.
type MeshPeer struct {
	// Name is that of the MeshPeer.
	Name        string `json:"name"`
	TrustDomain string `json:"trustDomain"`
	// Address is that of the control plane that answers, Since when; while none does it
	// is empty, and what was said last holds.
	Address string    `json:"address,omitempty"`
	Since   time.Time `json:"since"`
	// Services of it are used, behind Edges. Known is false while it has never said
	// anything.
	Services int  `json:"services"`
	Edges    int  `json:"edges"`
	Known    bool `json:"known"`
	// Error is why nobody answers.
	Error string `json:"error,omitempty"`
}

// MeshFederation is another trust domain, and how its trust bundle stands.
type MeshFederation struct {
	TrustDomain string `json:"trustDomain"`
	// URL is where the bundle is fetched.
	URL string `json:"url"`
	// Fetched is when that was done last, by this process. Sequence and Roots are the
	// bundle's; without any roots nobody of the trust domain is let in.
	Fetched  time.Time `json:"fetched,omitzero"`
	Sequence uint64    `json:"sequence,omitempty"`
	Roots    int       `json:"roots"`
	// Error is why the last fetch failed.
	Error string `json:"error,omitempty"`
}

// MeshProxy is a proxy of the mesh.
type MeshProxy struct {
	Name     string `json:"name"`
	Identity string `json:"identity"`
	// Role is edge, sidecar or node.
	Role    string `json:"role"`
	Zone    string `json:"zone,omitempty"`
	Version string `json:"version,omitempty"`
	// State is Serving, Pending, Refused, Newer (of another control plane) or Gone;
	// Why says more where it is not Serving.
	State string `json:"state"`
	Why   string `json:"why,omitempty"`
	// Since is when its stream began or, if it is Gone, ended.
	Since time.Time `json:"since"`
	// Control is the control plane that it has its configuration from, which counts
	// revisions for itself. Revision is what it serves, Wanted what it is to serve.
	Control  string `json:"control"`
	Revision uint64 `json:"revision"`
	Wanted   uint64 `json:"wanted"`
	// Refusals are the parts of Wanted that it cannot serve.
	Refusals []MeshRefusal `json:"refusals,omitempty"`
	// Services are those that it uses, "namespace/name".
	Services []string `json:"services"`
	// Workloads are those that a node proxy stands before.
	Workloads []MeshWorkload `json:"workloads,omitempty"`
	// Withheld are those that a node proxy wants and that are not granted to it.
	Withheld []WithheldWorkload `json:"withheld,omitempty"`
}

// WithheldWorkload is one that a node proxy wants and may not have.
type WithheldWorkload struct {
	// Workload is "namespace/service", of a node proxy itself the workload's key.
	Workload string `json:"workload"`
	Reason   string `json:"reason"`
}

// MeshWorkload is a workload of a proxy.
type MeshWorkload struct {
	Namespace string `json:"namespace"`
	Service   string `json:"service"`
	// Name tells workloads of one service of one proxy apart; it may be empty.
	Name    string `json:"name,omitempty"`
	Healthy bool   `json:"healthy"`
}

// MemberStatus is how a proxy stands in its mesh.
type MemberStatus struct {
	// Name is what control planes list it as, and Role edge, sidecar or node.
	Name string `json:"name"`
	Role string `json:"role"`
	Zone string `json:"zone,omitempty"`
	// Identity is the SPIFFE ID that it proves to others, and Address where they reach it.
	Identity string        `json:"identity"`
	Address  string        `json:"address"`
	Control  MemberControl `json:"control"`
	// Services are those that it uses, "namespace/name".
	Services     []string      `json:"services"`
	SVIDs        []SVID        `json:"svids"`
	TrustDomains []TrustDomain `json:"trustDomains"`
	// Withheld are workloads of a node proxy that are not granted to it.
	Withheld []WithheldWorkload `json:"withheld,omitempty"`
	// Denied counts entries of the deny list.
	Denied int `json:"denied,omitempty"`
}

// MemberControl is how a proxy gets its configuration.
type MemberControl struct {
	// Target is the control plane that it is connected to since Since, and Name what that
	// calls itself. Without one, Problem says why, and Since since when.
	Target  string    `json:"target,omitempty"`
	Name    string    `json:"name,omitempty"`
	Since   time.Time `json:"since"`
	Problem string    `json:"problem,omitempty"`
	// FromDisk: what it serves is from before the process started.
	FromDisk bool `json:"fromDisk,omitempty"`
	// Refused is what of the configuration could not be put in service.
	Refused []string `json:"refused,omitempty"`
}

// SVID is a certificate of the mesh that a proxy has the key of.
type SVID struct {
	ID        string    `json:"id"`
	Serial    string    `json:"serial"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
}

// TrustDomain is one whose certificates a proxy believes.
type TrustDomain struct {
	Name string `json:"name"`
	// Roots are its certificates, of which the last ends at NotAfter.
	Roots    int       `json:"roots"`
	NotAfter time.Time `json:"notAfter,omitzero"`
}

// MeshRefusal is what a proxy cannot serve, and why.
type MeshRefusal struct {
	// Kind and Name of the resource are empty where it is not known which one it is.
	Kind   string `json:"kind,omitempty"`
	Name   string `json:"name,omitempty"`
	Reason string `json:"reason"`
}

// Dependency is something that the gateway needs of somebody else.
type Dependency struct {
	// Kind is "keys" of an issuer, "provider" of OpenID, or where endpoints are
	// found: "dns" or "consul"; "sink" is where telemetry goes, and "login" where people
	// log in to the console.
	Kind string `json:"kind"`
	// Owner is the AuthenticationPolicy, "namespace/name", and Name the issuer; of
	// endpoints, the object "Backend/namespace/name", and the name or service; of a
	// sink, "TelemetrySink/namespace/name", and its address; of a login "console", and
	// the issuer.
	Owner string `json:"owner"`
	Name  string `json:"name"`
	// Place is where it is fetched; empty is the system's resolver.
	Place string `json:"place,omitempty"`
	// Up is false since a time, because of Error, or since nothing has come yet.
	Up    bool      `json:"up"`
	Since time.Time `json:"since,omitzero"`
	Error string    `json:"error,omitempty"`
	// Kept: what was there before still serves.
	Kept bool `json:"kept,omitempty"`
}

// Predecessor is a process that was replaced by an upgrade.
type Predecessor struct {
	PID     int    `json:"pid"`
	Version string `json:"version"`
	// Connections that it has left.
	Connections int `json:"connections"`
}

// Revision is the configuration in service.
type Revision struct {
	// Number is zero while none serves.
	Number uint64    `json:"number"`
	At     time.Time `json:"at,omitzero"`
	// Took is how long it took to compile it and put it in service.
	Took    time.Duration `json:"took,omitzero"`
	Sources []string      `json:"sources,omitempty"`
}

// Failure is a configuration that was refused as a whole.
type Failure struct {
	At    time.Time `json:"at"`
	Error string    `json:"error"`
}

// Place is where something is written. Line and Column start at 1.
type Place struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// Problem is something the user should know about one place of one object.
type Problem struct {
	Severity string `json:"severity"` // error, warning or note
	Code     string `json:"code"`
	Object   string `json:"object,omitempty"` // "Kind/namespace/name"
	Field    string `json:"field,omitempty"`
	Place    Place  `json:"place,omitzero"`
	Message  string `json:"message"`
	Remedy   string `json:"remedy,omitempty"`
}

// Refused is an object whose present version is not in service.
type Refused struct {
	Object string `json:"object"`
	Place  Place  `json:"place,omitzero"`
	// Since is when the present version was refused.
	Since time.Time `json:"since"`
	// LastGood is the revision that brought the version that goes on serving;
	// zero means that no version of the object serves.
	LastGood uint64 `json:"lastGood,omitempty"`
	// Why are the errors that it was refused for.
	Why []string `json:"why"`
}

// ListenerStatus is one socket.
type ListenerStatus struct {
	Name     string `json:"name"`
	Protocol string `json:"protocol"`
	// State is listening, failed or draining; Error says why it failed, or, of one
	// that listens, why it has no HTTP/3.
	State string `json:"state"`
	Error string `json:"error,omitempty"`
	// Tries is how often a failed listener was tried again, and NextTry when it
	// will be.
	Tries   int       `json:"tries,omitempty"`
	NextTry time.Time `json:"nextTry,omitzero"`
	// Speaks are the protocols that its clients may speak: HTTP/1.1, HTTP/2, HTTP/3
	// (on UDP), TLS, TCP, UDP. ALPN are those that its sections of protocol TLS agree
	// on with clients.
	Speaks []string `json:"speaks"`
	ALPN   []string `json:"alpn,omitempty"`
	// ProxyProtocol says that connections may, or have to, begin with a PROXY
	// header: optional or required. EarlyData, that of HTTP/3 is taken.
	ProxyProtocol string `json:"proxyProtocol,omitempty"`
	EarlyData     bool   `json:"earlyData,omitempty"`
	// DetectTimeout is how long a silent client is waited for, where the port
	// detects protocols.
	DetectTimeout time.Duration `json:"detectTimeout,omitzero"`
	Sections      []string      `json:"sections"`
	// Connections open now.
	Connections int `json:"connections"`
}

// RateLimitStoreStatus says whether a store of limits answers.
type RateLimitStoreStatus struct {
	Name string `json:"name"` // "namespace/name" of the RateLimitStore
	Kind string `json:"kind"` // redis or stateStore
	// State is up, or down while limits do what onError says. Error says why, and
	// Since since when.
	State string    `json:"state"`
	Error string    `json:"error,omitempty"`
	Since time.Time `json:"since,omitzero"`
}

// Certificate is one that listeners want from a CertificateIssuer.
type Certificate struct {
	// Secret is the object that it comes as: "Secret/namespace/issuer:name".
	Secret    string   `json:"secret"`
	Issuer    string   `json:"issuer"` // "CertificateIssuer/namespace/name"
	Names     []string `json:"names"`
	Directory string   `json:"directory"`
	// Phase is Pending, Issued, Renewing, Failing (the last try failed; there may
	// be a certificate all the same) or Held (it cannot be asked for; Error says
	// why).
	Phase string `json:"phase"`
	// Valid: there is one, and it has not expired.
	Valid     bool      `json:"valid"`
	Serial    string    `json:"serial,omitempty"`
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	// NextTry is when the authority is asked next, for a renewal or once more.
	NextTry time.Time `json:"nextTry,omitzero"`
	// Failures in a row, the last of them at FailedAt.
	Failures int       `json:"failures,omitempty"`
	FailedAt time.Time `json:"failedAt,omitzero"`
	Error    string    `json:"error,omitempty"`
}

// ObjectStatus is what became of one object.
type ObjectStatus struct {
	Object string `json:"object"`
	Place  Place  `json:"place,omitzero"`
	// Addresses that a Gateway is bound to.
	Addresses []string `json:"addresses,omitempty"`
	// Sections are the listeners of a Gateway or a ListenerSet.
	Sections []SectionStatus `json:"sections,omitempty"`
	// AttachedListenerSets counts the accepted ListenerSets of a Gateway.
	AttachedListenerSets int         `json:"attachedListenerSets,omitempty"`
	Conditions           []Condition `json:"conditions"`
}

// SectionStatus is what a listener of a Gateway or a ListenerSet serves.
type SectionStatus struct {
	Name string `json:"name"`
	// SupportedKinds are the kinds of routes that may attach: "gateway.networking.k8s.io/HTTPRoute".
	SupportedKinds []string `json:"supportedKinds"`
	AttachedRoutes int      `json:"attachedRoutes"`
}

// Condition is one aspect of an object's state, with the types and reasons of
// the Gateway API.
type Condition struct {
	// Of is empty for the object itself, or the listener, parent or ancestor
	// that the condition is about: "listener http", "Gateway/default/edge",
	// "Gateway/default/edge/https:8443" with section and port of the parentRef.
	Of      string `json:"of,omitempty"`
	Type    string `json:"type"`
	Status  string `json:"status"` // True, False or Unknown
	Reason  string `json:"reason"`
	Message string `json:"message,omitempty"`
	// ObservedGeneration is metadata.generation of the version that the
	// condition speaks of, where the object has one.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// Object is one object of the configuration as the user wrote it.
type Object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
	// Source is where it came from: "file", with Place; "managed", through this API,
	// with Revision; "state", a consumer of the state store.
	Source string `json:"source,omitempty"`
	Place  Place  `json:"place,omitzero"`
	// Revision is the one that made a managed object what it is.
	Revision int64 `json:"revision,omitempty"`
	// Hash is a digest of the content, in hexadecimal. Secrets have none.
	Hash string `json:"hash,omitempty"`
	// Value is the object itself with its secrets hidden. It is left out of
	// lists unless they are asked for with values=true.
	Value json.RawMessage `json:"value,omitempty"`
	// Text is a managed object as it was applied, with its comments, beside Value; it is
	// left out where something of it is hidden.
	Text string `json:"text,omitempty"`
	// Status is the object's status as the Gateway API has it, with Value.
	Status json.RawMessage `json:"status,omitempty"`
	// Problems are those that were found with the object, with Value.
	Problems []Problem `json:"problems,omitempty"`
}

// Cluster is the live state of one cluster.
type Cluster struct {
	Name      string `json:"name"`
	Algorithm string `json:"algorithm"`
	Protocol  string `json:"protocol,omitempty"`
	// Breaker is closed, half-open or open.
	Breaker string `json:"breaker"`
	// Requests under way, retries among them, and tries waiting for a connection.
	Requests int `json:"requests"`
	Retries  int `json:"retries"`
	Pending  int `json:"pending"`
	// RetryBudget is how many retries are left; -1 without a budget.
	RetryBudget int `json:"retryBudget"`
	// Connections in use or idle, and idle.
	Connections int        `json:"connections"`
	Idle        int        `json:"idle"`
	Endpoints   []Endpoint `json:"endpoints"`
}

// Endpoint is the live state of one endpoint.
type Endpoint struct {
	Address  string `json:"address"`
	Hostname string `json:"hostname,omitempty"`
	// Origin says what found it: "consul SERVICE: INSTANCE on NODE".
	Origin   string `json:"origin,omitempty"`
	Zone     string `json:"zone,omitempty"`
	Weight   uint32 `json:"weight"`
	Priority int    `json:"priority,omitempty"`
	// State is healthy, unhealthy, ejected or draining.
	State  string `json:"state"`
	Active int    `json:"active"`
	Idle   int    `json:"idle"`
	// Latency is a peak-sensitive moving average.
	Latency  time.Duration `json:"latency"`
	Tries    uint64        `json:"tries"`
	Failures uint64        `json:"failures"`
	// EjectedFor is what is left of an ejection.
	EjectedFor time.Duration `json:"ejectedFor,omitempty"`
	// Cause is the rule of outlier detection that ejected it.
	Cause     string `json:"cause,omitempty"`
	SlowStart bool   `json:"slowStart,omitempty"`
}

// LogLevel is the least severe level that is logged: debug, info, warn or error.
type LogLevel struct {
	Level string `json:"level"`
}

// Health is the answer of /healthz and /readyz.
type Health struct {
	Status string `json:"status"`
	State  State  `json:"state"`
}

package distrib

import "strings"

// Views makes what proxies are to have. Its methods are called by many goroutines at
// a time.
type Views interface {
	// View is what a proxy is to have now. It is asked for each proxy when it comes,
	// when what it says of itself changes, and when something changed that may
	// concern it; so what proxies share is better made once.
	View(p *Proxy) (View, error)
	// Changed is closed when something has changed since it was returned. The next
	// change closes another, so it is asked for before what is new is looked at.
	Changed() <-chan struct{}
}

// Changes is what Views implements if it knows what a change concerns. Without it all
// views are made anew with each change.
type Changes interface {
	// Since tells what changed after a moment that it returned before; 0 is the
	// beginning. It says All where it does not remember.
	Since(moment uint64) Change
}

// Change is what happened up to a moment.
type Change struct {
	Moment uint64
	// All: any view may have changed.
	All bool
	// Services are those whose routes, policies, clusters or existence changed:
	// "namespace/name". It concerns proxies whose View names one of them.
	Services []string
	// Proxies are names of proxies whose own views may have changed.
	Proxies []string
	// Endpoints are the newest of clusters that changed in nothing else, which
	// proxies that have the cluster are sent without a new view.
	Endpoints []*Resource
}

// View is what one proxy is to have.
type View struct {
	// Number grows with each change of the configuration. Control planes that share
	// numbers (those of a state store, say) have the same Epoch; else it is one that
	// no other has.
	Number uint64
	Epoch  string
	// Hash is Sum(Resources). Zero has it computed.
	Hash uint64
	// Resources are in the order of Compare, each key once, with one of endpoints
	// for each cluster. The list may be shared by proxies and is never changed.
	Resources []*Resource
	// Services are those that the view depends on, sorted, also ones that do not
	// exist yet.
	Services []string
	// Unknown are those among the proxy's that do not exist.
	Unknown []string
}

// Role is what a proxy is there for.
type Role string

const (
	RoleEdge    Role = "edge"
	RoleSidecar Role = "sidecar"
	RoleNode    Role = "node"
)

// IsEdge tells whether a member of that name may have Gateways, with the private keys
// of their certificates: whoever may join by the name gets those.
func IsEdge(service string) bool {
	return service == "edge" || strings.HasPrefix(service, "edge-")
}

// Proxy is what a proxy says of itself, and who it is.
type Proxy struct {
	// Identity is the SPIFFE ID of its certificate.
	Identity string
	// Name is its own, of one process: no two live proxies have the same.
	Name    string
	Role    Role
	Labels  map[string]string
	Zone    string
	Version string
	// Workloads are those that it stands before.
	Workloads []Workload
	// Waiting are services of which a node proxy has workloads without an identity yet.
	Waiting []ServiceName
	// Listeners are ports that it opens for one service each.
	Listeners []LocalListener
	// Services are those that it uses, "namespace/name", sorted.
	Services []string

	// claimed are all workloads that it says it has, of which Workloads are those that it
	// may have, and withheld the others' services.
	claimed  []Workload
	withheld []Withheld
}

// Workload is a running instance of a service.
type Workload struct {
	// Name tells workloads of one service behind one proxy apart; it may be empty.
	Name      string
	Namespace string
	Service   string
	// Address is an IP address that other proxies reach it by.
	Address string
	Ports   []Port
	Labels  map[string]string
	Zone    string
	Version string
	// Weight is its share of the traffic; 0 is 1.
	Weight  uint32
	Healthy bool
	// MeshPort takes the mesh's connections; 0 if it takes none.
	MeshPort uint16
	// Local is the address at which the program listens on the proxy's host, 127.0.0.1 if
	// it is empty. Captured are sockets of the proxy, IP:PORT, to which what the program
	// opens is redirected, where that is not the same for all workloads of the proxy.
	// Nobody but the proxy itself has to do with them.
	Local    string
	Captured []string
}

// Port of a workload.
type Port struct {
	Name   string
	Number uint16
	// Protocol is an appProtocol of Kubernetes ("http", "kubernetes.io/h2c", "tcp");
	// empty where nobody knows.
	Protocol string
}

// LocalListener is a port of the proxy whose connections are for a service.
type LocalListener struct {
	Address string
	Port    uint16
	// Service is "namespace/name"; ServicePort is its port.
	Service     string
	ServicePort uint16
}

// Workloads is told which workloads there are: those of proxies whose streams live.
type Workloads interface {
	// Joined is told of each proxy that comes, and again when workloads of it
	// change. The Proxy is the caller's own from then on.
	Joined(p *Proxy)
	// Left is told that the stream of a proxy is over. Orderly says that the proxy
	// ended it, rather than the network or the control plane.
	Left(p *Proxy, orderly bool)
}

package ir

import "net/netip"

// Mesh is what is compiled of Services: who makes the configurations of a mesh's
// proxies puts them together from it and from the Config that was compiled with
// it, which has what routes of both name (consumers, key sets, policies, lists).
type Mesh struct {
	// Services are ordered by namespace and name. One that did not change is the
	// same pointer as before.
	Services []*MeshService `json:"services,omitempty"`
	// Routes, Streams and Clusters are those that Services name. Routes that
	// Gateways have, too, are the same pointers as theirs.
	Routes   []*Route       `json:"routes,omitempty"`
	Streams  []*StreamRoute `json:"streams,omitempty"`
	Clusters []*Cluster     `json:"clusters,omitempty"`
	// Members say which clusters, of the Config too, are the workloads of a port,
	// ordered by cluster.
	Members []MeshMember `json:"members,omitempty"`
	// Inbound and Outbound are how proxies treat others of the mesh, and applications
	// beside them.
	Inbound  ClientPolicy `json:"inbound"`
	Outbound ClientPolicy `json:"outbound"`
	// Egress is what becomes of what is for no service; Egresses are of clients of
	// single namespaces, in order.
	Egress   Egress            `json:"egress"`
	Egresses []NamespaceEgress `json:"egresses,omitempty"`
	// Peers are other meshes, ordered by name, and Passages the ports of Services that
	// they may use, in the order of Services.
	Peers    []*MeshPeer   `json:"peers,omitempty"`
	Passages []MeshPassage `json:"passages,omitempty"`
	// ClusterDomain ends the full names of services: "cluster.local".
	ClusterDomain string `json:"clusterDomain"`
}

// NamespaceEgress is what holds for clients of a namespace.
type NamespaceEgress struct {
	Namespace string `json:"namespace"`
	Egress    Egress `json:"egress"`
}

// EgressFor is what becomes of what clients of a namespace send to no service.
func (m *Mesh) EgressFor(namespace string) Egress {
	for _, e := range m.Egresses {
		if e.Namespace == namespace {
			return e.Egress
		}
	}
	return m.Egress
}

// MeshMember is a cluster whose endpoints are the workloads of a Service, besides
// those that it may have already.
type MeshMember struct {
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace"`
	Service   string `json:"service"`
	// Port is the Service's.
	Port uint16 `json:"port"`
	// Passage: what is sent to the workloads is the TLS of who sends it.
	Passage bool `json:"passage,omitempty"`
}

// MeshService is a Service as clients and workloads of a mesh see it.
type MeshService struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Addresses are the Service's own: its cluster IPs, or virtual ones, one of each
	// family. One that is Headless has none, and is reached at its endpoints' own.
	Addresses []netip.Addr `json:"addresses,omitempty"`
	Headless  bool         `json:"headless,omitempty"`
	// Ports are those of TCP, in the Service's order.
	Ports []*MeshPort `json:"ports,omitempty"`
	Ref   Ref         `json:"ref"`
}

// MeshPort is one port of a Service.
type MeshPort struct {
	Name string `json:"name,omitempty"`
	Port uint16 `json:"port"`
	// TargetPort is what the port is at the workloads: a number, or the name of one
	// of their ports. Empty is Port.
	TargetPort string `json:"targetPort,omitempty"`
	// Protocol is what the Service says that its workloads speak: HTTP, TLS (theirs,
	// which passes through), TCP, or Detect where it says nothing.
	Protocol Protocol `json:"protocol"`
	// Plaintext lets in clients that are not in the mesh (permissive).
	Plaintext bool `json:"plaintext,omitempty"`
	// Outbound is what a client's proxy does. The first is for clients of all
	// namespaces; those after it, ordered by namespace, hold for clients of theirs in
	// its place.
	Outbound []MeshOutbound `json:"outbound"`
	// Inbound is what a workload's proxy does.
	Inbound MeshInbound `json:"inbound"`
}

// MeshOutbound is the content of a section for clients of a port.
type MeshOutbound struct {
	// Namespace is the clients'; empty is every one.
	Namespace string `json:"namespace,omitempty"`
	// Protocol is the port's, unless a route says what it is.
	Protocol Protocol     `json:"protocol"`
	Routes   []Attachment `json:"routes,omitempty"`
	Streams  []Attachment `json:"streams,omitempty"`
}

// MeshInbound is the content of a section for a port of a workload. Its routes lead
// to Cluster, or Stream, which have no endpoints: the workload's own address goes there.
type MeshInbound struct {
	Routes  []Attachment `json:"routes,omitempty"`
	Streams []Attachment `json:"streams,omitempty"`
	Cluster string       `json:"cluster,omitempty"`
	Stream  string       `json:"stream,omitempty"`
}

// OutboundFor is what holds for clients of a namespace.
func (p *MeshPort) OutboundFor(namespace string) *MeshOutbound {
	for i := range p.Outbound {
		if i > 0 && p.Outbound[i].Namespace == namespace {
			return &p.Outbound[i]
		}
	}
	return &p.Outbound[0]
}

// Port finds a port by its number; nil is that there is none.
func (s *MeshService) Port(number uint16) *MeshPort {
	for _, p := range s.Ports {
		if p.Port == number {
			return p
		}
	}
	return nil
}

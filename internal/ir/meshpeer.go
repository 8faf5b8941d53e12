package ir

import "slices"

// MeshPeer is another mesh with a control plane of its own.
type MeshPeer struct {
	Name string `json:"name"`
	// TrustDomain is whose control plane answers there.
	TrustDomain string `json:"trustDomain"`
	// Addresses of its control planes, HOST:PORT; without any nothing is imported.
	Addresses []string     `json:"addresses,omitempty"`
	Exports   []MeshExport `json:"exports,omitempty"`
	Imports   []MeshImport `json:"imports,omitempty"`
	Ref       Ref          `json:"ref"`
}

// MeshExport is some Services of a namespace that a peer may use.
type MeshExport struct {
	Namespace string `json:"namespace"`
	// Services is empty for all.
	Services []string `json:"services,omitempty"`
}

// MeshImport is some Services of a namespace of a peer, and what they are here.
type MeshImport struct {
	Namespace string `json:"namespace"`
	// Services is empty for all that the peer exports.
	Services []string `json:"services,omitempty"`
	// Into is the namespace here, and Suffix is behind the names.
	Into   string `json:"into"`
	Suffix string `json:"suffix,omitempty"`
	// Priority is that of the endpoints; those of workloads here have 0.
	Priority int `json:"priority,omitempty"`
}

// Has tells whether it is about a Service.
func (e MeshExport) Has(namespace, service string) bool {
	return e.Namespace == namespace && (len(e.Services) == 0 || slices.Contains(e.Services, service))
}

// Has tells whether it is about a Service of the peer.
func (i MeshImport) Has(namespace, service string) bool {
	return MeshExport{i.Namespace, i.Services}.Has(namespace, service)
}

// ExportsService tells whether the peer may use a Service.
func (p *MeshPeer) ExportsService(namespace, service string) bool {
	return slices.ContainsFunc(p.Exports, func(e MeshExport) bool { return e.Has(namespace, service) })
}

// MeshPassage is a port of a Service that peers may use, as east-west edges have it: they
// pass what is for it on without ending its TLS.
type MeshPassage struct {
	Namespace string `json:"namespace"`
	Service   string `json:"service"`
	Port      uint16 `json:"port"`
	// Stream is the route among those of the Mesh that leads to the port's workloads.
	Stream string `json:"stream"`
	Ref    Ref    `json:"ref"`
}

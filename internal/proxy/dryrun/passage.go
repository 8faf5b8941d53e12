package dryrun

import "github.com/gridway/gridway/internal/ir"

// Passage is what becomes of a request between services: what the sender's proxy does
// with it, and what the proxies of the service do.
type Passage struct {
	// Host is what was asked for.
	Host string `json:"host"`
	// Service is NAMESPACE/NAME; without it the host is none of the mesh, and Egress says
	// what becomes of that.
	Service string    `json:"service,omitempty"`
	Egress  ir.Egress `json:"egress,omitempty"`
	Client  *Decision `json:"client,omitempty"`
	Server  *Decision `json:"server,omitempty"`
	// Note is what becomes of a caller on the way.
	Note string `json:"note,omitempty"`
}

// PassageRequest imagines a request of a service of the mesh.
type PassageRequest struct {
	// Service and Namespace are the sender's; Namespace is default if it is empty.
	Service   string  `json:"service"`
	Namespace string  `json:"namespace,omitempty"`
	Request   Request `json:"request"`
}

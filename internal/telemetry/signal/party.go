package signal

import (
	"strings"
	"unique"
)

// Kind is what an end of an edge is.
type Kind uint8

const (
	// Unknown is a client without an identity.
	Unknown Kind = iota
	// Service is a Service, or a workload of that name.
	Service
	// EdgeProxy is a proxy of the mesh that faces clients.
	EdgeProxy
	// Gateway is one where there is no mesh.
	Gateway
	// Backend is an object of that kind.
	Backend
	// External is a host outside of the configuration.
	External
	// Internet are the clients of Gateways.
	Internet
	// Other stands for all that is too much.
	Other
	kinds
)

// Kinds is how many there are; they count from 0.
const Kinds = int(kinds)

var kindNames = [kinds]string{"unknown", "service", "edge", "gateway", "backend", "external", "internet", "other"}

func (k Kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return kindNames[Unknown]
}

// Party is an end of an edge.
type Party struct {
	Kind Kind
	// Domain is the trust domain of a Service of another mesh, and empty otherwise.
	Domain string
	// Namespace and Name are those of an object; Name is the host of what is External.
	Namespace, Name string
}

// ID names the party among all: "NAMESPACE/NAME" of a Service or an edge, with the trust
// domain before it for one of another mesh; "KIND:NAMESPACE/NAME" of a Gateway or Backend;
// "external:HOST"; and the kind alone of what has no name.
func (p Party) ID() string {
	switch p.Kind {
	case Service, EdgeProxy:
		if p.Domain != "" {
			return p.Domain + "/" + p.Namespace + "/" + p.Name
		}
		return p.Namespace + "/" + p.Name
	case Gateway, Backend:
		return p.Kind.String() + ":" + p.Namespace + "/" + p.Name
	case External:
		return p.Kind.String() + ":" + p.Name
	}
	return p.Kind.String()
}

// Who is a Party that is quickly compared. The zero value is nobody: it is not recorded.
type Who struct{ h unique.Handle[Party] }

// Of makes a Who.
func Of(p Party) Who { return Who{unique.Make(p)} }

// Party is what it was made of.
func (w Who) Party() Party {
	if w == (Who{}) {
		return Party{}
	}
	return w.h.Value()
}

// Named are those without a name, made once.
var (
	TheInternet = Of(Party{Kind: Internet})
	Nobody      = Of(Party{})
	TheOthers   = Of(Party{Kind: Other})
)

// Identified is the workload of a SPIFFE ID (spiffe://DOMAIN/ns/NAMESPACE/sa/NAME), seen
// from a mesh whose trust domain is own. It is Nobody for an empty one, or one of another
// form.
func Identified(id, own string) Who {
	rest, ok := strings.CutPrefix(id, "spiffe://")
	if !ok {
		return Nobody
	}
	domain, path, _ := strings.Cut(rest, "/")
	parts := strings.Split(path, "/")
	if len(parts) != 4 || parts[0] != "ns" || parts[2] != "sa" {
		return Nobody
	}
	if domain == own {
		domain = ""
	}
	return Of(Party{Kind: Service, Domain: domain, Namespace: parts[1], Name: parts[3]})
}

// Route names a route, "KIND/NAMESPACE/NAME". The zero value is none.
type Route struct{ h unique.Handle[string] }

// RouteOf makes a Route of the ID of one of its rules, "KIND/NAMESPACE/NAME/rules/INDEX".
func RouteOf(rule string) Route {
	if i := strings.Index(rule, "/rules/"); i >= 0 {
		rule = rule[:i]
	}
	if rule == "" {
		return Route{}
	}
	return Route{unique.Make(rule)}
}

// String is its name.
func (r Route) String() string {
	if r == (Route{}) {
		return ""
	}
	return r.h.Value()
}

package dryrun

import (
	"cmp"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/ir"
)

// MeshParent is the port of a Service that clients of the mesh ask for, and whose route
// a row is.
type MeshParent struct {
	Namespace string `json:"namespace"`
	Service   string `json:"service"`
	Port      uint16 `json:"port"`
	PortName  string `json:"portName,omitempty"`
	// Origin says whose the route is.
	Origin MeshOrigin `json:"origin"`
	// Clients is the namespace of those for whom a consumer's route is; what others get
	// does not hold for them. Empty is all that have no routes of their own.
	Clients string `json:"clients,omitempty"`
}

// MeshOrigin is where a route of the mesh comes from.
type MeshOrigin string

const (
	// Producer: from the Service's own namespace, for clients of all namespaces.
	Producer MeshOrigin = "Producer"
	// Consumer: from the clients' namespace, for them alone.
	Consumer MeshOrigin = "Consumer"
	// Service: there is no route, and clients reach the Service's workloads.
	Service MeshOrigin = "Service"
)

// MeshRows lists the matches of routes on Services, by Service, port and clients, and
// then by precedence. Namespace and service, if not empty, are the only ones listed.
func MeshRows(mesh *ir.Mesh, namespace, service string) []Row {
	t := &Table{streams: make(map[string]*ir.StreamRoute, len(mesh.Streams))}
	routes := make(map[string]*ir.Route, len(mesh.Routes))
	for _, r := range mesh.Routes {
		routes[r.Name] = r
	}
	for _, r := range mesh.Streams {
		t.streams[r.Name] = r
	}
	rows := []Row{}
	for _, s := range mesh.Services {
		if namespace != "" && s.Namespace != namespace || service != "" && s.Name != service {
			continue
		}
		for _, p := range s.Ports {
			for i := range p.Outbound {
				rows = t.meshRows(rows, routes, s, p, &p.Outbound[i])
			}
		}
	}
	return rows
}

// meshRows adds those for clients of one namespace, or for all others.
func (t *Table) meshRows(rows []Row, routes map[string]*ir.Route, s *ir.MeshService, p *ir.MeshPort, o *ir.MeshOutbound) []Row {
	from := len(rows)
	l := &ir.Listener{Protocol: o.Protocol}
	for _, a := range o.Routes {
		if r := routes[a.Route]; r != nil {
			rows = appendRows(rows, 0, l, &ir.Section{Protocol: ir.HTTP}, "", r)
		}
	}
	protocol := o.Protocol
	if protocol != ir.TLS {
		protocol = ir.TCP
	}
	for _, a := range o.Streams {
		rows = t.streamRows(rows, 0, l, &ir.Section{Protocol: protocol, Passthrough: true, Streams: []ir.Attachment{a}}, "")
	}
	of := rows[from:]
	for i := range of {
		row := &of[i]
		row.Mesh = &MeshParent{Namespace: s.Namespace, Service: s.Name, Port: p.Port, PortName: p.Name, Origin: Producer, Clients: o.Namespace}
		switch {
		case strings.HasPrefix(row.Route, "Service/"):
			row.Mesh.Origin = Service
		case o.Namespace != "":
			row.Mesh.Origin = Consumer
		}
	}
	slices.SortStableFunc(of, func(a, b Row) int {
		return cmp.Or(compareMatch(a.source, b.source), cmp.Compare(a.age, b.age), cmp.Compare(a.Route, b.Route))
	})
	return rows
}

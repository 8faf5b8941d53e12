package replay

import (
	"net"
	"strconv"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/telemetry/tap"
)

// Side is a configuration on which requests are decided.
type Side struct {
	// Edge decides what comes to Gateways.
	Edge *dryrun.Table
	// Mesh decides what passes proxies of workloads; nil where the configuration has
	// nothing of a mesh.
	Mesh Mesh
}

// Mesh is what a configuration makes of traffic between services, as the proxies of a
// mesh have it.
type Mesh interface {
	// Port has what the proxies of clients, of a namespace, and of workloads have for a
	// port of a Service; nil is that there is no such port.
	Port(clients string, asked tap.Asked) (*Port, error)
	// Host finds out for which port of which Service a host stands in a namespace; false
	// is that it stands for none.
	Host(clients, host string) (tap.Asked, bool)
	// Egress is what becomes of what clients of a namespace send to no Service.
	Egress(clients string) ir.Egress
}

// Port is one of a Service.
type Port struct {
	// Client and Server are the tables of both proxies, and Listener is what their one
	// listener is called.
	Client, Server *dryrun.Table
	Listener       string
	// Plaintext: the server's proxy lets in who is not of the mesh.
	Plaintext bool
}

// place is where a recorded request is decided: by a table, or without one, whose outcome
// is there then.
type place struct {
	table    *dryrun.Table
	listener string
	// asked is set at proxies of the mesh.
	asked   string
	outcome *outcome
	assumed []string
}

// place finds where a request is decided. Undecided says why it is not.
func (s *Side) place(e *tap.Event) (p place, undecided string) {
	switch {
	case e.Direction == tap.Edge:
		return place{table: s.Edge, listener: e.Listener}, ""
	case s.Mesh == nil:
		return p, "it passed a proxy of a mesh, and the files have nothing of one"
	case e.Direction == tap.Inbound:
		return s.inbound(e)
	case e.Direction == tap.Outbound:
		return s.outbound(e)
	}
	return p, "it is not known where it has passed"
}

// taken is assumed where a Service that a file had is in none any more.
const taken = "is in no file any more, and is taken to be gone; workloads that register make a Service of that name by themselves"

const unwritten = "it was for a Service that workloads have made, or for a port of one, and the recording does not have it: they registered after it began, or a file has the Service now without this port"

func (s *Side) inbound(e *tap.Event) (p place, undecided string) {
	asked := e.Record.Asked
	if asked == nil {
		return p, "it is not recorded for which Service it was"
	}
	port, err := s.Mesh.Port("", *asked)
	switch {
	case err != nil:
		return p, err.Error()
	case port == nil && e.Record.Registered:
		return p, unwritten
	case port == nil:
		p.asked, p.outcome = none, &outcome{asked: none, early: true, result: "no such Service"}
		p.assumed = []string{"the Service " + name(*asked) + " " + taken}
		return p, ""
	}
	p = place{table: port.Server, listener: port.Listener, asked: name(*asked)}
	if e.Source.Identity == "" && !port.Plaintext {
		p.outcome = &outcome{asked: p.asked, early: true, result: refusal(e, 403, filter.MeshTLSRequired)}
	}
	return p, ""
}

func (s *Side) outbound(e *tap.Event) (p place, undecided string) {
	clients := namespaceOf(e)
	if clients == "" {
		return p, "it is not recorded which workload has sent it"
	}
	if asked := e.Record.Asked; asked != nil {
		port, err := s.Mesh.Port(clients, *asked)
		if err != nil {
			return p, err.Error()
		}
		switch {
		case port == nil && e.Record.Registered:
			return p, unwritten
		case port != nil:
			return place{table: port.Client, listener: port.Listener, asked: name(*asked)}, ""
		}
		p.assumed = []string{"the Service " + name(*asked) + " " + taken}
	} else if e.Type == tap.Exchange {
		if found, is := s.Mesh.Host(clients, e.Record.Host); is {
			port, err := s.Mesh.Port(clients, found)
			if err != nil {
				return p, err.Error()
			}
			return place{table: port.Client, listener: port.Listener, asked: name(found)}, ""
		}
	}
	p.asked, p.outcome = none, &outcome{asked: none, early: true, result: refusal(e, 502, filter.EgressDenied)}
	if s.Mesh.Egress(clients) == ir.EgressAllow {
		p.outcome = &outcome{asked: none, early: true, result: forward, backends: []backend{outside()}}
	}
	return p, ""
}

// none is what is asked for where it is no Service, and outside where that goes.
const none = "no Service"

func outside() backend { return backend{cluster: outsideName, name: outsideName, percent: 100} }

const outsideName = "where it leads, outside of the mesh"

func name(a tap.Asked) string {
	return a.Namespace + "/" + a.Service + ":" + strconv.Itoa(int(a.Port))
}

// namespaceOf is that of the workload that has sent a request.
func namespaceOf(e *tap.Event) string {
	if w, _, found := strings.Cut(e.Record.Workload, "/"); found {
		return w
	}
	return e.Source.Namespace
}

// refusal is a result; connections have no status.
func refusal(e *tap.Event, status int, why filter.Reason) string {
	if e.Type == tap.Stream {
		status = 0
	}
	return result(status, why.String())
}

// url is what is asked for, in the form that dryrun has for it.
func url(e *tap.Event) string {
	host := e.Record.Host
	if e.Type == tap.Stream {
		scheme := strings.ToLower(e.Protocol)
		if e.Direction != tap.Edge {
			scheme = "tcp" // where the TLS of applications passes as bytes do
		}
		if host == "" {
			host = "localhost"
		}
		return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(int(max(e.Destination.Port, 1))))
	}
	u := e.Scheme + "://" + host + e.Record.Path
	if e.Record.Query != "" {
		u += "?" + e.Record.Query
	}
	return u
}

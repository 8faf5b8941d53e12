package view

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/hostname"
)

// Imagined is what becomes of what a client in the mesh sends to a host, without any
// proxy being asked.
type Imagined struct {
	// Service is nil where the host is none of the mesh: Egress says what becomes of
	// that then.
	Service *ir.MeshService
	Port    *ir.MeshPort
	Egress  ir.Egress
	// Client and Server are the configurations of the client's proxy and of that of a
	// workload, with one listener each, as far as the port goes.
	Client, Server *ir.Config
}

// Imagination answers what becomes of traffic between services under a configuration. It
// may be used by one goroutine at a time.
type Imagination struct{ c *content }

// NewImagination makes one. Neither is changed.
func NewImagination(cfg *ir.Config, mesh *ir.Mesh) *Imagination {
	return &Imagination{newContent(cfg, mesh)}
}

// Imagine is Imagination.Host for one question.
func Imagine(cfg *ir.Config, mesh *ir.Mesh, namespace, host string) (*Imagined, error) {
	return NewImagination(cfg, mesh).Host(namespace, host)
}

// Host finds what clients of a namespace mean by a host, with or without a port,
// and what becomes of it. A host is the name of a service, or one of its addresses.
func (i *Imagination) Host(namespace, host string) (*Imagined, error) {
	name, number := host, 0
	if h, p, err := net.SplitHostPort(host); err == nil {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("%q is not a port", p)
		}
		name, number = h, int(n)
	}
	s := i.c.named(name, namespace)
	if s == nil {
		return &Imagined{Egress: i.c.mesh.EgressFor(namespace)}, nil
	}
	var port *ir.MeshPort
	switch only := onlyRequests(s); {
	case number != 0 && s.Port(uint16(number)) != nil:
		port = s.Port(uint16(number))
	case number == 0 && s.Port(80) != nil:
		port = s.Port(80)
	case (number == 0 || number == 80) && only != nil:
		port = only // who names no port means the only one
	default:
		var ports []string
		for _, p := range s.Ports {
			ports = append(ports, strconv.Itoa(int(p.Port)))
		}
		what := "takes requests on several ports"
		if number != 0 {
			what = fmt.Sprintf("has no port %d", number)
		}
		return nil, fmt.Errorf("the Service %s/%s %s: its ports are %s", s.Namespace, s.Name, what, strings.Join(ports, ", "))
	}
	return i.port(namespace, s, port), nil
}

// Port is Host for a port of a Service that is known; nil is that there is none.
func (i *Imagination) Port(clients, namespace, service string, port uint16) *Imagined {
	s := i.c.services[namespace+"/"+service]
	if s == nil || s.Port(port) == nil {
		return nil
	}
	return i.port(clients, s, s.Port(port))
}

func (i *Imagination) port(clients string, s *ir.MeshService, p *ir.MeshPort) *Imagined {
	c, mesh := i.c, i.c.mesh
	o, in := p.OutboundFor(clients), &p.Inbound
	return &Imagined{
		Service: s, Port: p, Egress: mesh.EgressFor(clients),
		Client: imagined(c.outboundBag(s, p, o), s, p, o.Protocol, mesh.Outbound, o.Routes, o.Streams),
		Server: imagined(c.inboundBag(s, p), s, p, p.Protocol, mesh.Inbound, in.Routes, in.Streams),
	}
}

// named is the service that a client of a namespace means; nil is none.
func (c *content) named(host, namespace string) *ir.MeshService {
	if a, err := netip.ParseAddr(host); err == nil {
		for _, s := range c.mesh.Services {
			for _, own := range s.Addresses {
				if own == a {
					return s
				}
			}
		}
		return nil
	}
	ns, name, ok := hostname.Service(host, namespace, c.mesh.ClusterDomain)
	if !ok {
		return nil
	}
	return c.services[ns+"/"+name]
}

// imagined is a configuration with one listener for one port.
func imagined(b *bag, s *ir.MeshService, p *ir.MeshPort, protocol ir.Protocol, client ir.ClientPolicy, routes, streams []ir.Attachment) *ir.Config {
	all := newBag()
	all.add(b)
	cfg := all.sort()
	l := &ir.Listener{Name: sectionName(s, p), Port: p.Port, Protocol: spoken(protocol), Client: client}
	section := func(protocol ir.Protocol) *ir.Section {
		return &ir.Section{Name: sectionName(s, p), Protocol: protocol, ServicePort: p.Port, Ref: s.Ref}
	}
	if len(routes) > 0 {
		x := section(ir.HTTP)
		x.Routes = routes
		l.Sections = append(l.Sections, x)
	}
	if len(streams) > 0 {
		x := section(ir.TCP)
		x.Streams = streams
		l.Sections = append(l.Sections, x)
	}
	cfg.Listeners = []*ir.Listener{l}
	return cfg
}

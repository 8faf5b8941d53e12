package member

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/hostname"
	"github.com/gridway/gridway/internal/mesh/intercept"
	"github.com/gridway/gridway/internal/mesh/nameserver"
	"github.com/gridway/gridway/internal/mesh/supervise"
)

// Ports that the kernel sends an application's connections and questions to, unless
// somebody has them.
const (
	outboundPort = 15001
	inboundPort  = 15006
	dnsPort      = 15053
)

// capture is what makes an application use the mesh without knowing of it.
type capture struct {
	cgroup *intercept.Cgroup
	names  *nameserver.Server
	rules  *intercept.Rules
}

// locals are the addresses at which captured connections come.
func locals() []netip.Addr {
	out := []netip.Addr{netip.MustParseAddr(loopback)}
	if l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp6", "[::1]:0"); err == nil {
		_ = l.Close()
		out = append(out, netip.IPv6Loopback())
	}
	return out
}

// sockets are a port at some addresses, as the control plane is told.
func sockets(port uint16, at []netip.Addr) string {
	var out []string
	for _, a := range at {
		out = append(out, netip.AddrPortFrom(a, port).String())
	}
	return strings.Join(out, ",")
}

// everywhere are all addresses of the families that locals are of: what others open is
// redirected to the address that it came to.
func everywhere() []netip.Addr {
	out := []netip.Addr{netip.IPv4Unspecified()}
	if len(locals()) > 1 {
		out = append(out, netip.IPv6Unspecified())
	}
	return out
}

// guarded are the program's ports of which others are kept off, or let in by the member.
func (o *Options) guarded() (out []uint16) {
	for _, p := range o.Ports {
		if !slices.Contains(o.Except.Ports, p.Number) && !slices.Contains(out, p.Number) {
			out = append(out, p.Number)
		}
	}
	return out
}

// rules are what the kernel is told.
func (m *member) rules(from intercept.Source) intercept.Config {
	except := &m.opt.Except
	c := intercept.Config{
		ID: fmt.Sprintf("p%d", m.ports.Mesh), From: from, Outbound: m.ports.Outbound, DNS: m.ports.DNS,
		Except: intercept.Except{Networks: except.Networks, Ports: except.OutboundPorts},
	}
	for _, port := range m.opt.guarded() {
		c.Inbound = append(c.Inbound, intercept.Redirect{From: port, To: m.ports.Inbound})
	}
	return c
}

// capture begins to take what the program opens to others, and what others open to it,
// and puts the program where it can be told from others.
func (m *member) capture(app *supervise.App) (c *capture, err error) {
	c = &capture{}
	defer func() {
		if err != nil {
			c.close()
			err = fmt.Errorf("--intercept: %w", err)
		}
	}()
	if c.cgroup, err = intercept.NewCgroup(); err != nil {
		return nil, err
	}
	var at []netip.AddrPort
	for _, a := range locals() {
		at = append(at, netip.AddrPortFrom(a, m.ports.DNS))
	}
	if c.names, err = nameserver.Start(nameserver.Options{Addresses: at, Services: names{m: m, namespace: m.opt.Namespace, port: m.ports.Outbound}, Asked: m.asked(m.opt.Namespace, m.opt.Service), Log: m.log}); err != nil {
		return nil, err
	}
	if c.rules, err = intercept.Install(m.rules(intercept.FromCgroup(c.cgroup))); err != nil {
		return nil, err
	}
	app.Cgroup = c.cgroup.Folder()
	return c, nil
}

// close is called when the program has ended.
func (c *capture) close() {
	if c == nil {
		return
	}
	if c.rules != nil {
		_ = c.rules.Close() // the kernel removes them with this process anyway
	}
	if c.names != nil {
		c.names.Close()
	}
	if c.cgroup != nil {
		_ = c.cgroup.Close() // the next sidecar removes what is left
	}
}

// names answers the program's questions for services.
type names struct {
	m *member
	// namespace is that of the program, and port where what it opens is taken.
	namespace string
	port      uint16
}

// Lookup implements nameserver.Services. A name that is not known and cannot be
// learned is asked of the host's resolvers: names outside of the mesh go on working
// without a control plane.
func (n names) Lookup(_ context.Context, name string) (nameserver.Service, bool, error) {
	namespace, service, ok := hostname.Service(name, n.namespace, n.m.plane.clusterDomain())
	if !ok {
		return nameserver.Service{}, false, nil
	}
	if s, ok := n.m.plane.service(name, n.port); ok {
		return s, true, nil
	}
	if !n.m.learnService(namespace, service) {
		return nameserver.Service{}, false, nil
	}
	s, ok := n.m.plane.service(name, n.port)
	return s, ok, nil
}

// captures tells whether a port takes captured connections.
func (p *plane) captures(port uint16) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.config != nil && slices.ContainsFunc(p.config.Listeners, func(l *ir.Listener) bool { return l.Captured && l.Port == port })
}

// service is what connections to a host belong to that are captured at a port.
func (p *plane) service(host string, port uint16) (s nameserver.Service, found bool) {
	p.mu.Lock()
	cfg := p.config
	p.mu.Unlock()
	if cfg == nil {
		return s, false
	}
	for _, l := range cfg.Listeners {
		if !l.Captured || l.Port != port || l.Inbound {
			continue
		}
		for _, section := range l.Sections {
			if !calls(section, host) {
				continue
			}
			found = true
			for _, to := range section.Destinations {
				if !slices.Contains(s.Addresses, to.Addr()) {
					s.Addresses = append(s.Addresses, to.Addr())
				}
			}
		}
		if found {
			return s, true // the others have the same sections
		}
	}
	return s, false
}

// calls tells whether a section is what a host, without a port, means.
func calls(s *ir.Section, host string) bool {
	return slices.ContainsFunc(s.Authorities, func(a string) bool {
		name, _, _ := strings.Cut(a, ":")
		return name == host
	})
}

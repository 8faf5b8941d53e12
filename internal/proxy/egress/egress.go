// Package egress reaches what is outside of the configuration, for outbound
// listeners that let applications go there: connections that were captured, on to
// where they were going, and requests and tunnels of those who use the listener as
// an HTTP proxy. It owns no goroutines. Packages listen and pipeline ask it, and
// package proxy makes it.
package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// Bounds of a way out.
const (
	connectTimeout = 10 * time.Second
	lookupTimeout  = 5 * time.Second
	// maxTried is how many addresses of a name are tried.
	maxTried = 4
)

// ErrLoop is that a connection would come back to the listener that it came from.
var ErrLoop = errors.New("the connection leads back to this proxy")

// Lookup finds the addresses of a host name.
type Lookup func(ctx context.Context, host string) ([]netip.Addr, error)

// Options of a Gate.
type Options struct {
	Loops     *loop.Group
	Upstreams *upstream.Set
	// Lookup is nil for the resolvers of this host.
	Lookup Lookup
	// Mark is that of sockets that are opened; 0 is none.
	Mark uint32
}

// Gate is the way out of a proxy.
type Gate struct {
	opts     Options
	clusters clusters
	circuits circuits
}

// New makes a gate.
func New(o Options) *Gate {
	if o.Lookup == nil {
		r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			d := net.Dialer{Control: netx.MarkControl(o.Mark)}
			return d.DialContext(ctx, network, address)
		}}
		o.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) { return r.LookupNetIP(ctx, "ip", host) }
	}
	g := &Gate{opts: o}
	g.clusters.init(g)
	return g
}

// Client is who wants to go out.
type Client struct {
	// From and At are the ends of its connection to this proxy.
	From, At netip.AddrPort
	// Gone tells whether it has gone meanwhile.
	Gone func() bool
}

// Over is the client of a connection.
func Over(c *netx.Conn) Client {
	return Client{From: c.RemoteAddrPort(), At: c.LocalAddrPort(), Gone: c.Broken}
}

// Pass connects a captured connection on to where it was going. Leave is called
// when both are closed. The task, which the connection belongs to, is set aside
// meanwhile.
func (g *Gate) Pass(t *loop.Task, down Client, to netip.AddrPort) (up *netx.Conn, leave func(), err error) {
	from := down.From
	if !g.circuits.enter(from, accepted) {
		return nil, nil, ErrLoop
	}
	up, err = netx.Dial(context.Background(), to.String(), netx.DialOptions{
		By: netx.After(connectTimeout), Group: g.opts.Loops, Task: t, Gone: down.Gone, Mark: g.opts.Mark,
	})
	if err != nil {
		g.circuits.leave(from, accepted)
		return nil, nil, err
	}
	local := up.LocalAddrPort()
	if !g.circuits.enter(local, dialed) {
		g.circuits.leave(from, accepted)
		_ = up.Abort()
		return nil, nil, ErrLoop
	}
	return up, func() {
		g.circuits.leave(from, accepted)
		g.circuits.leave(local, dialed)
	}, nil
}

// Tunnel connects to "HOST:PORT", for a CONNECT.
func (g *Gate) Tunnel(t *loop.Task, down Client, authority string) (up *netx.Conn, leave func(), err error) {
	t.Detach() // looking up blocks
	addresses, err := g.resolve(authority)
	if err != nil {
		return nil, nil, err
	}
	for _, to := range addresses[:min(len(addresses), maxTried)] {
		if to == down.At {
			return nil, nil, ErrLoop
		}
		if up, leave, err = g.Pass(t, down, to); err == nil {
			return up, leave, nil
		}
	}
	return nil, nil, err
}

// resolve finds the addresses of "HOST:PORT", of which there is one at least.
func (g *Gate) resolve(authority string) ([]netip.AddrPort, error) {
	host, digits, err := net.SplitHostPort(authority)
	if err != nil {
		return nil, fmt.Errorf("%q is not HOST:PORT", authority)
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("%q has no port from 1 to 65535", authority)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(ip.Unmap(), uint16(port))}, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	ips, err := g.opts.Lookup(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("look up %q: %w", host, err)
	}
	addresses := make([]netip.AddrPort, 0, len(ips))
	for _, ip := range ips {
		addresses = append(addresses, netip.AddrPortFrom(ip.Unmap(), uint16(port)))
	}
	if len(addresses) == 0 {
		return nil, fmt.Errorf("look up %q: it has no address", host)
	}
	return addresses, nil
}

// side is an end of a connection that goes through.
type side bool

const (
	accepted side = false
	dialed   side = true
)

// circuits finds connections that a gate has made and that come to it again,
// captured, because the rules of the kernel do not except the proxy itself: the
// local address of what was dialled is the remote one of what was accepted. Which
// of the two is seen first is chance.
type circuits struct {
	mu   sync.Mutex
	ends map[netip.AddrPort][2]bool // guarded by mu
}

// enter notes an end of a connection; false is that it is the other side's, too.
func (c *circuits) enter(at netip.AddrPort, s side) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ends == nil {
		c.ends = map[netip.AddrPort][2]bool{}
	}
	known := c.ends[at]
	mine, other := 0, 1
	if s == dialed {
		mine, other = 1, 0
	}
	if known[other] {
		return false
	}
	known[mine] = true
	c.ends[at] = known
	return true
}

func (c *circuits) leave(at netip.AddrPort, s side) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.ends[at]
	if s == dialed {
		known[1] = false
	} else {
		known[0] = false
	}
	if known == [2]bool{} {
		delete(c.ends, at)
		return
	}
	c.ends[at] = known
}

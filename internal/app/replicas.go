package app

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/fleet"
	"github.com/gridway/gridway/internal/mesh/question"
	"github.com/gridway/gridway/internal/mesh/replica"
	"github.com/gridway/gridway/internal/mesh/signals"
	"github.com/gridway/gridway/internal/observe"
)

// towardsStore bounds the search for the own address.
const towardsStore = 2 * time.Second

// reachedAt is where other control planes of the state store reach this one: what was
// configured, or the host of --mesh or, if that is all of them, the own address on the way
// to the state store. The port is that of the socket, unless another one was configured.
func (g *Gateway) reachedAt(ctx context.Context, l net.Listener) (string, error) {
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return "", err
	}
	host := g.opt.Mesh.Address
	if h, p, err := net.SplitHostPort(host); err == nil {
		host, port = h, p
	}
	if host == "" {
		if host, _, err = net.SplitHostPort(g.opt.Mesh.Listen); err != nil {
			return "", err
		}
	}
	address := net.JoinHostPort(host, port)
	if g.opt.Mesh.Address != "" || replica.CheckAddress(address) == nil {
		return address, replica.CheckAddress(address)
	}
	store := g.opt.State.Host()
	if store == "" { // others that have it are on this machine
		return net.JoinHostPort("127.0.0.1", port), nil
	}
	ctx, cancel := context.WithTimeout(ctx, towardsStore)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "udp", store) // which sends nothing
	if err != nil {
		return "", fmt.Errorf("the own address on the way to the state store: %w", err)
	}
	defer c.Close()
	return net.JoinHostPort(c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap().String(), port), nil
}

// openReplicas has other control planes reached, and this one say where it is.
func (c *control) openReplicas(ctx context.Context, g *Gateway) {
	var err error
	if c.address, err = g.reachedAt(ctx, c.listener); err != nil {
		g.log.Warn("other control planes cannot ask this one's proxies: give its address with --mesh-address", "error", err)
		c.address = ""
	}
	c.dialer = replica.NewDialer(replica.DialerOptions{TLS: c.authority.Keyring().ControlTLS(g.opt.Mesh.TrustDomain), Peers: c.peers})
	c.follower = replica.NewFollower(replica.FollowerOptions{Dialer: c.dialer, Take: func(b *signals.Batch) { g.table.Add(b) }, Restored: g.history != nil, Log: g.log})
}

// peers are the other control planes of the state store, with what they have told of
// their proxies, less those that have gone to another one since.
func (c *control) peers() (out []replica.Peer) {
	others, since := c.shared.Others(), map[string]time.Time{}
	newest := func(list []*distrib.ProxyStatus) {
		for _, x := range list {
			if x.State != distrib.StateGone && x.Since.After(since[x.Name]) {
				since[x.Name] = x.Since
			}
		}
	}
	newest(c.distrib.Proxies())
	for _, r := range others {
		newest(r.Proxies)
	}
	for _, r := range others {
		p := replica.Peer{ID: r.Replica, Control: cmp.Or(r.Control, "without a name, "+strconv.Quote(r.Replica)), Address: r.Address}
		if r.Own != nil {
			p.Proxies = append(p.Proxies, question.Proxy{Name: r.Own.Name, Identity: r.Own.Identity})
		}
		for _, x := range r.Proxies {
			if x.State != distrib.StateGone && !since[x.Name].After(x.Since) {
				p.Proxies = append(p.Proxies, question.Proxy{Name: x.Name, Identity: x.Identity})
			}
		}
		out = append(out, p)
	}
	return out
}

// replicas are the other control planes, as those who ask their proxies.
func (c *control) replicas() (out []observe.Replica) {
	for _, p := range c.peers() {
		out = append(out, observe.Replica{
			ID: p.ID, Control: p.Control, Proxies: p.Proxies,
			Ask: func(ctx context.Context, q question.Ask) error { return c.dialer.Ask(ctx, p, q) },
		})
	}
	return out
}

// ownReport adds to a report of the fleet who makes it.
func (g *Gateway) ownReport(r *fleet.Report) *fleet.Report {
	r.Address = g.control.address
	if !g.opt.ControlOnly {
		r.Own = &fleet.Own{Name: processName(), Identity: g.control.edge.String()}
	}
	return r
}

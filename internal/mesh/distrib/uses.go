package distrib

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// ErrUnknownService is that a service does not exist, as far as the control plane
// knows.
var ErrUnknownService = errors.New("there is no such service")

// use is a service that the proxy uses.
type use struct {
	always bool
	used   atomic.Int64 // seconds since 1970
	// sequence is of the Subscribe that names it.
	sequence uint64
	// answered is closed when a configuration has come that was made for it.
	answered chan struct{}
	// done and err are guarded by the client's lock.
	done bool
	err  error
}

// outgoing is what is to be said to the control plane.
type outgoing struct {
	hello       bool
	subscribe   []string
	unsubscribe []string
	health      map[healthKey]bool
	answers     []*meshpb.FromProxy
}

type healthKey struct{ namespace, service, name string }

// Learn has the proxy get what it needs for a service, "namespace/name", and returns
// when that is served: at once if it is already. The service is kept while Learn or
// Touch is called for it now and then. Without a control plane it waits for one as
// long as the context lasts.
func (c *Client) Learn(ctx context.Context, service string) error {
	if err := validServices([]string{service}); err != nil {
		return err
	}
	c.mu.Lock()
	u := c.uses[service]
	if u == nil {
		if len(c.uses) >= maxServices {
			c.mu.Unlock()
			return fmt.Errorf("the proxy uses %d services already, as many as it can", maxServices)
		}
		c.forgetUnknown()
		c.sequence++
		u = &use{sequence: c.sequence, answered: make(chan struct{})}
		c.uses[service] = u
		c.todo.subscribe = append(c.todo.subscribe, service)
		c.todo.unsubscribe = slices.DeleteFunc(c.todo.unsubscribe, func(s string) bool { return s == service })
		c.kick()
	}
	u.used.Store(time.Now().Unix())
	c.mu.Unlock()
	select {
	case <-u.answered:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return u.err
}

// maxUnknown bounds the names that are remembered as those of no service, so that nobody
// is asked for them again: a program may ask for any.
const maxUnknown = 512

// forgetUnknown makes room for one more of these: that which nobody asked for for the
// longest time goes. c.mu is held.
func (c *Client) forgetUnknown() {
	if len(c.uses) < maxUnknown {
		return
	}
	n, oldest := 0, ""
	for name, u := range c.uses {
		if u.always || !u.done || !errors.Is(u.err, ErrUnknownService) {
			continue
		}
		if n++; oldest == "" || u.used.Load() < c.uses[oldest].used.Load() {
			oldest = name
		}
	}
	if n >= maxUnknown {
		delete(c.uses, oldest)
		c.todo.unsubscribe = append(c.todo.unsubscribe, oldest)
	}
}

// Touch says that a service is used, if it is known at all.
func (c *Client) Touch(service string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if u := c.uses[service]; u != nil {
		u.used.Store(time.Now().Unix())
	}
}

// answer notes which services a configuration was made for, and why it is not served.
func (c *Client) answer(sequence uint64, unknown []string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, u := range c.uses {
		if u.sequence > sequence {
			continue
		}
		u.err = err
		if slices.Contains(unknown, name) {
			u.err = ErrUnknownService
		}
		if !u.done {
			u.done = true
			close(u.answered)
		}
	}
}

// forgetUnused gives up services that nobody has used for long.
func (c *Client) forgetUnused(ctx context.Context) {
	tick := time.NewTicker(max(c.cfg.Forget/16, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		before := time.Now().Add(-c.cfg.Forget).Unix()
		c.mu.Lock()
		for name, u := range c.uses {
			if !u.always && u.done && u.used.Load() < before {
				delete(c.uses, name)
				c.todo.unsubscribe = append(c.todo.unsubscribe, name)
			}
		}
		if len(c.todo.unsubscribe) > 0 {
			c.kick()
		}
		c.mu.Unlock()
	}
}

// SetHealth says how a workload of the proxy is.
func (c *Client) SetHealth(namespace, service, name string, healthy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.proxy.Workloads = slices.Clone(c.proxy.Workloads)
	for i := range c.proxy.Workloads {
		w := &c.proxy.Workloads[i]
		if w.Namespace == namespace && w.Service == service && w.Name == name && w.Healthy != healthy {
			w.Healthy = healthy
			if c.todo.health == nil {
				c.todo.health = map[healthKey]bool{}
			}
			c.todo.health[healthKey{namespace, service, name}] = healthy
			c.kick()
		}
	}
}

// SetProxy changes what the proxy is: its workloads, listeners and labels. Its name
// and its role stay.
func (c *Client) SetProxy(p Proxy) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p.Name, p.Role = c.proxy.Name, c.proxy.Role
	if _, err := proxyOf(helloOf(&p, Revision{})); err != nil {
		return err
	}
	c.proxy = p
	c.todo.hello = true
	c.kick()
	return nil
}

// kick wakes who sends; the caller has the lock, or nothing to lose.
func (c *Client) kick() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

package handover

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// give hands over to a taker that has said hello. The caller has claimed the turn.
func (g *Giver) give(c *channel, hello *message, child bool) error {
	g.opt.Log.Info("an upgrade begins", "successor", c.pid, "version", hello.Version)
	taken, done, err := g.agree(c)
	defer done()
	if err != nil {
		_ = c.send(&message{Kind: kindRefuse, Error: err.Error()}) // whoever is still there must not serve
		return err
	}
	_ = c.send(&message{Kind: kindLeft, Connections: g.opt.Connections()}) // its end is not ours
	close(g.yielded)
	g.opt.Log.Info("the successor serves", "successor", c.pid, "version", hello.Version)
	g.foreign.Store(slices.Contains(taken, SocketID{RoleControl, g.opt.Path}))
	if g.control != nil {
		_ = g.control.Close()
	}
	g.opt.Yield(Yielded{PID: c.pid, Version: hello.Version, Taken: taken, Child: child})
	close(g.told)
	return nil
}

// agree goes through the steps of a handover up to the last. Done is to be called
// when its outcome has been told.
func (g *Giver) agree(c *channel) (taken []SocketID, done func(), err error) {
	done = func() {}
	offer, err := g.opt.Offer()
	if err != nil {
		return nil, done, err
	}
	if offer.Done != nil {
		done = offer.Done
	}
	if err = g.setWith(c); err == nil {
		err = g.offer(c, offer)
	}
	if err == nil {
		err = awaitReady(c, g.opt.Patience)
	}
	// From here on Close does not end the handover.
	if closed := g.setWith(nil); closed != nil {
		err = closed
	}
	if err == nil {
		err = c.send(&message{Kind: kindGo})
	}
	if err == nil {
		taken, err = awaitServing(c, min(goTimeout, g.opt.Patience))
	}
	return taken, done, err
}

// setWith notes who Close has to interrupt; it returns why there must be nobody.
func (g *Giver) setWith(c *channel) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.with = c
	return g.closed
}

// offer sends the sockets.
func (g *Giver) offer(c *channel, o *Offer) error {
	all := o.Sockets
	if g.control != nil {
		all = append(all[:len(all):len(all)], Socket{SocketID{RoleControl, g.opt.Path}, g.control})
	}
	staples, keySets := fitting(o.Staples), fitting(o.KeySets)
	for first := true; first || len(all)+len(staples)+len(keySets) > 0; first = false {
		n := min(len(all), perPacket)
		m := &message{Kind: kindOffer, Version: g.opt.Version, SessionKey: o.SessionKey, TicketKeys: o.TicketKeys}
		switch {
		case n > 0:
		case len(staples) > 0:
			m.Staples, staples = someOf(staples)
		default:
			m.KeySets, keySets = someOf(keySets)
		}
		m.More = n < len(all) || len(staples)+len(keySets) > 0
		if err := sendSockets(c, m, all[:n]); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

// maxStaple bounds what one message has of OCSP responses, or of keys, in bytes
// before they are encoded.
const maxStaple = 32 << 10

// fitting leaves out what no message could have.
func fitting(all [][]byte) [][]byte {
	return slices.DeleteFunc(slices.Clone(all), func(b []byte) bool { return len(b) > maxStaple })
}

// someOf returns as many as a message takes, and the rest.
func someOf(staples [][]byte) (some, rest [][]byte) {
	size := 0
	for i, b := range staples {
		if size += len(b); size > maxStaple {
			return staples[:i], staples[i:]
		}
	}
	return staples, nil
}

func sendSockets(c *channel, m *message, sockets []Socket) error {
	var fds []int
	defer func() { closeAll(fds) }()
	for _, s := range sockets {
		fd, err := duplicate(s.Conn)
		if err != nil {
			return fmt.Errorf("%s %s: %w", s.Role, s.Name, err)
		}
		fds = append(fds, fd)
		m.Sockets = append(m.Sockets, s.SocketID)
	}
	return c.send(m, fds...)
}

func awaitReady(c *channel, within time.Duration) error {
	m, _, err := c.receive(within)
	switch {
	case over(err):
		return errEnded
	case err != nil:
		return fmt.Errorf("the new process was not ready in time: %w", err)
	case m.Kind == kindFailed:
		return errors.New(m.Error)
	case m.Kind != kindReady:
		return fmt.Errorf("the new process has sent %q", m.Kind)
	}
	return nil
}

// errEnded: all that is known is that the connection is closed.
var errEnded = errors.New("the new process ended before it was ready")

func awaitServing(c *channel, within time.Duration) ([]SocketID, error) {
	var taken []SocketID
	for {
		m, _, err := c.receive(within)
		switch {
		case over(err):
			return nil, errEnded
		case err != nil:
			return nil, fmt.Errorf("the new process has not begun to serve: %w", err)
		case m.Kind == kindFailed:
			return nil, errors.New(m.Error)
		case m.Kind != kindServing:
			return nil, fmt.Errorf("the new process has sent %q", m.Kind)
		}
		taken = append(taken, m.Sockets...)
		if !m.More {
			return taken, nil
		}
	}
}

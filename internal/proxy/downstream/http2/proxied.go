package http2

import (
	"net/netip"

	"github.com/gridway/gridway/internal/proxy/filter"
	l4 "github.com/gridway/gridway/internal/proxy/stream"
	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/loop"
)

// Proxied is a CONNECT (RFC 9113 §8.5) of a client that uses an outbound listener as its
// HTTP proxy. Whoever gets it answers it once, by Accept, Refuse or Decline.
type Proxied struct {
	connected
	accepted bool
	early    []byte // was looked at and is to be read again
}

// isProxied tells whether the request is one. Extended CONNECT is not: it asks for a
// protocol, and not for a way to somewhere else.
func (s *stream) isProxied() bool {
	r := &s.x.Req
	return r.MethodID == httpmsg.MethodConnect && len(r.Upgrade) == 0 && s.bad == nil &&
		s.x.Listener.Outbound != nil && s.c.proxy != nil
}

func (s *stream) proxied() {
	s.c.proxy(s.task, &Proxied{connected: connected{(*tunnel)(s)}})
}

// Authority is the "HOST:PORT" that the client wants to be connected to.
func (p *Proxied) Authority() string { return string(p.x.Req.Host) }

// Local is the address that the client has reached.
func (p *Proxied) Local() netip.AddrPort { return p.x.LocalAddr }

// Decline answers with a problem document, which the access log has, too. Who was told
// that the way is open gets a reset.
func (p *Proxied) Decline(status int, reason filter.Reason, detail string) {
	if p.accepted {
		p.Cut()
		return
	}
	p.c.p.Refuse(p.x, status, reason, detail)
}

// Accept answers that the way is open. Further calls do nothing.
func (p *Proxied) Accept() error {
	if p.accepted {
		return nil
	}
	p.accepted = true
	return p.connected.Accept()
}

// Refuse implements stream.Tunnel, as do the methods that follow.
func (p *Proxied) Refuse(why filter.Reason) {
	if p.accepted {
		p.Cut()
		return
	}
	p.connected.Refuse(why)
}

// Cut says what a reset of a connection of TCP would (RFC 9113 §8.5).
func (p *Proxied) Cut() { p.cut(h2.ConnectError) }

// Source is nobody else: a program speaks for itself.
func (p *Proxied) Source() netip.AddrPort { return netip.AddrPort{} }

func (p *Proxied) Read() ([]byte, error) {
	if piece := p.early; len(piece) > 0 {
		p.early = nil
		return piece, nil
	}
	return p.connected.Read()
}

// Peek reads until enough says so of what has come, most bytes were read, or it is by, a
// monotonic time; 0 is never. What was read is left to be read again.
func (p *Proxied) Peek(most int, by int64, enough func([]byte) bool) error {
	p.SetReadBy(by)
	defer p.SetReadBy(0)
	for !enough(p.early) && len(p.early) < most {
		piece, err := p.connected.Read()
		p.early = append(p.early, piece...)
		if err != nil {
			enough(p.early)
			return err
		}
	}
	return nil
}

// Proxy opens what clients of an outbound listener ask for, on the task of their stream.
// It returns when the tunnel has ended.
type Proxy func(t *loop.Task, ask *Proxied)

var _ l4.Tunnel = (*Proxied)(nil)

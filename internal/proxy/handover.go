package proxy

import (
	"errors"
	"maps"
	"slices"
	"syscall"
	"time"

	"github.com/gridway/gridway/internal/proxy/listen"
	"github.com/gridway/gridway/internal/proxy/listen/quicsock"
)

// inherit notes the sockets of the process that this one replaces.
func (p *Proxy) inherit(o Options) {
	p.datagrams = maps.Clone(o.InheritedDatagrams)
	pipes := maps.Clone(o.InheritedPipes)
	p.sockets.Inherit(o.Inherited, quicsock.Estates(p.datagrams, pipes))
	for _, stray := range pipes {
		_ = stray.Close()
	}
}

// Begin accepts from every socket, and gives back those of Options.Inherited
// that no listener wants. An error is a *ListenError of each listener that
// Reopen has to try again.
func (p *Proxy) Begin() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped || !p.held {
		return nil
	}
	p.held = false
	p.disown()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(p.listeners)) {
		errs = append(errs, p.begin(name))
	}
	return errors.Join(errs...)
}

// disown gives back what was inherited and no listener wants; the caller holds mu.
func (p *Proxy) disown() {
	p.sockets.Disown()
	for name, c := range p.datagrams {
		_ = c.Close()
		delete(p.datagrams, name)
	}
}

// begin accepts from one socket; the caller holds mu.
func (p *Proxy) begin(name string) error {
	l := p.listeners[name]
	err := l.Start()
	var udp *listen.UDPError
	if err != nil && !errors.As(err, &udp) {
		delete(p.listeners, name)
		p.drain(l)
		return &ListenError{Listener: name, Err: err}
	}
	p.opts.Log.Info("listening", "listener", name, "protocol", l.Current().IR.Protocol)
	return listenErrors(name, err)
}

// Sockets are the open sockets by listener name, for a successor.
func (p *Proxy) Sockets() map[string]syscall.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[string]syscall.Conn, len(p.listeners))
	for name, l := range p.listeners {
		out[name] = l.Socket()
		if l, ok := l.(*listen.Listener); ok {
			maps.Copy(out, l.QUICSockets())
		}
	}
	return out
}

// Tickets are the secrets of TLS session tickets, for a successor.
func (p *Proxy) Tickets() []byte { return p.tickets.Export() }

// Staples are the OCSP responses of certificates that need one, for a successor.
func (p *Proxy) Staples() [][]byte { return p.stapler.Export() }

// KeySets are the keys for tokens that were fetched, for a successor.
func (p *Proxy) KeySets() [][]byte { return p.keys.Export() }

// AwaitsStaples tells whether such a certificate has no response yet, and none
// was refused.
func (p *Proxy) AwaitsStaples() bool { return p.stapler.Pending() }

// Inherited names the listeners whose sockets another process has too.
func (p *Proxy) Inherited() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for name, l := range p.listeners {
		if l.Shared() {
			names = append(names, name)
		}
		if l, ok := l.(*listen.Listener); ok && l.InheritsQUIC() {
			names = append(names, name+quicsock.Suffix)
		}
	}
	slices.Sort(names)
	return names
}

// Own says that the process that the sockets came from has left them.
func (p *Proxy) Own() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.listeners {
		l.Share(false)
	}
}

// Yield says that a successor accepts from the sockets of these names, so that
// Shutdown, which must follow, leaves them to it. Idle connections may stay for
// idleGrace.
func (p *Proxy) Yield(names []string, idleGrace time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, l := range p.listeners {
		l.SetIdleGrace(idleGrace)
		if slices.Contains(names, name) {
			l.Share(true)
		}
		if l, ok := l.(*listen.Listener); ok && slices.Contains(names, name+quicsock.Suffix) {
			l.YieldQUIC()
		}
	}
}

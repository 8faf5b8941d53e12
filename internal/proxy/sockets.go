package proxy

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/datagram"
	"github.com/gridway/gridway/internal/proxy/listen"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/wire/tlsx"
)

// ListenError says that a listener's socket could not be opened. The listener
// stays wanted, and Reopen tries again.
type ListenError struct {
	Listener string
	Err      error
}

func (e *ListenError) Error() string { return e.Err.Error() }

func (e *ListenError) Unwrap() error { return e.Err }

// Reopen tries again to open the sockets that the configuration in service
// wants and that could not be opened.
func (p *Proxy) Reopen(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	snap := p.snap.Load()
	if p.stopped || snap == nil {
		return nil
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(snap.Listeners)) {
		switch l := p.listeners[name].(type) {
		case nil:
			errs = append(errs, p.applyListener(ctx, snap.Listeners[name].IR, snap.Listeners[name]))
		case *listen.Listener:
			errs = append(errs, listenErrors(name, l.Retry()))
		}
	}
	return errors.Join(errs...)
}

// applyListener opens or updates one socket.
func (p *Proxy) applyListener(ctx context.Context, l *ir.Listener, built *snapshot.Listener) error {
	if open := p.listeners[l.Name]; open != nil {
		return listenErrors(l.Name, open.Set(built))
	}
	open, err := p.openSocket(ctx, l)
	if err != nil {
		return &ListenError{Listener: l.Name, Err: err}
	}
	err = open.Set(built)
	p.listeners[l.Name] = open
	if p.held {
		return err
	}
	return errors.Join(err, p.begin(l.Name))
}

// listenErrors makes a *ListenError of one about the UDP side of HTTP/3, for
// Reopen to try again.
func listenErrors(name string, err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range many.Unwrap() {
			errs = append(errs, listenErrors(name, e))
		}
		return errors.Join(errs...)
	}
	var udp *listen.UDPError
	if errors.As(err, &udp) {
		return &ListenError{Listener: name, Err: err}
	}
	return err
}

func (p *Proxy) tlsOptions() tlsx.Options {
	o := tlsx.Options{Stapler: p.stapler, Tickets: p.tickets}
	if p.opts.Challenges != nil {
		o.Challenges = p.opts.Challenges
	}
	return o
}

// socket is a listener of either transport.
type socket interface {
	Set(*snapshot.Listener) error
	Current() *snapshot.Listener
	Start() error
	Drain(context.Context) error
	Addr() netip.AddrPort
	Active() int64
	heirloom
}

// heirloom is what a process that replaces this one gets (see handover.go).
type heirloom interface {
	Socket() syscall.Conn
	// Share says whether the other process receives from the socket too.
	Share(bool)
	Shared() bool
	SetIdleGrace(time.Duration)
}

func (p *Proxy) openSocket(ctx context.Context, l *ir.Listener) (socket, error) {
	if l.Protocol == ir.UDP {
		inherited := p.datagrams[l.Name]
		delete(p.datagrams, l.Name)
		return datagram.Open(l, datagram.Options{
			Loops: p.loops, AccessLog: p.opts.AccessLog, Outlets: p.outlets, Taps: p.opts.Taps, Signals: p.opts.Signals, Log: p.opts.Log, Shared: p.opts.SharePorts,
			Inherited: inherited, IdleGrace: p.opts.IdleGrace,
			Records: p.opts.Records,
		})
	}
	return listen.Open(ctx, l, listen.Options{
		Loops: p.loops, Pipeline: p.pipeline, Streams: p.streams, Egress: p.pipeline.Egress, Log: p.opts.Log, TLS: p.tlsOptions(), Sockets: p.sockets,
		Identities: p.opts.Identities, Guard: p.guard,
		IdleGrace: p.opts.IdleGrace, DrainTimeout: p.opts.DrainTimeout,
	})
}

// drain ends a listener that is no longer configured, in the background. The
// caller holds mu.
func (p *Proxy) drain(l socket) {
	p.leaving[l] = struct{}{}
	p.draining.Go(func() {
		defer p.left(l)
		ctx, cancel := context.WithTimeout(p.drainCtx, p.opts.DrainTimeout)
		defer cancel()
		if err := l.Drain(ctx); err != nil {
			p.opts.Log.Warn("drain", "error", err)
		}
	})
}

// Listening lists the open sockets by listener name.
func (p *Proxy) Listening() map[string]netip.AddrPort {
	p.mu.Lock()
	defer p.mu.Unlock()
	open := make(map[string]netip.AddrPort, len(p.listeners))
	for name, l := range p.listeners {
		open[name] = l.Addr()
	}
	return open
}

// Connections counts the open connections of each listener, by its name.
func (p *Proxy) Connections() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	open := make(map[string]int, len(p.listeners))
	for name, l := range p.listeners {
		open[name] = int(l.Active())
	}
	return open
}

// Left counts the open connections of all listeners, also of those that drain.
func (p *Proxy) Left() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, l := range p.listeners {
		n += int(l.Active())
	}
	for l := range p.leaving {
		n += int(l.Active())
	}
	return n
}

func (p *Proxy) left(l socket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.leaving, l)
}

package proxy

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Leave ends the listeners whose names out is true of, as Shutdown does, and returns
// when their connections are over; the others go on. A configuration that is applied
// later opens them again if it has them.
func (p *Proxy) Leave(ctx context.Context, out func(name string) bool) error {
	p.mu.Lock()
	var list []socket
	for name, l := range p.listeners {
		if out(name) {
			list = append(list, l)
			delete(p.listeners, name)
			p.leaving[l] = struct{}{}
		}
	}
	p.mu.Unlock()
	errs := make(chan error, len(list))
	for _, l := range list {
		go func() {
			errs <- l.Drain(ctx)
			p.left(l)
		}()
	}
	var err error
	for range list {
		err = errors.Join(err, <-errs)
	}
	return err
}

// mirrorGrace is how long copies of requests may take to end after the last
// exchange has.
const mirrorGrace = time.Second

// Shutdown stops accepting, lets exchanges end until ctx is done, then cuts
// them off, and returns when everything has stopped.
func (p *Proxy) Shutdown(ctx context.Context) error {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	err := p.Leave(ctx, func(string) bool { return true })
	p.drainStop()
	p.mu.Lock()
	p.disown()
	p.mu.Unlock()
	p.draining.Wait()
	p.pipeline.Background.Wait()
	p.pipeline.Mirrors.Stop(mirrorGrace)
	p.schemas.Close()
	p.keys.Close()
	p.logins.Close()
	p.stores.Close()
	p.pusher.Close() // what was counted last goes to the exporter
	p.closeOutlets()
	p.set.Close()
	p.guard.Close()
	p.pipeline.Vouch.Close()
	p.stapler.Close()
	if p.loops != nil && p.opts.Loops == nil {
		p.loops.Close()
	}
	if err != nil {
		return fmt.Errorf("shutdown: %w", err)
	}
	return nil
}

package proxy

import (
	"context"
	"errors"
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

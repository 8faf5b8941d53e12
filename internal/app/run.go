package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/surface/adminapi"
)

// Run serves until ctx ends, then lets work finish for DrainTimeout, or until
// cut ends, and returns when nothing runs any more. An error means that work
// had to be cut off, or that a part failed.
func (g *Gateway) Run(ctx, cut context.Context) error {
	parts, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var wg sync.WaitGroup
	failed := make(chan error, 4)
	part := func(name string, run func(context.Context) error) {
		wg.Go(func() {
			if err := run(parts); err != nil {
				failed <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	// The source ends before the drain begins: what is changed then is not for us.
	sourceCtx, stopSource := context.WithCancel(parts)
	defer stopSource()
	adminCtx, stopAdmin := context.WithCancel(parts)
	defer stopAdmin()
	sourceEnded := make(chan struct{})
	part("source", func(context.Context) error {
		defer close(sourceEnded)
		return g.opt.Source.Run(sourceCtx, func(s file.Snapshot) { _ = g.apply(sourceCtx, s, false) }) // it reports what fails
	})
	part("revisions of files", func(context.Context) error { g.recordFiles(sourceCtx); return nil })
	part("memory", func(context.Context) error { trimMemory(); return nil })
	part("metrics", func(ctx context.Context) error { g.metrics.Run(ctx); return nil })
	part("service graph", func(ctx context.Context) error { g.feedSignals(ctx); return nil })
	err := g.takeOver(ctx, parts, &wg)
	if err == nil {
		part("listeners", func(context.Context) error { g.reopen(sourceCtx); return nil })
		part("issued certificates", func(context.Context) error { g.applyIssued(sourceCtx); return nil })
		if g.db != nil {
			part("state store", func(context.Context) error { g.objects.Run(sourceCtx); return nil })
			part("old revisions", func(ctx context.Context) error { g.forgetRevisions(ctx); return nil })
			part("managed objects", func(context.Context) error { g.managed.Run(sourceCtx); return nil })
			part("objects of the state store", func(context.Context) error { g.applyState(sourceCtx); return nil })
			part("election", func(ctx context.Context) error { g.election.Run(ctx); return nil })
			part("what is over in the state store", func(ctx context.Context) error { g.forget(ctx); return nil })
			part("uses of credentials", func(ctx context.Context) error { g.keepUses(ctx); return nil })
			part("signing keys", func(ctx context.Context) error { g.signing.Run(ctx); return nil })
		}
		if g.history != nil {
			part("history of the service graph", func(ctx context.Context) error { g.history.Run(ctx); return nil })
		}
		if g.control != nil {
			part("mesh", g.runControl)
		}
		part("certificates", func(ctx context.Context) error { g.acme.Run(ctx); return nil })
		if g.admin != nil {
			part("admin API", func(context.Context) error { return g.admin.Run(adminCtx) })
		}
		part("upgrades", func(ctx context.Context) error { g.giver.Serve(ctx); return nil })
		err = g.await(ctx, failed, stopSource, stopAdmin)
	}
	stopSource()
	<-sourceEnded
	g.setPhase(adminapi.Draining)
	if g.control != nil {
		g.control.leave()
	}
	err = errors.Join(err, g.drain(ctx, cut))
	stop()
	wg.Wait()
	g.stopDiscovery()
	g.closeLogin()
	g.giver.Release()
	return errors.Join(err, g.accessLog.Close(), g.closeState())
}

// await returns when the process is to drain: it was told to stop, a part has
// failed, or a successor serves.
func (g *Gateway) await(ctx context.Context, failed <-chan error, stopSource, stopAdmin func()) (err error) {
	yielded := func(y *yielding) {
		stopSource() // before what waits for the end of the handover can apply
		if y.admin {
			stopAdmin()
		}
		g.yielded = true
		close(y.done)
	}
	select {
	case y := <-g.yielding:
		yielded(y)
		return nil
	case <-ctx.Done():
	case err = <-failed:
		g.log.Error("a part of the gateway failed; shutting down", "error", err)
	}
	closed := make(chan struct{})
	go func() {
		g.giver.Close(errStopping)
		close(closed)
	}()
	select {
	case y := <-g.yielding:
		yielded(y)
		<-closed
	case <-closed:
	}
	return err
}

func (g *Gateway) drain(stopped, cut context.Context) error {
	timeout := g.opt.DrainTimeout
	if g.yielded {
		timeout = g.opt.Upgrade.DrainTimeout
	}
	g.log.Info("draining", "timeout", timeout)
	ctx, cancel := context.WithTimeout(cut, timeout)
	defer cancel()
	if g.yielded { // a stop that is asked for now is in more of a hurry
		hurry := context.AfterFunc(stopped, func() { time.AfterFunc(g.opt.DrainTimeout, cancel) })
		defer hurry()
	}
	began := time.Now()
	err := g.plane.Shutdown(ctx)
	g.log.Info("stopped", "took", time.Since(began).Round(time.Millisecond))
	return err
}

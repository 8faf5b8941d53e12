package app

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/surface/adminapi"
)

// A listener that could not be opened, because another process has its port or
// its address is not there yet, is tried again after these waits.
const (
	reopenFirst = 250 * time.Millisecond
	reopenMax   = 30 * time.Second
)

// reopening is how far that has come.
type reopening struct {
	tries int
	next  time.Time
}

func (g *Gateway) pokeReopen() {
	select {
	case g.failing <- struct{}{}:
	default:
	}
}

// reopen tries failed listeners again until ctx ends. A change of the
// configuration, which tries them too, begins the waits anew.
func (g *Gateway) reopen(ctx context.Context) {
	timer := time.NewTimer(0)
	timer.Stop()
	pause, tries := reopenFirst, 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.failing:
			pause, tries = reopenFirst, 0
		case <-timer.C:
			if g.tryReopen(ctx) {
				continue
			}
			pause, tries = min(2*pause, reopenMax), tries+1
		}
		g.mu.Lock()
		g.state.reopening = reopening{tries: tries, next: time.Now().Add(pause)}
		g.mu.Unlock()
		timer.Reset(pause)
	}
}

// tryReopen is true when no listener is left that should be tried again.
func (g *Gateway) tryReopen(ctx context.Context) bool {
	g.applying.Lock()
	defer g.applying.Unlock()
	if ctx.Err() != nil {
		return true
	}
	began := time.Now()
	g.mu.Lock()
	missing := len(g.state.unopened)
	g.mu.Unlock()
	if missing == 0 {
		return true
	}
	closed, defects := sortErrors(g.plane.Reopen(ctx))
	cfg := g.out.Config
	left := unopened(cfg, g.plane.Listening(), closed, defects)

	g.mu.Lock()
	s := &g.state
	opened := len(left) < len(s.unopened)
	s.unopened, s.defects = left, errors.Join(s.defects, defects)
	s.progress = progress(cfg, left)
	whole := len(left) == 0 && s.defects == nil
	switch {
	case s.failure == nil:
	case whole:
		s.failure = nil
	default:
		why := s.defects
		for _, name := range slices.Sorted(maps.Keys(left)) {
			why = errors.Join(why, errors.New(left[name]))
		}
		s.failure = &adminapi.Failure{At: s.failure.At, Error: why.Error()}
	}
	g.mu.Unlock()

	if opened && whole {
		g.metrics.Reloaded(cfg.Revision, time.Since(began))
		g.log.Info("configuration in service, after listeners could be opened", "revision", cfg.Revision)
	}
	return len(closed) == 0
}

// sortErrors separates listeners that may be opened later, with the reason,
// from what is wrong until the configuration changes.
func sortErrors(err error) (closed map[string]string, defects error) {
	closed = map[string]string{}
	var walk func(error)
	walk = func(err error) {
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range many.Unwrap() {
				walk(e)
			}
			return
		}
		var l *proxy.ListenError
		if errors.As(err, &l) {
			closed[l.Listener] = l.Error()
		} else {
			defects = errors.Join(defects, err)
		}
	}
	if err != nil {
		walk(err)
	}
	return closed, defects
}

// unopened lists listeners that have no socket, or not all that they want, and why.
func unopened(cfg *ir.Config, open map[string]netip.AddrPort, closed map[string]string, defects error) map[string]string {
	out := map[string]string{}
	for _, l := range cfg.Listeners {
		why, ok := closed[l.Name]
		if _, isOpen := open[l.Name]; isOpen && !ok {
			continue
		}
		if !ok {
			why = "it could not be built"
		}
		if !ok && defects != nil {
			for line := range strings.Lines(defects.Error()) {
				if strings.Contains(line, l.Name) {
					why = strings.TrimSpace(line)
					break
				}
			}
		}
		out[l.Name] = why
	}
	return out
}

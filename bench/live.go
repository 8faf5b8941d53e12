package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gridway/gridway/bench/load"
	"github.com/gridway/gridway/bench/proc"
	"github.com/gridway/gridway/bench/report"
	"github.com/gridway/gridway/bench/stats"
)

// liveRoutes is how many routes one of them is changed among.
const liveRoutes = 10_000

// liveTimeout is how long a change may take before the run gives up on it.
const liveTimeout = 20 * time.Second

// site is a configuration on disk with one object that changes.
type site struct {
	port  int
	path  string // what gridway run is given
	file  string // that a change rewrites
	probe load.Target
	text  func(rev int) []byte // of file
	mark  string               // response header that shows the revision
	want  func(rev int) string
}

// write replaces the file as careful editors do: by renaming a whole one into place.
func (s *site) write(tmp string, rev int) error {
	path := filepath.Join(tmp, "next.yaml")
	if err := os.WriteFile(path, s.text(rev), 0o644); err != nil {
		return err
	}
	return os.Rename(path, s.file)
}

// change writes revision rev and returns the time from before the write to the
// first response that shows it.
func (s *site) change(ctx context.Context, tmp string, c *load.Client, rev int) (time.Duration, error) {
	text := s.text(rev) // made before the clock runs
	path := filepath.Join(tmp, "next.yaml")
	start := time.Now()
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return 0, err
	}
	if err := os.Rename(path, s.file); err != nil {
		return 0, err
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		got, err := c.Header(ctx, s.mark)
		if err != nil {
			return 0, err
		}
		took := time.Since(start)
		if got == s.want(rev) {
			return took, nil
		}
		if took > liveTimeout {
			return 0, fmt.Errorf("revision %d does not serve after %v: %s is %q", rev, liveTimeout, s.mark, got)
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-tick.C:
		}
	}
}

// changes starts Gridway on a site and changes it times times: milliseconds
// until each change served, and milliseconds of CPU that it took meanwhile (the
// probes' requests included), which other load on the machine hardly moves.
func (b *bench) changes(ctx context.Context, label string, s *site, times int) (ms, cpu []float64, err error) {
	p, err := b.lab.StartGridway(ctx, label, s.path, s.probe)
	if err != nil {
		return nil, nil, err
	}
	defer p.Stop()
	c := load.NewClient(s.probe)
	defer c.Close()
	for rev := 1; rev <= times; rev++ {
		b.say.step("%s: change %d of %d", label, rev, times)
		before, err := proc.CPU(p.PID())
		if err != nil {
			return ms, cpu, err
		}
		took, err := s.change(ctx, b.lab.Dir, c, rev)
		if err != nil {
			return ms, cpu, fmt.Errorf("%w: %s", err, p.Output())
		}
		after, err := proc.CPU(p.PID())
		if err != nil {
			return ms, cpu, err
		}
		ms, cpu = append(ms, float64(took)/1e6), append(cpu, float64(after-before)/1e6)
		// The next change is one of its own, not part of a burst.
		if err := wait(ctx, 300*time.Millisecond); err != nil {
			return ms, cpu, err
		}
	}
	return ms, cpu, nil
}

// changeMeasures are the two figures of changes.
func changeMeasures(name, title string, ms, cpu []float64) []report.Measure {
	return []report.Measure{
		{Name: name, Title: title, Unit: "ms", Value: stats.Of(ms)},
		{Name: name + "-cpu", Title: title + ": CPU until then", Unit: "ms", Value: stats.Of(cpu)},
	}
}

const mark = "X-Rev"

func head(b *bytes.Buffer, port int, backend string) {
	fmt.Fprintf(b, "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: edge}\nspec:\n  gatewayClassName: gridway\n"+
		"  listeners: [{name: http, port: %d, protocol: HTTP}]\n---\napiVersion: gridway.dev/v1alpha1\nkind: Backend\nmetadata: {name: web}\n"+
		"spec:\n  endpoints: [{address: %q}]\n", port, backend)
}

func route(b *bytes.Buffer, i, rev int) {
	fmt.Fprintf(b, "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r%d}\nspec:\n  parentRefs: [{name: edge}]\n"+
		"  rules:\n  - matches: [{path: {type: PathPrefix, value: /r%d}}]\n"+
		"    filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: %s, value: \"%d\"}]}}]\n"+
		"    backendRefs: [{group: gridway.dev, kind: Backend, name: web}]\n", i, i, mark, rev)
}

// oneFile is a site of n routes in one file.
func (b *bench) oneFile(name string, n int) (*site, error) {
	s, err := b.newSite(n / 2)
	if err != nil {
		return nil, err
	}
	s.file = filepath.Join(b.lab.Dir, name+".yaml")
	s.path = s.file
	s.text = func(rev int) []byte {
		var buf bytes.Buffer
		head(&buf, s.port, b.backend.Addr)
		for i := range n {
			r := 0
			if i == n/2 {
				r = rev
			}
			route(&buf, i, r)
		}
		return buf.Bytes()
	}
	return s, s.write(b.lab.Dir, 0)
}

// folder is a site of n routes in files of 100.
func (b *bench) folder(name string, n int) (*site, error) {
	const each = 100
	s, err := b.newSite(n / 2)
	if err != nil {
		return nil, err
	}
	s.path = filepath.Join(b.lab.Dir, name)
	if err := os.Mkdir(s.path, 0o755); err != nil {
		return nil, err
	}
	part := func(first, rev int) []byte {
		var buf bytes.Buffer
		for i := first; i < first+each; i++ {
			r := 0
			if i == n/2 {
				r = rev
			}
			route(&buf, i, r)
		}
		return buf.Bytes()
	}
	var buf bytes.Buffer
	head(&buf, s.port, b.backend.Addr)
	if err := os.WriteFile(filepath.Join(s.path, "gateway.yaml"), buf.Bytes(), 0o644); err != nil {
		return nil, err
	}
	for first := 0; first < n; first += each {
		if err := os.WriteFile(filepath.Join(s.path, fmt.Sprintf("routes-%05d.yaml", first)), part(first, 0), 0o644); err != nil {
			return nil, err
		}
	}
	s.file = filepath.Join(s.path, fmt.Sprintf("routes-%05d.yaml", n/2/each*each))
	s.text = func(rev int) []byte { return part(n/2/each*each, rev) }
	return s, nil
}

func (b *bench) newSite(probe int) (*site, error) {
	port, err := b.lab.Ports()
	if err != nil {
		return nil, err
	}
	return &site{
		port: port, mark: mark, want: strconv.Itoa,
		probe: load.Target{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Path: fmt.Sprintf("/r%d/x", probe)},
	}, nil
}

// routeChanges measures how soon a changed route serves, and what 10,000 take to load.
func (b *bench) routeChanges(ctx context.Context, times int) ([]report.Measure, error) {
	var out []report.Measure
	for _, c := range []struct {
		name, title string
		make        func(string, int) (*site, error)
	}{
		{"change-file", "One changed route among 10,000 serves, all in one file", b.oneFile},
		{"change-folder", "One changed route among 10,000 serves, in a folder of 100 files", b.folder},
	} {
		s, err := c.make(c.name, liveRoutes)
		if err != nil {
			return out, err
		}
		ms, cpu, err := b.changes(ctx, c.name, s, times)
		if err != nil {
			return out, fmt.Errorf("%s: %w", c.name, err)
		}
		out = append(out, changeMeasures(c.name, c.title, ms, cpu)...)
	}
	return out, nil
}

// loading measures the start with 10,000 routes beside the start with ten.
func (b *bench) loading(ctx context.Context, times int) ([]report.Measure, error) {
	var took, cpu, more []float64
	for i := range times {
		b.say.step("load %d routes, %d of %d", liveRoutes, i+1, times)
		few, err := b.loadOnce(ctx, fmt.Sprintf("load-few-%d", i), 10)
		if err != nil {
			return nil, err
		}
		many, err := b.loadOnce(ctx, fmt.Sprintf("load-many-%d", i), liveRoutes)
		if err != nil {
			return nil, err
		}
		took, cpu = append(took, float64(many.took)/1e6), append(cpu, float64(many.cpu)/1e6)
		more = append(more, float64(many.rss-few.rss)/(1<<20))
	}
	return []report.Measure{
		{Name: "load-time", Title: "From start to serving 10,000 routes", Unit: "ms", Value: stats.Of(took)},
		{Name: "load-cpu", Title: "From start to serving 10,000 routes: CPU until then", Unit: "ms", Value: stats.Of(cpu)},
		{Name: "load-memory", Title: "Memory of 10,000 routes, above that of ten", Unit: "MiB", Value: stats.Of(more)},
	}, nil
}

// loaded is what a start cost.
type loaded struct {
	took, cpu time.Duration
	rss       int64
}

func (b *bench) loadOnce(ctx context.Context, name string, routes int) (l loaded, err error) {
	s, err := b.oneFile(name, routes)
	if err != nil {
		return l, err
	}
	start := time.Now()
	p, err := b.lab.StartGridway(ctx, name, s.path, s.probe)
	if err != nil {
		return l, err
	}
	defer p.Stop()
	l.took = time.Since(start)
	if l.cpu, err = proc.CPU(p.PID()); err != nil {
		return l, err
	}
	if err := wait(ctx, time.Second); err != nil {
		return l, err
	}
	l.rss, err = proc.RSS(p.PID())
	return l, err
}

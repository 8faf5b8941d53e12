// Package between answers what both proxies do with a request between services of a mesh,
// without one being asked.
package between

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/view"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/proxy/vouch"
)

// Decide answers q under a configuration. Who has no other identity has that of a workload
// of the trust domain.
func Decide(cfg *ir.Config, mesh *ir.Mesh, trustDomain string, q dryrun.PassageRequest) (*dryrun.Passage, error) {
	namespace, req := cmp.Or(q.Namespace, "default"), q.Request
	if q.Service == "" || strings.ContainsAny(q.Service+namespace, "./ ") {
		return nil, errors.New("the sender is a service and a namespace, each a name without dots and slashes")
	}
	if cfg == nil || mesh == nil {
		return nil, errors.New("the configuration has nothing of a mesh, which has Services, and routes or policies on them")
	}
	host := authorityOf(req.URL)
	i, err := view.Imagine(cfg, mesh, namespace, host)
	if err != nil {
		return nil, err
	}
	if i.Service == nil {
		return &dryrun.Passage{Host: host, Egress: i.Egress}, nil
	}
	out := &dryrun.Passage{Host: host, Service: i.Service.Namespace + "/" + i.Service.Name}
	req.Listener = i.Client.Listeners[0].Name
	i.Server.Consumers = cfg.Consumers // whom edges know
	if out.Client, err = decide(i.Client, unknown(req)); err != nil {
		return nil, err
	}
	if sent(out.Client, i.Service) {
		req.Caller, out.Note = told(cfg, req.Caller)
		if req.Caller.Identity == "" && req.Caller.Certificate == "" {
			req.Caller.Identity = "spiffe://" + trustDomain + "/ns/" + namespace + "/sa/" + q.Service
		}
		out.Server, err = decide(i.Server, req)
	}
	return out, err
}

func decide(cfg *ir.Config, req dryrun.Request) (*dryrun.Decision, error) {
	table, err := dryrun.NewTranscoding(cfg, nil, nil)
	if err != nil {
		return nil, err
	}
	d, err := table.Decide(req)
	if err != nil {
		return nil, err
	}
	return d.Redacted(), nil
}

// unknown is the request at the client's proxy, which does not look at what an edge has
// said of the caller: it takes the application's word for nothing.
func unknown(req dryrun.Request) dryrun.Request {
	if c := req.Caller; c != nil {
		req.Caller = &dryrun.Imagined{Identity: c.Identity, Certificate: c.Certificate}
	}
	return req
}

// told is a caller whom an edge knows as workloads are told of him, and what they are
// not told.
func told(cfg *ir.Config, c *dryrun.Imagined) (*dryrun.Imagined, string) {
	if c == nil {
		return &dryrun.Imagined{}, ""
	}
	out := *c
	if c.Consumer == "" && c.Claims == nil && c.Method == "" {
		return &out, ""
	}
	var how *ir.Vouching
	for _, l := range cfg.Listeners {
		how = cmp.Or(how, l.Vouching)
	}
	if how == nil {
		return &dryrun.Imagined{Identity: c.Identity, Certificate: c.Certificate},
			"workloads are not told who calls: no policy on a Service asks, no Gateway has listeners, or callers.sign of the MeshPolicy is Never"
	}
	out.Claims = maps.Clone(c.Claims)
	var kept []string
	for name := range c.Claims {
		if !vouch.Goes(name, how) {
			delete(out.Claims, name)
			kept = append(kept, name)
		}
	}
	slices.Sort(kept)
	note := "known if the application passes on what the edge says of the caller: Gridway-Caller, with X-Request-Id"
	if len(kept) > 0 {
		note += "; workloads are not told the claims " + strings.Join(kept, ", ") + " (callers.claims of the MeshPolicy)"
	}
	return &out, note
}

// sent tells whether the request goes on to workloads of the service itself. What a
// route sends elsewhere, others decide on.
func sent(d *dryrun.Decision, s *ir.MeshService) bool {
	for _, b := range d.Backends {
		if strings.HasPrefix(b.Cluster, fmt.Sprintf("Service/%s/%s:", s.Namespace, s.Name)) {
			return true
		}
	}
	return false
}

// authorityOf is the host of a URL, with its port if it has one.
func authorityOf(url string) string {
	_, rest, ok := strings.Cut(url, "://")
	if !ok {
		rest = url
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return rest[strings.LastIndexByte(rest, '@')+1:]
}

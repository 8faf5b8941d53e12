package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/view"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/proxy/vouch"
)

// explainedMesh is what both proxies do with a request between services.
type explainedMesh struct {
	Service string           `json:"service,omitempty"`
	Egress  ir.Egress        `json:"egress,omitempty"`
	Client  *dryrun.Decision `json:"client,omitempty"`
	Server  *dryrun.Decision `json:"server,omitempty"`
	// Note is what becomes of a caller on the way.
	Note string `json:"note,omitempty"`
}

// explainFrom says what would happen to a request of a service in the mesh, by files
// alone.
func explainFrom(t *term.Terminal, files []string, from string, req dryrun.Request, out term.Format, all bool) error {
	if len(files) == 0 {
		return usagef("", "--from needs --file: what a running mesh would do, its proxies say themselves")
	}
	service, namespace, _ := strings.Cut(from, ".")
	if namespace == "" {
		namespace = "default"
	}
	if service == "" || strings.Contains(namespace, ".") {
		return usagef("", "%q is not SERVICE or SERVICE.NAMESPACE", from)
	}
	cfg, err := readConfig(t, files)
	if err != nil {
		return err
	}
	if n := countErrors(cfg); n > 0 {
		printProblems(t, cfg.problems, isError)
	}
	if cfg.out.Mesh == nil {
		return hintError{Err: fmt.Errorf("the configuration has nothing of a mesh"), Hint: "a mesh has Services, and routes or policies on them"}
	}
	authority := authorityOf(req.URL)
	i, err := view.Imagine(cfg.out.Config, cfg.out.Mesh, namespace, authority)
	if err != nil {
		return usageError{Err: err}
	}
	result := explainedMesh{Egress: i.Egress}
	if i.Service != nil {
		result.Egress, result.Service = "", i.Service.Namespace+"/"+i.Service.Name
		req.Listener = i.Client.Listeners[0].Name
		i.Server.Consumers = cfg.out.Config.Consumers // whom edges know
		if result.Client, err = decideIn(i.Client, unknown(req)); err != nil {
			return err
		}
		if sent(result.Client, i.Service) {
			req.Caller, result.Note = told(cfg.out.Config, req.Caller)
			if req.Caller.Identity == "" && req.Caller.Certificate == "" {
				req.Caller.Identity = "spiffe://" + defaultTrustDomain + "/ns/" + namespace + "/sa/" + service
			}
			if result.Server, err = decideIn(i.Server, req); err != nil {
				return err
			}
		}
	}
	if out != term.TableFormat {
		return out.Write(t.Out, result)
	}
	printMesh(t, &result, from, authority, all)
	return nil
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

func decideIn(cfg *ir.Config, req dryrun.Request) (*dryrun.Decision, error) {
	table, err := dryrun.NewTranscoding(cfg, nil, nil)
	if err != nil {
		return nil, err
	}
	d, err := table.Decide(req)
	if err != nil {
		return nil, usageError{Err: err}
	}
	return d.Redacted(), nil
}

func printMesh(t *term.Terminal, r *explainedMesh, from, authority string, all bool) {
	if r.Client == nil {
		t.Printf("%s %s\n\n", term.Paint("egress", term.Bold), authority)
		what := "it is passed on as it is: no Service has that name"
		if r.Egress == ir.EgressDeny {
			what = "it is refused with 502: no Service has that name, and egress is denied"
		}
		t.Printf("%s %s\n", term.Paint("→", term.Bad), what)
		return
	}
	t.Printf("%s\n", term.Paint("at the proxy of "+from, term.Bold))
	printDecision(t, r.Client, &source{}, all)
	if r.Server != nil {
		t.Printf("\n%s\n", term.Paint("at the proxies of "+r.Service, term.Bold))
		if r.Note != "" {
			t.Printf("%s\n", r.Note)
		}
		printDecision(t, r.Server, &source{}, all)
	}
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

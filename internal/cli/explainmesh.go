package cli

import (
	"fmt"
	"strings"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/view"
	"github.com/gridway/gridway/internal/proxy/dryrun"
)

// defaultTrustDomain is that of identities which only --from tells.
const defaultTrustDomain = "cluster.local"

// explainedMesh is what both proxies do with a request between services.
type explainedMesh struct {
	Service string           `json:"service,omitempty"`
	Egress  ir.Egress        `json:"egress,omitempty"`
	Client  *dryrun.Decision `json:"client,omitempty"`
	Server  *dryrun.Decision `json:"server,omitempty"`
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
		return hintError{err: fmt.Errorf("the configuration has nothing of a mesh"), hint: "a mesh has Services, and routes or policies on them"}
	}
	authority := authorityOf(req.URL)
	i, err := view.Imagine(cfg.out.Config, cfg.out.Mesh, namespace, authority)
	if err != nil {
		return usageError{err: err}
	}
	result := explainedMesh{Egress: i.Egress}
	if i.Service != nil {
		result.Egress, result.Service = "", i.Service.Namespace+"/"+i.Service.Name
		req.Listener = i.Client.Listeners[0].Name
		if result.Client, err = decideIn(i.Client, req); err != nil {
			return err
		}
		if sent(result.Client, i.Service) {
			if req.Caller == nil {
				req.Caller = &dryrun.Imagined{}
			}
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
		return nil, usageError{err: err}
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

package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/effect/between"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

// explainFrom says what would happen to a request of a service in the mesh: in files, or
// in a control plane.
func explainFrom(ctx context.Context, t *term.Terminal, files []string, a *admin, from string, req dryrun.Request, out term.Format, all bool) error {
	service, namespace, _ := strings.Cut(from, ".")
	if service == "" || strings.Contains(namespace, ".") || strings.HasSuffix(from, ".") {
		return usagef("", "%q is not SERVICE or SERVICE.NAMESPACE", from)
	}
	q := dryrun.PassageRequest{Service: service, Namespace: namespace, Request: req}
	p, err := passage(ctx, t, files, a, q)
	if err != nil {
		return err
	}
	if out != term.TableFormat {
		return out.Write(t.Out, p)
	}
	printMesh(t, p, from, all)
	return nil
}

func passage(ctx context.Context, t *term.Terminal, files []string, a *admin, q dryrun.PassageRequest) (*dryrun.Passage, error) {
	if len(files) == 0 {
		return ask(ctx, a, func(ctx context.Context, c *client.Client) (*dryrun.Passage, error) { return c.ExplainPassage(ctx, q) })
	}
	cfg, err := readConfig(t, files)
	if err != nil {
		return nil, err
	}
	if n := countErrors(cfg); n > 0 {
		printProblems(t, cfg.problems, isError)
	}
	if cfg.out.Mesh == nil {
		return nil, hintError{Err: fmt.Errorf("the configuration has nothing of a mesh"), Hint: "a mesh has Services, and routes or policies on them"}
	}
	p, err := between.Decide(cfg.out.Config, cfg.out.Mesh, defaultTrustDomain, q)
	if err != nil {
		return nil, usageError{Err: err}
	}
	return p, nil
}

func printMesh(t *term.Terminal, r *dryrun.Passage, from string, all bool) {
	if r.Client == nil {
		t.Printf("%s %s\n\n", term.Paint("egress", term.Bold), r.Host)
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

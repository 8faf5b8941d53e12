package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/cli/top"
	"github.com/gridway/gridway/internal/mesh/signals"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

func newTop(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "top",
		GroupID: groupLive,
		Short:   "Watch rate, errors, latency and open streams of each route or service",
		Long: `Shows each rule that had traffic: requests per second, share of errors, and the
50th and 99th percentile of latency in the last seconds, with a trend, and the
streams that are open: WebSockets, server-sent events, calls of gRPC, connections
of TCP, sessions of UDP; of a cluster, the tries under way. Keys sort
(r e 5 9 o n), invert (i), filter (/), switch to clusters and services (c), pause (space),
quit (q).

--services shows what each service of the mesh has received in the last minute, as all
proxies have seen it, and is what a control plane shows that serves no routes itself.

--once prints one table and ends, as does output that is not a terminal.

` + adminHelp,
		Example:           lines("gridway top", "gridway top --sort errors", "gridway top --once --filter reviews", "gridway top --services", "gridway top -o json"),
		Args:              noArgs,
		ValidArgsFunction: offer(),
	}
	out := outputFlag(cmd)
	a := adminFlag(t, cmd)
	board := &top.Board{}
	var sortBy string
	once := cmd.Flags().Bool("once", false, "print one table and end")
	every := cmd.Flags().Duration("every", time.Second, "time between two looks")
	cmd.Flags().StringVar(&sortBy, "sort", "rate", "column to sort by: rate, errors, p50, p99, open or name")
	cmd.Flags().StringVar(&board.Filter, "filter", "", "only rows whose name holds this")
	cmd.Flags().BoolVar(&board.Clusters, "clusters", false, "show clusters instead of routes")
	cmd.Flags().BoolVar(&board.Services, "services", false, "show services instead of routes, of the whole mesh")
	cmd.MarkFlagsMutuallyExclusive("clusters", "services")
	complete(cmd, "sort", top.Columns()...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var err error
		if board.Sort, err = top.ParseColumn(sortBy); err != nil {
			return usagef("", "--sort %v", err)
		}
		if *every < 100*time.Millisecond {
			return usagef("", "--every must be at least 100ms")
		}
		c, err := a.client()
		if err != nil {
			return err
		}
		defer c.Close()
		w := watch{client: c}
		fetch := func(ctx context.Context) (top.Sample, error) {
			s, err := w.sample(ctx)
			return s, adminError(err, c.Address())
		}
		// The first look tells at once whether there is anybody to look at.
		first, err := fetch(cmd.Context())
		if err != nil {
			return err
		}
		board.Add(first)
		if !cmd.Flags().Changed("clusters") && !cmd.Flags().Changed("services") {
			board.Services = w.mesh && len(first.Routes) == 0
		}
		if board.Services && first.Services == nil {
			return hintError{Err: errors.New("this process keeps no service graph"), Hint: "ask a control plane, or one that runs gridway run"}
		}
		switch {
		case *out != term.TableFormat:
			return out.Write(t.Out, first)
		case *once || !t.Interactive:
			t.Printf("%s", board.Table(0))
			return nil
		}
		return top.Run(cmd.Context(), board, top.Options{Title: c.Address(), Every: *every, Fetch: fetch, In: os.Stdin, Out: os.Stdout})
	}
	return cmd
}

// watch asks the gateway again and again. The names of rules are asked for
// when the revision has changed.
type watch struct {
	client   *client.Client
	revision uint64
	names    map[string]string // by route and index of the rule
	// mesh: it is a control plane. graphless: it keeps no service graph.
	mesh, graphless bool
}

func (w *watch) sample(ctx context.Context) (top.Sample, error) {
	status, err := w.client.Status(ctx)
	if err != nil {
		return top.Sample{}, err
	}
	if w.names == nil || w.revision != status.Revision.Number {
		if err := w.readNames(ctx); err != nil {
			return top.Sample{}, err
		}
		w.revision = status.Revision.Number
	}
	w.mesh = status.Mesh != nil
	snap, err := w.client.Top(ctx)
	if err != nil {
		return top.Sample{}, err
	}
	services, err := w.services(ctx)
	if err != nil {
		return top.Sample{}, err
	}
	s := top.Sample{At: snap.At, Revision: w.revision, Routes: []top.Row{}, Clusters: []top.Row{}, Services: services}
	for _, r := range snap.Routes {
		name := r.Rule
		if _, err := strconv.Atoi(name); err == nil {
			name = "rules[" + name + "]"
		}
		if n := w.names[r.Route+" "+r.Rule]; n != "" {
			name = n
		}
		s.Routes = append(s.Routes, row(ruleName(r.Route, name), r.Stats))
	}
	var all []string
	for _, c := range snap.Clusters {
		all = append(all, c.Cluster)
	}
	shown := clusterNames(all)
	for _, c := range snap.Clusters {
		s.Clusters = append(s.Clusters, row(shown[c.Cluster], c.Stats))
	}
	return s, nil
}

// services are what nodes of the service graph have received in the last minute; nil is
// that there is none.
func (w *watch) services(ctx context.Context) ([]top.Row, error) {
	if w.graphless {
		return nil, nil
	}
	g, err := w.client.Graph(ctx, time.Minute, "")
	var fault *adminapi.Fault
	if errors.As(err, &fault) && (fault.Status == http.StatusNotFound || fault.Status == http.StatusConflict) {
		w.graphless = true // an older one, or a member of a mesh
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rows := []top.Row{}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if n.Kind == signals.KindInternet || n.Kind == signals.KindUnknown {
			continue
		}
		rows = append(rows, top.Row{Name: n.ID, Requests: n.In.Requests, Errors: n.In.Errors, P50: n.In.P50, P99: n.In.P99, Open: n.Open, Total: n.In.Count})
	}
	return rows, nil
}

func (w *watch) readNames(ctx context.Context) error {
	rows, err := w.client.Routes(ctx)
	if err != nil {
		return err
	}
	w.names = make(map[string]string, len(rows))
	for _, r := range rows {
		if r.RuleName != "" {
			w.names[fmt.Sprintf("%s %d", r.Route, r.Rule)] = r.RuleName
		}
	}
	return nil
}

func row(name string, s metric.Stats) top.Row {
	return top.Row{Name: name, Requests: s.Requests, Errors: s.Errors, P50: s.P50, P99: s.P99, Open: s.Open, Total: s.Total}
}

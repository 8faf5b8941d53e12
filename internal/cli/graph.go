package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/cli/top"
	"github.com/gridway/gridway/internal/mesh/history"
	"github.com/gridway/gridway/internal/mesh/signals"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

// Graphviz's language, and that of diagrams in Markdown, as outputs of graphs.
const (
	dotFormat     term.Format = "dot"
	mermaidFormat term.Format = "mermaid"
)

// graphFormat is a Format that may also be one of these.
type graphFormat struct{ term.Format }

func (f *graphFormat) Set(s string) error {
	if format := term.Format(s); format == dotFormat || format == mermaidFormat {
		f.Format = format
		return nil
	}
	if f.Format.Set(s) != nil {
		return fmt.Errorf("must be table, json, yaml, dot or mermaid, not %q", s)
	}
	return nil
}

func (f *graphFormat) Type() string { return "table|json|yaml|dot|mermaid" }

func newGraph(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "graph",
		GroupID: groupLive,
		Short:   "Show who speaks to whom",
		Long: `Shows the service graph: who has spoken to whom in the last time, as the proxies have
seen it, with requests per second, the share of errors, latencies, whether it was over
the mesh's mutual TLS, and how many connections and streams are open. In a mesh any
control plane tells of all of it; "gridway run" without one tells of its Gateways.

-o dot is for Graphviz: gridway graph -o dot | dot -Tsvg > graph.svg.
-o mermaid is a diagram for Markdown, as wikis and repositories show it.

` + adminHelp,
		Example:           lines("gridway graph", "gridway graph --window 1h --namespace shop", "gridway graph -o dot | dot -Tsvg > graph.svg", "gridway graph -o json"),
		Args:              noArgs,
		ValidArgsFunction: offer(),
	}
	out := &graphFormat{term.TableFormat}
	cmd.Flags().VarP(out, "output", "o", "output format")
	complete(cmd, "output", "table", "json", "yaml", "dot", "mermaid")
	a := adminFlag(t, cmd)
	window := cmd.Flags().Duration("window", 5*time.Minute, "how far back, 10s to 24h, or to --signals-history of the process")
	namespace := cmd.Flags().StringP("namespace", "n", "", "only edges of which an end is in this namespace (default: all)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *window < signals.Least || *window > history.Most {
			return usagef("for example --window 1h", "--window must be between %s and %dh, which is %d days", signals.Least, int(history.Most.Hours()), int(history.Most.Hours()/24))
		}
		g, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (*signals.Graph, error) {
			return c.Graph(ctx, *window, *namespace)
		})
		if err != nil {
			return err
		}
		switch out.Format {
		case term.TableFormat:
			printGraph(t, g, *window)
			return nil
		case dotFormat:
			return writeDot(t.RawOut, g)
		case mermaidFormat:
			return writeMermaid(t.RawOut, g)
		}
		return out.Write(t.Out, g)
	}
	return cmd
}

func printGraph(t *term.Terminal, g *signals.Graph, window time.Duration) {
	if len(g.Edges) == 0 {
		t.Printf("No proxy has seen anything in the last %s.\n", window)
	} else {
		table := term.NewTable("from", "to", "protocol", "req/s", "errors", "p50", "p99", "mTLS", "open").Right(3, 4, 5, 6, 7, 8)
		for i := range g.Edges {
			e := &g.Edges[i]
			table.Row(e.Source, e.Destination, e.Protocol, top.Rate(e.Requests), top.Errors(e.Errors), top.Latency(e.P50), top.Latency(e.P99), mutual(e), strconv.FormatInt(e.Open, 10))
		}
		t.Printf("%s", table.String())
	}
	if n := g.State.Folded; n > 0 {
		t.Printf("\n%s\n", term.Paint(fmt.Sprintf("%d edges were folded into \"other\": the memory for them (%d MiB) is full; see --signals-memory.", n, g.State.Limit>>20), term.Warn))
	}
	for _, u := range g.Unreached {
		t.Printf("\n%s\n", term.Paint(fmt.Sprintf("What the proxies of the control plane %s report is missing since %s: %s", u.Control, u.Since.Local().Format(time.TimeOnly), u.Why), term.Warn))
	}
}

// mutual is how much of an edge is over mutual TLS of the mesh.
func mutual(e *signals.Edge) string {
	switch e.MutualTLS {
	case 0:
		return "no"
	case 1:
		return term.Paint("yes", term.Good)
	}
	return term.Paint(fmt.Sprintf("%.0f%%", e.MutualTLS*100), term.Warn)
}

// dotShapes are how kinds of nodes are drawn.
var dotShapes = map[string]string{
	signals.KindEdge: "house", signals.KindGateway: "house", signals.KindInternet: "plaintext", signals.KindUnknown: "plaintext", signals.KindExternal: "ellipse", signals.KindOther: "ellipse",
}

// writeDot writes the graph in Graphviz's language, namespaces as clusters.
func writeDot(w io.Writer, g *signals.Graph) error {
	var b strings.Builder
	b.WriteString("digraph gridway {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\", fontsize=10];\n")
	in := map[string][]*signals.Node{}
	var namespaces []string
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if in[n.Namespace] == nil {
			namespaces = append(namespaces, n.Namespace)
		}
		in[n.Namespace] = append(in[n.Namespace], n)
	}
	slices.Sort(namespaces)
	for i, namespace := range namespaces {
		indent := "  "
		if namespace != "" {
			fmt.Fprintf(&b, "  subgraph cluster_%d {\n    label=%s;\n", i, quoteDot(namespace))
			indent = "    "
		}
		for _, n := range in[namespace] {
			label := n.Name
			if label == "" {
				label = n.ID
			}
			fmt.Fprintf(&b, "%s%s [label=%s", indent, quoteDot(n.ID), quoteDot(label))
			if shape := dotShapes[n.Kind]; shape != "" {
				fmt.Fprintf(&b, ", shape=%s", shape)
			}
			b.WriteString("];\n")
		}
		if namespace != "" {
			b.WriteString("  }\n")
		}
	}
	for i := range g.Edges {
		e := &g.Edges[i]
		fmt.Fprintf(&b, "  %s -> %s [label=%s", quoteDot(e.Source), quoteDot(e.Destination), quoteDot(fmt.Sprintf("%s %s/s\np99 %s", e.Protocol, top.Rate(e.Requests), top.Latency(e.P99))))
		if e.Errors >= 0.05 {
			b.WriteString(", color=red")
		}
		if e.MutualTLS < 1 && e.Source != signals.KindInternet {
			b.WriteString(", style=dashed")
		}
		b.WriteString("];\n")
	}
	b.WriteString("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// quoteDot is a string of Graphviz's language.
func quoteDot(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

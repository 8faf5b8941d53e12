package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/cli/top"
	"github.com/gridway/gridway/internal/mesh/signals"
)

// mermaidShapes are what is around the label of a kind of node.
var mermaidShapes = map[string][2]string{
	signals.KindEdge: {"[/", `\]`}, signals.KindGateway: {"[/", `\]`}, signals.KindInternet: {"((", "))"}, signals.KindUnknown: {"((", "))"}, signals.KindExternal: {"([", "])"}, signals.KindOther: {"([", "])"},
}

// writeMermaid writes the graph in the language of Mermaid's flow charts, namespaces as
// subgraphs. Edges that fail are red and thick, those without mutual TLS dotted.
func writeMermaid(w io.Writer, g *signals.Graph) error {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	ids, in := map[string]string{}, map[string][]*signals.Node{}
	var namespaces []string
	for i := range g.Nodes {
		n := &g.Nodes[i]
		ids[n.ID] = fmt.Sprintf("n%d", i) // names of nodes are of letters and digits alone
		if in[n.Namespace] == nil {
			namespaces = append(namespaces, n.Namespace)
		}
		in[n.Namespace] = append(in[n.Namespace], n)
	}
	slices.Sort(namespaces)
	for i, namespace := range namespaces {
		indent := "  "
		if namespace != "" {
			fmt.Fprintf(&b, "  subgraph g%d[%s]\n", i, quoteMermaid(namespace))
			indent = "    "
		}
		for _, n := range in[namespace] {
			label, around := n.Name, mermaidShapes[n.Kind]
			if label == "" {
				label = n.ID
			}
			if around[0] == "" {
				around = [2]string{"[", "]"}
			}
			fmt.Fprintf(&b, "%s%s%s%s%s\n", indent, ids[n.ID], around[0], quoteMermaid(label), around[1])
		}
		if namespace != "" {
			b.WriteString("  end\n")
		}
	}
	var failing []string
	for i := range g.Edges {
		e := &g.Edges[i]
		arrow := "-->"
		if e.MutualTLS < 1 && e.Source != signals.KindInternet {
			arrow = "-.->"
		}
		fmt.Fprintf(&b, "  %s %s|%s| %s\n", ids[e.Source], arrow, quoteMermaid(fmt.Sprintf("%s %s/s, p99 %s", e.Protocol, top.Rate(e.Requests), top.Latency(e.P99))), ids[e.Destination])
		if e.Errors >= 0.05 {
			failing = append(failing, fmt.Sprint(i))
		}
	}
	if len(failing) > 0 {
		fmt.Fprintf(&b, "  linkStyle %s stroke:red,stroke-width:3px\n", strings.Join(failing, ","))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// quoteMermaid is a text of Mermaid's language, where it would be read as Markdown or HTML.
func quoteMermaid(s string) string {
	return `"` + strings.NewReplacer("#", "#35;", `"`, "#quot;", "<", "#lt;", ">", "#gt;", "`", "#96;", "\n", " ").Replace(s) + `"`
}

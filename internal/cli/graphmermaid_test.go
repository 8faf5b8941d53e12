package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/signals"
)

func TestMermaid(t *testing.T) {
	g := &signals.Graph{
		Nodes: []signals.Node{
			{ID: "internet", Kind: signals.KindInternet},
			{ID: "shop/cart", Kind: signals.KindService, Namespace: "shop", Name: "cart"},
			{ID: "shop/edge", Kind: signals.KindEdge, Namespace: "shop", Name: "edge"},
			{ID: `external:"<b>#1`, Kind: signals.KindExternal, Name: `"<b>#1`},
		},
		Edges: []signals.Edge{
			{Source: "internet", Destination: "shop/edge", Protocol: "HTTP", Traffic: signals.Traffic{Requests: 12, P99: 3 * time.Millisecond}},
			{Source: "shop/edge", Destination: "shop/cart", Protocol: "HTTP", MutualTLS: 1, Traffic: signals.Traffic{Requests: 12, Errors: 0.1, P99: 2 * time.Millisecond}},
			{Source: "shop/cart", Destination: `external:"<b>#1`, Protocol: "UDP"},
		},
	}
	var b strings.Builder
	if err := writeMermaid(&b, g); err != nil {
		t.Fatal(err)
	}
	const want = `flowchart LR
  n0(("internet"))
  n3(["#quot;#lt;b#gt;#35;1"])
  subgraph g1["shop"]
    n1["cart"]
    n2[/"edge"\]
  end
  n0 -->|"HTTP 12.0/s, p99 3.0 ms"| n2
  n2 -->|"HTTP 12.0/s, p99 2.0 ms"| n1
  n1 -.->|"UDP 0/s, p99 -"| n3
  linkStyle 1 stroke:red,stroke-width:3px
`
	if b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
}

package trace

import (
	"cmp"
	"slices"
	"time"
)

// Answer is what was found of a question, and who could not be asked.
type Answer struct {
	Records   []*Record   `json:"records"`
	Unreached []Unreached `json:"unreached,omitempty"`
}

// Unreached is a proxy that has not answered, or not to the end.
type Unreached struct {
	Proxy string `json:"proxy"`
	Why   string `json:"why"`
}

// Node is a record among those of its trace.
type Node struct {
	*Record
	// Through is the number of the parent's try that has led to it, 0 if it is not known.
	Through  int
	Children []*Node
}

// Tree joins the records of traces: a record is the child of the one whose span, or one
// of whose tries' spans, is its parent. What has no parent among the records is a root;
// that is so, too, of what an application with spans of its own has sent. Roots and
// children are in the order of time.
func Tree(records []*Record) []*Node {
	type owner struct {
		node *Node
		try  int
	}
	type key struct{ trace, span string }
	owners := map[key]owner{}
	nodes := make([]*Node, 0, len(records))
	for _, r := range records {
		n := &Node{Record: r}
		nodes = append(nodes, n)
		if _, twice := owners[key{r.TraceID, r.SpanID}]; twice {
			continue
		}
		owners[key{r.TraceID, r.SpanID}] = owner{n, 0}
		for i := range r.Tries {
			owners[key{r.TraceID, r.Tries[i].SpanID}] = owner{n, r.Tries[i].Number}
		}
	}
	var roots []*Node
	for _, n := range nodes {
		o, has := owners[key{n.TraceID, n.ParentID}]
		if !has || n.ParentID == "" || o.node == n {
			roots = append(roots, n)
			continue
		}
		n.Through = o.try
		o.node.Children = append(o.node.Children, n)
	}
	roots = unknot(nodes, roots)
	for _, n := range nodes {
		inOrder(n.Children)
	}
	inOrder(roots)
	return roots
}

// unknot makes roots of records that are each other's ancestors, as forged ones can be.
func unknot(nodes, roots []*Node) []*Node {
	seen := map[*Node]bool{}
	var visit func(n *Node)
	visit = func(n *Node) {
		seen[n] = true
		kept := n.Children[:0]
		for _, c := range n.Children {
			if !seen[c] {
				kept = append(kept, c)
				visit(c)
			}
		}
		n.Children = kept
	}
	for _, r := range roots {
		visit(r)
	}
	for _, n := range nodes {
		if !seen[n] {
			roots = append(roots, n)
			visit(n)
		}
	}
	return roots
}

func inOrder(list []*Node) {
	slices.SortStableFunc(list, func(a, b *Node) int { return cmp.Compare(a.Start.UnixNano(), b.Start.UnixNano()) })
}

// Walk calls f for each node, parents before children.
func Walk(roots []*Node, f func(n *Node, depth int)) {
	var walk func(list []*Node, depth int)
	walk = func(list []*Node, depth int) {
		for _, n := range list {
			f(n, depth)
			walk(n.Children, depth+1)
		}
	}
	walk(roots, 0)
}

// OfRequest leaves of the records of some traces those that belong to a request: that
// have its ID, and what has come of these.
func OfRequest(records []*Record, id string) []*Record {
	var out []*Record
	var walk func(list []*Node, in bool)
	walk = func(list []*Node, in bool) {
		for _, n := range list {
			in := in || n.RequestID == id
			if in {
				out = append(out, n.Record)
			}
			walk(n.Children, in)
		}
	}
	walk(Tree(records), false)
	return out
}

// Summary is a trace in a line.
type Summary struct {
	TraceID   string        `json:"traceID"`
	RequestID string        `json:"requestID,omitempty"`
	Start     time.Time     `json:"start"`
	Duration  time.Duration `json:"duration"`
	Method    string        `json:"method,omitempty"`
	Host      string        `json:"host,omitempty"`
	Path      string        `json:"path,omitempty"`
	Protocol  string        `json:"protocol,omitempty"`
	Status    int           `json:"status,omitempty"`
	// GRPCStatus is set for calls of gRPC, Reason where a proxy has answered itself.
	GRPCStatus string `json:"grpcStatus,omitempty"`
	Reason     string `json:"reason,omitempty"`
	Route      string `json:"route,omitempty"`
	Proxy      string `json:"proxy,omitempty"`
	// Services are those that were asked, in the order of time.
	Services []string `json:"services,omitempty"`
	Records  int      `json:"records"`
	Tries    int      `json:"tries"`
	Sampled  bool     `json:"sampled,omitempty"`
	Slow     bool     `json:"slow,omitempty"`
	Failed   bool     `json:"failed,omitempty"`
	Denied   bool     `json:"denied,omitempty"`
}

// Summarize has a summary of each trace, the newest first. What it says of the request is
// of the first root.
func Summarize(records []*Record) []Summary {
	var out []Summary
	byTrace, order := map[string][]*Record{}, []string{}
	for _, r := range records {
		if byTrace[r.TraceID] == nil {
			order = append(order, r.TraceID)
		}
		byTrace[r.TraceID] = append(byTrace[r.TraceID], r)
	}
	for _, id := range order {
		roots := Tree(byTrace[id])
		r := roots[0].Record
		s := Summary{
			TraceID: id, RequestID: r.RequestID, Start: r.Start, Duration: r.Duration, Method: r.Method, Host: r.Host, Path: r.Path,
			Protocol: r.Protocol, Status: r.Status, GRPCStatus: r.GRPCStatus, Reason: r.Reason, Route: r.Route, Proxy: r.Proxy,
		}
		Walk(roots, func(n *Node, _ int) {
			s.Records++
			s.Tries += len(n.Tries)
			s.Sampled, s.Slow = s.Sampled || n.Sampled, s.Slow || n.Slow
			s.Failed, s.Denied = s.Failed || n.Failed, s.Denied || n.Denied
			if n.Side == Inbound && !slices.Contains(s.Services, n.Of) {
				s.Services = append(s.Services, n.Of)
			}
		})
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b Summary) int { return cmp.Compare(b.Start.UnixNano(), a.Start.UnixNano()) })
	return out
}

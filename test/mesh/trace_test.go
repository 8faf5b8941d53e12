package mesh

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const (
	goodTrace    = "0af7651916cd43dd8448eb211c80319c"
	refusedTrace = "1bf7651916cd43dd8448eb211c80319c"
)

func inTrace(id string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Traceparent", "00-"+id+"-b7ad6b7169203331-01") }
}

// hopOf is what the test looks at of a hop.
type hopOf struct {
	Depth               int
	Proxy, Side, Of     string
	SpanID, ParentID    string
	RequestID           string
	Status              int
	PeerIdentity, Route string
	Tries               []struct{ SpanID, Endpoint string }
	Decisions           []struct {
		Verdict, Kind, Policy, Rule string
		Place                       struct {
			File string
			Line int
		}
	}
}

// hops waits until the control plane has so many of a trace.
func (m *mesh) hops(id string, want int) (list []hopOf) {
	m.t.Helper()
	eventually(m.t, fmt.Sprintf("%d hops of trace %s", want, id), func() error {
		out, err := m.command("trace", id, "-o", "json")
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		var v struct{ Hops []hopOf }
		if err := json.Unmarshal([]byte(out), &v); err != nil {
			return fmt.Errorf("%w in %s", err, out)
		}
		if list = v.Hops; len(list) != want {
			return errors.New(out)
		}
		return nil
	})
	return list
}

// A request is one trace from the edge over both sidecars of the service that asks to the
// one that is asked, and a refusal says at which of them and by which line.
func TestTrace(t *testing.T) {
	c := newCallerMesh(t)
	c.status("in a trace", 200, "ada", "", inTrace(goodTrace))
	hops := c.hops(goodTrace, 4)
	want := []struct{ side, of, peer string }{
		{"edge", "Gateway/default/public", ""},
		{"inbound", "Service/default/front", "spiffe://cluster.local/ns/default/sa/edge"},
		{"outbound", "Service/default/ratings", ""},
		{"inbound", "Service/default/ratings", "spiffe://cluster.local/ns/default/sa/front"},
	}
	for i, h := range hops {
		w := want[i]
		if h.Depth != i || h.Side != w.side || h.Of != w.of || h.PeerIdentity != w.peer || h.Status != 200 || len(h.Tries) != 1 {
			t.Errorf("hop %d: %+v, want %+v", i, h, w)
		}
		if h.RequestID != hops[0].RequestID {
			t.Errorf("hop %d has the request ID %q, the first %q", i, h.RequestID, hops[0].RequestID)
		}
		if i > 0 && h.ParentID != hops[i-1].Tries[0].SpanID {
			t.Errorf("hop %d is below %s, and not below a try of the hop before", i, h.ParentID)
		}
	}
	if hops[0].ParentID != "b7ad6b7169203331" {
		t.Errorf("the edge's span is below %s", hops[0].ParentID)
	}

	// Bob is no staff: the last proxy refuses, and says which line does not have him.
	c.status("refused", 403, "bob", "", inTrace(refusedTrace))
	hops = c.hops(refusedTrace, 4)
	line := 1 + strings.Count(callers[:strings.Index(callers, "kind: AuthorizationPolicy")], "\n")
	if d := hops[3].Decisions; hops[3].Status != 403 || len(hops[3].Tries) != 0 || len(d) != 1 || d[0].Verdict != "denied" || d[0].Policy != "default/staff" ||
		!strings.HasSuffix(d[0].Place.File, "mesh.yaml") || d[0].Place.Line < line-1 || d[0].Place.Line > line+9 {
		t.Errorf("the last hop is %+v; the policy is at line %d", hops[3], line)
	}
	out, err := c.command("explain", "--request-id", hops[0].RequestID)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, says := range []string{"1. edge", "2. inbound", "3. outbound", "4. inbound", "denied by AuthorizationPolicy default/staff", "mesh.yaml:", "403 AccessDenied by this proxy"} {
		if !strings.Contains(out, says) {
			t.Errorf("%q is missing in\n%s", says, out)
		}
	}
	if out, err = c.command("trace", "--errors", "--service", "ratings"); err != nil || !strings.Contains(out, refusedTrace) || strings.Contains(out, goodTrace) {
		t.Errorf("%v: %s", err, out)
	}
}

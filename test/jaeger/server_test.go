package jaeger

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/gridway/gridway/test/harness"
)

// config of a Jaeger that keeps traces in memory and listens on loopback only.
const config = `
service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines:
    traces: {receivers: [otlp], exporters: [jaeger_storage_exporter]}
  telemetry:
    metrics: {level: none}
    logs: {level: warn}
extensions:
  jaeger_query:
    storage: {traces: memory}
    http: {endpoint: "127.0.0.1:%[1]d"}
    grpc: {endpoint: "127.0.0.1:%[2]d"}
  jaeger_storage:
    backends: {memory: {memory: {max_traces: 10000}}}
receivers:
  otlp:
    protocols:
      grpc: {endpoint: "127.0.0.1:%[3]d"}
      http: {endpoint: "127.0.0.1:%[4]d"}
exporters:
  jaeger_storage_exporter: {trace_storage: memory}
`

// server is a running Jaeger.
type server struct {
	t *testing.T
	// name is of the protocol that it is spoken to by.
	name              string
	query, grpc, http int // ports
}

func startJaeger(t *testing.T, name string) *server {
	t.Helper()
	binary, err := filepath.Abs("../../bin/jaeger")
	if err == nil {
		_, err = os.Stat(binary)
	}
	if err != nil {
		t.Fatalf("%v: run \"make jaeger\", which builds it", err)
	}
	ports := harness.FreePorts(t, 4)
	j := &server{t: t, name: name, query: ports[0], grpc: ports[2], http: ports[3]}
	file := filepath.Join(t.TempDir(), "jaeger.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, config, ports[0], ports[1], ports[2], ports[3]), 0o600); err != nil {
		t.Fatal(err)
	}
	harness.Run(t, func() bool {
		var v struct{}
		return harness.Listens(j.grpc) && harness.Listens(j.http) && j.get("/api/v3/services", &v) == nil
	}, nil, binary, "--config", file)
	return j
}

func (j *server) get(path string, into any) error {
	resp, err := (&http.Client{Timeout: harness.Patience}).Get("http://127.0.0.1:" + strconv.Itoa(j.query) + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// span is one as Jaeger gives it back.
type span struct {
	service  string
	resource map[string]string

	id, parent string
	name       string
	server     bool
	failed     bool
	attributes map[string]string
	events     []event
	start, end time.Time

	children []*span
}

type event struct {
	name       string
	attributes map[string]string
}

// attribute is one of OTLP in JSON.
type attribute struct {
	Key   string
	Value map[string]any
}

func asMap(list []attribute) map[string]string {
	out := map[string]string{}
	for _, a := range list {
		for _, v := range a.Value {
			out[a.Key] = fmt.Sprint(v)
		}
	}
	return out
}

// document is an answer of the query API, version 3: OTLP in JSON.
type document struct {
	Result struct {
		ResourceSpans []struct {
			Resource   struct{ Attributes []attribute }
			ScopeSpans []struct {
				Spans []struct {
					SpanID, ParentSpanID, Name         string
					Kind                               int
					StartTimeUnixNano, EndTimeUnixNano string
					Attributes                         []attribute
					Events                             []struct {
						Name       string
						Attributes []attribute
					}
					Status struct{ Code int }
				}
			}
		}
	}
}

const (
	kindServer  = 2
	statusError = 2
)

// trace waits until the server has so many spans of a trace, and returns them in a tree,
// whose root is the span that has no parent among them.
func (j *server) trace(id string, want int) *span {
	j.t.Helper()
	var spans map[string]*span
	if !harness.Soon(func() bool {
		var d document
		if j.get("/api/v3/traces/"+id, &d) != nil {
			return false
		}
		spans = d.spans()
		return len(spans) >= want
	}) || len(spans) > want {
		j.t.Fatalf("%s: %d spans of trace %s, want %d: %s", j.name, len(spans), id, want, names(spans))
	}
	var root *span
	for _, s := range spans {
		if above := spans[s.parent]; above != nil {
			above.children = append(above.children, s)
			continue
		}
		if root != nil {
			j.t.Fatalf("%s: trace %s has two roots, %q and %q", j.name, id, root.name, s.name)
		}
		root = s
	}
	if root == nil {
		j.t.Fatalf("%s: trace %s has no root", j.name, id)
	}
	inOrder(root)
	return root
}

func (d *document) spans() map[string]*span {
	out := map[string]*span{}
	for _, r := range d.Result.ResourceSpans {
		resource := asMap(r.Resource.Attributes)
		for _, scope := range r.ScopeSpans {
			for _, s := range scope.Spans {
				n := &span{
					service: resource["service.name"], resource: resource, id: s.SpanID, parent: s.ParentSpanID, name: s.Name,
					server: s.Kind == kindServer, failed: s.Status.Code == statusError, attributes: asMap(s.Attributes),
					start: at(s.StartTimeUnixNano), end: at(s.EndTimeUnixNano),
				}
				for _, e := range s.Events {
					n.events = append(n.events, event{e.Name, asMap(e.Attributes)})
				}
				out[n.id] = n
			}
		}
	}
	return out
}

func at(nanoseconds string) time.Time {
	n, _ := strconv.ParseInt(nanoseconds, 10, 64) // 0 is found to be wrong by who compares times
	return time.Unix(0, n)
}

// found has the IDs of traces that a search of the older API, which the user interface
// uses, finds by service and tags.
func (j *server) found(service, tags string) (ids []string) {
	j.t.Helper()
	var v struct{ Data []struct{ TraceID string } }
	if err := j.get("/api/traces?limit=100&lookback=1h&service="+url.QueryEscape(service)+"&tags="+url.QueryEscape(tags), &v); err != nil {
		j.t.Fatalf("%s: %v", j.name, err)
	}
	for _, d := range v.Data {
		ids = append(ids, d.TraceID)
	}
	return ids
}

package grpc

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gridway/gridway/test/harness"
)

// transcoded is a gateway before the server, whose HTTPRoute has the policy.
func transcoded(t *testing.T, s *items, spec string) (*gridway, string) {
	t.Helper()
	port := harness.FreePorts(t, 1)[0]
	return start(t, transcodedConfig(s, port, spec)), "http://" + local(port)
}

func transcodedConfig(s *items, port int, spec string) string {
	return gateway(listener("http", port, "")) + fmt.Sprintf(`---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: items}
spec:
  parentRefs: [{name: edge}]
  rules: [{backendRefs: [{group: gridway.dev, kind: Backend, name: items}]}]
---
apiVersion: gridway.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: items}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: items}]
  %s
---
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: items}
spec: {protocol: h2c, endpoints: [{address: %q}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: descriptors}
binaryData: {descriptors.binpb: %s}
`, spec, s.address, base64.StdEncoding.EncodeToString(s.set))
}

const fromSet = "descriptorSet: {name: descriptors}"

type answer struct {
	status int
	header http.Header
	body   string
}

func ask(t *testing.T, method, url, body string, fields ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(short(t), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		b = append(b, "; "+err.Error()...)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func TestTranscoding(t *testing.T) {
	s := newItems(t, itemsProto).start(t, "")
	s.fails = 1
	g, url := transcoded(t, s, "transcoding: {"+fromSet+", maxMessageBytes: 2048}\n  retry: {attempts: 2, retryOn: [Unavailable]}\n  timeouts: {request: 30s}")
	for name, c := range map[string]struct {
		request, body string
		fields        []string
		status        int
		media, want   string
	}{
		"get":            {"GET /v1/items/1", "", nil, 200, "application/json", `{"name":"items/1","count":1}`},
		"create":         {"POST /v1/shelves/2/items", `{"name":"x"}`, nil, 200, "application/json", `{"name":"made","note":"{\"parent\":\"shelves/2\",\"item\":{\"name\":\"x\"}}"}`},
		"own path":       {"POST /items.v1.Items/Plain", `{"name":"y"}`, nil, 200, "application/json", `{"name":"y","count":1}`},
		"array":          {"GET /v1/items/1:watch", "", nil, 200, "application/json", `[{"name":"items/1"},{"name":"items/1","count":1},{"name":"items/1","count":2}]`},
		"lines":          {"GET /v1/items/1:watch", "", []string{"Accept", "application/x-ndjson"}, 200, "application/x-ndjson", "{\"name\":\"items/1\"}\n{\"name\":\"items/1\",\"count\":1}\n{\"name\":\"items/1\",\"count\":2}\n"},
		"events":         {"GET /v1/items/1:watch", "", []string{"Accept", "text/event-stream"}, 200, "text/event-stream", "data: {\"name\":\"items/1\"}\n\ndata: {\"name\":\"items/1\",\"count\":1}\n\ndata: {\"name\":\"items/1\",\"count\":2}\n\n"},
		"broken":         {"GET /v1/items/broken:watch", "", nil, 200, "application/json", `[{"name":"items/broken"},{"name":"items/broken","count":1},{"error":{"code":10,"message":"no more","details":[]}}]`},
		"broken event":   {"GET /v1/items/broken:watch", "", []string{"Accept", "text/event-stream"}, 200, "text/event-stream", "data: {\"name\":\"items/broken\"}\n\ndata: {\"name\":\"items/broken\",\"count\":1}\n\nevent: error\ndata: {\"error\":{\"code\":10,\"message\":\"no more\",\"details\":[]}}\n\n"},
		"import":         {"POST /v1/items:import", "{\"name\":\"a\"}\n\n{\"name\":\"b\"}\r\n{\"name\":\"c\"}", nil, 200, "application/json", `{"count":3}`},
		"import nothing": {"POST /v1/items:import", "", nil, 200, "application/json", `{}`},
		"chat":           {"POST /v1/items:chat", "{\"name\":\"a\"}\n{\"name\":\"b\"}\n", nil, 200, "application/json", `[{"name":"a","count":1},{"name":"b","count":2}]`},
		"page":           {"GET /pages/a/b", "", nil, 200, "text/html", `<b>`},
		"pieces":         {"GET /pieces/a/b", "", nil, 200, "application/octet-stream", `<b><b><b>`},
		"retry":          {"GET /v1/items/flaky", "", nil, 200, "application/json", `{"name":"items/flaky","count":1}`},
		"missing":        {"GET /v1/items/missing", "", nil, 404, "application/json", `{"code":5,"message":"there is no such item: é","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"GONE"}]}`},
		"secret":         {"GET /v1/items/secret", "", nil, 401, "application/json", `{"code":16,"message":"who are you?","details":[]}`},
		"no path":        {"GET /v2/items", "", nil, 404, "application/json", `{"code":5,"message":"no method of the service has this path","details":[]}`},
		"no method":      {"DELETE /v1/items/1", "", nil, 405, "application/json", `{"code":12,"message":"this path has no such method; see Allow","details":[]}`},
		"own path, GET":  {"GET /items.v1.Items/Plain", "", nil, 405, "application/json", `{"code":12,"message":"this path has no such method; see Allow","details":[]}`},
		"bad query":      {"GET /v1/items/1?count=x", "", nil, 400, "application/json", `{"code":3,"message":"count in the query: it is not of type int32","details":[]}`},
		"bad JSON":       {"POST /v1/shelves/2/items", `{"nome":"x"}`, nil, 400, "application/json", `{"code":3,"message":"the body is not a items.v1.Item: (line 1:2): unknown field \"nome\"","details":[]}`},
		"no JSON":        {"POST /v1/shelves/2/items", `name=x`, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "application/json", `{"code":3,"message":"the body must be JSON, with Content-Type: application/json","details":[]}`},
		"a body":         {"GET /v1/items/1", `{}`, nil, 400, "application/json", `{"code":3,"message":"this method takes no body","details":[]}`},
		"long":           {"POST /v1/shelves/2/items", `{"name":"` + strings.Repeat("x", 2100) + `"}`, nil, 413, "application/json", `{"code":8,"message":"the body is longer than a message may be","details":[]}`},
		"long answer":    {"GET /v1/items/large", "", nil, 502, "application/json", `{"code":8,"message":"the backend's response is longer than is buffered","details":[]}`},
		"late":           {"GET /v1/items/slow", "", []string{"Grpc-Timeout", "100m"}, 504, "application/json", `{"code":4,"message":"the backend did not answer in time","details":[]}`},
		"too late":       {"GET /v1/items/slow", "", []string{"Grpc-Timeout", "1n"}, 504, "application/json", `{"code":4,"message":"the backend did not answer in time","details":[]}`},
		"bad timeout":    {"GET /v1/items/slow", "", []string{"Grpc-Timeout", "soon"}, 400, "application/json", `{"code":3,"message":"grpc-timeout is not a number of up to eight digits with a unit","details":[]}`},
	} {
		t.Run(name, func(t *testing.T) {
			method, path, _ := strings.Cut(c.request, " ")
			got := ask(t, method, url+path, c.body, c.fields...)
			if got.status != c.status || got.body != c.want || got.header.Get("Content-Type") != c.media {
				t.Errorf("%d %s\n%s\nwant %d %s\n%s", got.status, got.header.Get("Content-Type"), got.body, c.status, c.media, c.want)
			}
		})
	}
	got := ask(t, "GET", url+"/v1/items/metadata", "", "X-Client", "c")
	if got.header.Get("X-Seen") != "c" || got.header.Get("X-Cost") != "5" || got.header.Get("Grpc-Status") != "" {
		t.Errorf("metadata: %v", got.header)
	}
	if got := ask(t, "DELETE", url+"/v1/items/1", ""); got.header.Get("Allow") != "GET" {
		t.Errorf("Allow: %v", got.header)
	}
	for _, want := range []string{
		`gridway_grpc_calls_total{method="Get",service="items.v1.Items",status="NOT_FOUND"} 1`,
		`gridway_grpc_calls_total{method="Get",service="items.v1.Items",status="UNAUTHENTICATED"} 1`,
		`gridway_grpc_calls_total{method="Get",service="items.v1.Items",status="DEADLINE_EXCEEDED"} 2`,
		`gridway_grpc_calls_total{method="Watch",service="items.v1.Items",status="ABORTED"} 2`,
		`gridway_grpc_calls_total{method="Import",service="items.v1.Items",status="OK"} 2`,
	} {
		if !harness.Soon(func() bool { return strings.Contains(g.Get("/metrics"), want+"\n") }) {
			t.Errorf("no %s in\n%s", want, g.Get("/metrics"))
		}
	}
}

// What was sent is passed on at once, in both directions.
func TestTranscodedStreamFlows(t *testing.T) {
	s := newItems(t, itemsProto)
	s.stuck = make(chan struct{})
	s.start(t, "")
	_, url := transcoded(t, s, "transcoding: {"+fromSet+", streaming: Lines}")
	req, err := http.NewRequestWithContext(short(t), "GET", url+"/v1/items/1:watch", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, len("{\"name\":\"items/1\"}\n"))
	if _, err := io.ReadFull(resp.Body, first); err != nil {
		t.Fatal(err)
	}
	close(s.stuck)
	rest, err := io.ReadAll(resp.Body)
	if want := "{\"name\":\"items/1\",\"count\":1}\n{\"name\":\"items/1\",\"count\":2}\n"; err != nil || string(rest) != want {
		t.Errorf("%s, %v", rest, err)
	}
}

// Clients of gRPC, gRPC-Web and Connect on the same route get what they got without.
func TestTranscodingBesideBridge(t *testing.T) {
	s := newItems(t, itemsProto).start(t, "")
	s.fails = 2
	g, url := transcoded(t, s, "transcoding: {"+fromSet+"}\n  bridge: {}\n  maxBodyBytes: 100\n  retry: {attempts: 3, retryOn: [Unavailable]}")
	if got := ask(t, "GET", url+"/v1/items/missing", ""); got.status != 404 || !strings.HasPrefix(got.body, `{"code":5,`) {
		t.Error(got)
	}
	if got := ask(t, "POST", url+"/v1/shelves/2/items", `{"name":"x"}`); got.status != 200 {
		t.Error(got)
	}
	frame := string([]byte{0, 0, 0, 0, 3, 10, 1, 'w'})
	got := ask(t, "POST", url+"/items.v1.Items/Plain", frame, "Content-Type", "application/grpc-web+proto")
	if got.status != 200 || !strings.Contains(got.body, "grpc-status: 0") {
		t.Error(got)
	}
	got = ask(t, "POST", url+"/items.v1.Items/Plain", string([]byte{10, 1, 'c'}), "Content-Type", "application/proto")
	if got.status != 200 || !bytes.Contains([]byte(got.body), []byte{10, 1, 'c'}) {
		t.Error(got)
	}
	// Messages of JSON become those of Protocol Buffers, which is all that the endpoint knows.
	framed := func(flags byte, texts ...string) (all string) {
		for _, text := range texts {
			all += string([]byte{flags, 0, 0, 0, byte(len(text))}) + text
		}
		return all
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	io.WriteString(z, `{"name":"z"}`)
	z.Close()
	for name, c := range map[string]struct {
		path, body string
		fields     []string
		status     int
		want       string
	}{
		"unary":   {"Plain", `{"name":"c"}`, []string{"Content-Type", "application/json"}, 200, `{"name":"c","count":1}`},
		"nothing": {"Plain", "", []string{"Content-Type", "application/json"}, 200, `{"count":1}`},
		"gzip":    {"Plain", zipped.String(), []string{"Content-Type", "application/json", "Content-Encoding", "gzip"}, 200, `{"name":"z","count":1}`},
		"brotli":  {"Plain", "x", []string{"Content-Type", "application/json", "Content-Encoding", "br"}, 400, `{"code":"invalid_argument"`},
		"unknown": {"Plain", `{"nome":"c"}`, []string{"Content-Type", "application/json"}, 400, `{"code":"invalid_argument","message":"the body is not a items.v1.Item`},
		"error":   {"Get", `{"name":"items/missing"}`, []string{"Content-Type", "application/json"}, 404, `{"code":"not_found","message":"there is no such item: é","details":`},
		"stream":  {"Watch", framed(0, `{"name":"w"}`), []string{"Content-Type", "application/connect+json"}, 200, framed(0, `{"name":"w"}`, `{"name":"w","count":1}`, `{"name":"w","count":2}`) + framed(2, "{}")},
		"both":    {"Chat", framed(0, `{"name":"a"}`, `{"name":"b"}`), []string{"Content-Type", "application/connect+json"}, 200, framed(0, `{"name":"a","count":1}`, `{"name":"b","count":2}`) + framed(2, "{}")},
		"coded":   {"Watch", framed(1, zipped.String()), []string{"Content-Type", "application/connect+json", "Connect-Content-Encoding", "gzip"}, 200, framed(0, `{"name":"z"}`)},
		"cut":     {"Watch", framed(0, `{"name":"w"}`)[:9], []string{"Content-Type", "application/connect+json"}, 200, `{"error":{"code":"invalid_argument"`},
		"web":     {"Plain", framed(0, `{"name":"g"}`), []string{"Content-Type", "application/grpc-web+json"}, 200, framed(0, `{"name":"g","count":1}`)},
		"text":    {"Plain", base64.StdEncoding.EncodeToString([]byte(framed(0, `{"name":"g"}`))), []string{"Content-Type", "application/grpc-web-text+json"}, 200, base64.StdEncoding.EncodeToString([]byte(framed(0, `{"name":"g","count":1}`)))[:30]},
		"no such": {"None", `{}`, []string{"Content-Type", "application/json"}, 501, `{"code":"unimplemented"`},
	} {
		got := ask(t, "POST", url+"/items.v1.Items/"+c.path, c.body, append(c.fields, "Connect-Protocol-Version", "1")...)
		if got.status != c.status || !strings.Contains(got.body, c.want) {
			t.Errorf("%s: %d %q, want %d %q", name, got.status, got.body, c.status, c.want)
		}
	}
	// Bridged calls are counted, and tried again for gRPC's statuses.
	flaky := "\n\x0bitems/flaky"
	if got := ask(t, "POST", url+"/items.v1.Items/Plain", flaky, "Content-Type", "application/proto"); got.status != 200 {
		t.Error(got)
	}
	want := `gridway_grpc_calls_total{method="Plain",service="items.v1.Items",status="OK"} 8`
	if !harness.Soon(func() bool { return strings.Contains(g.Get("/metrics"), want+"\n") }) {
		t.Errorf("no %s", want)
	}
	// What is refused before it is translated has the client's form, too.
	long := strings.Repeat("x", 200)
	for media, want := range map[string]string{
		"application/grpc-web+proto": "grpc-status: 8", "application/connect+proto": `{"error":{"code":"resource_exhausted"`, "application/proto": `{"code":"resource_exhausted"`,
	} {
		if got := ask(t, "POST", url+"/items.v1.Items/Plain", long, "Content-Type", media); !strings.Contains(got.body, want) {
			t.Errorf("%s: %v", media, got)
		}
	}
	if got := ask(t, "POST", url+"/v1/shelves/2/items", `{"name":"`+long+`"}`); got.status != 413 || !strings.HasPrefix(got.body, `{"code":8,`) {
		t.Error(got)
	}
}

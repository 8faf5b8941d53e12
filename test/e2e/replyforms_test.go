package e2e

import (
	"bytes"
	"encoding/base64"
	endian "encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
)

// A speaker is a client of a protocol above HTTP. It sends a call, and reads what
// an answer says in its protocol.
type speaker struct {
	name   string
	http2  bool
	method string
	path   string // "" is that of the method
	fields [][2]string
	body   string
	// code reads an answer that must be an error in the protocol's form.
	code func(*http.Response, []byte) (string, error)
	// json: it is transcoded, which needs a policy.
	json bool
}

const shopMethod = "/shop.v1.Shop/GetItem"

// framed is an empty message with its prefix.
const framed = "\x00\x00\x00\x00\x00"

var speakers = []speaker{
	{name: "gRPC", http2: true, fields: [][2]string{{"Content-Type", "application/grpc+proto"}, {"Te", "trailers"}}, body: framed, code: saidByGRPC},
	{name: "gRPC-Web", fields: [][2]string{{"Content-Type", "application/grpc-web+proto"}}, body: framed, code: saidByWeb("application/grpc-web+proto")},
	{name: "gRPC-Web over HTTP/2", http2: true, fields: [][2]string{{"Content-Type", "application/grpc-web"}}, body: framed, code: saidByWeb("application/grpc-web")},
	{
		name: "gRPC-Web in text", fields: [][2]string{{"Content-Type", "application/grpc-web-text+proto"}},
		body: base64.StdEncoding.EncodeToString([]byte(framed)), code: saidByWeb("application/grpc-web-text+proto"),
	},
	{name: "Connect, JSON", fields: [][2]string{{"Content-Type", "application/json"}, {"Connect-Protocol-Version", "1"}}, body: "{}", code: saidByConnect},
	{
		name: "Connect, proto over HTTP/2", http2: true, fields: [][2]string{{"Content-Type", "application/proto"}, {"Connect-Protocol-Version", "1"}},
		body: "\n\x01x", code: saidByConnect,
	},
	{name: "Connect, GET", method: "GET", path: shopMethod + "?connect=v1&encoding=proto&base64=1&message=CgF4", code: saidByConnect},
	{
		name: "Connect, stream", http2: true, fields: [][2]string{{"Content-Type", "application/connect+proto"}, {"Connect-Protocol-Version", "1"}},
		body: framed, code: saidByConnectStream,
	},
	{name: "JSON", method: "POST", path: "/v1/items", fields: [][2]string{{"Content-Type", "application/json"}}, body: "{}", json: true, code: saidByJSON},
}

func saidByGRPC(r *http.Response, body []byte) (string, error) {
	if r.StatusCode != 200 || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") || len(body) > 0 {
		return "", fmt.Errorf("%d %v %q", r.StatusCode, r.Header, body)
	}
	return r.Header.Get("Grpc-Status") + r.Trailer.Get("Grpc-Status"), nil
}

// inFrame is what is in the only frame of a body, which has the flags.
func inFrame(body []byte, flags byte) ([]byte, error) {
	if len(body) < 5 || body[0] != flags || uint64(endian.BigEndian.Uint32(body[1:])) != uint64(len(body)-5) {
		return nil, fmt.Errorf("no frame: %q", body)
	}
	return body[5:], nil
}

func saidByWeb(media string) func(*http.Response, []byte) (string, error) {
	return func(r *http.Response, body []byte) (code string, err error) {
		if r.StatusCode != 200 || r.Header.Get("Content-Type") != media {
			return "", fmt.Errorf("%d %v %q", r.StatusCode, r.Header, body)
		}
		if strings.Contains(media, "-text") {
			if body, err = base64.StdEncoding.DecodeString(string(body)); err != nil {
				return "", err
			}
		}
		trailer, err := inFrame(body, 0x80)
		for line := range strings.SplitSeq(string(trailer), "\r\n") {
			if v, ok := strings.CutPrefix(line, "grpc-status: "); ok {
				code = v
			}
		}
		return code, err
	}
}

func saidByConnect(r *http.Response, body []byte) (string, error) {
	var said struct{ Code, Message string }
	err := json.Unmarshal(body, &said)
	if err != nil || r.StatusCode < 400 || r.Header.Get("Content-Type") != "application/json" || said.Message == "" {
		return "", fmt.Errorf("%d %v %q %w", r.StatusCode, r.Header, body, err)
	}
	return numberOf(said.Code), nil
}

func saidByConnectStream(r *http.Response, body []byte) (string, error) {
	end, err := inFrame(body, 2)
	if err != nil || r.StatusCode != 200 || r.Header.Get("Content-Type") != "application/connect+proto" {
		return "", fmt.Errorf("%d %v %q %w", r.StatusCode, r.Header, body, err)
	}
	var said struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal(end, &said); err != nil || said.Error.Message == "" {
		return "", fmt.Errorf("%q %w", end, err)
	}
	return numberOf(said.Error.Code), nil
}

func saidByJSON(r *http.Response, body []byte) (string, error) {
	var said struct {
		Code    int
		Message string
		Details []any
	}
	err := json.Unmarshal(body, &said)
	if err != nil || r.StatusCode < 400 || r.Header.Get("Content-Type") != "application/json" || said.Message == "" || said.Details == nil {
		return "", fmt.Errorf("%d %v %q %w", r.StatusCode, r.Header, body, err)
	}
	return fmt.Sprint(said.Code), nil
}

// numberOf is the number of a code that Connect names.
func numberOf(name string) string {
	return fmt.Sprint(slices.Index([]string{
		"ok", "canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists", "permission_denied",
		"resource_exhausted", "failed_precondition", "aborted", "out_of_range", "unimplemented", "internal", "unavailable", "data_loss", "unauthenticated",
	}, name))
}

// TestRepliesInTheCallersProtocol: whatever Gridway itself has to say, each client
// is told in its own protocol, with a policy that translates it and without.
func TestRepliesInTheCallersProtocol(t *testing.T) {
	t.Parallel()
	release, busy := make(chan struct{}), make(chan struct{}, 10)
	app := serveProtocols(t, plainProtocols(), func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.Host, "reset"):
			panic(http.ErrAbortHandler)
		case r.Header.Get("X-Keep") != "" || strings.HasPrefix(r.Host, "slow"):
			if r.Header.Get("X-Keep") != "" {
				busy <- struct{}{}
			}
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Grpc-Status", "0")
	})
	closed := fmt.Sprintf("127.0.0.1:%d", ownPort(t))
	descriptors, err := os.ReadFile("../../examples/transcoding/shop.binpb")
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, policy, backend string
		reason, code          string
		json                  string // code in JSON, if that is another one; "-" is no JSON
		plain                 string // code without a policy, if that is another one
		busy                  bool   // one request is under way
		field                 [2]string
	}{
		{name: "nowhere", reason: "RouteNotFound", code: "12"},
		{name: "header", policy: "maxBodyBytes: 1000", reason: "HeaderTooLarge", code: "8", field: [2]string{"X-Long", strings.Repeat("x", 100_000)}},
		{name: "zero", policy: "maxBodyBytes: 1000", backend: "weight: 0", reason: "BackendInvalid", code: "14"},
		{name: "refused", policy: "retry: {attempts: 0}", backend: "name: closed", reason: "UpstreamConnectFailure", code: "14"},
		{name: "reset", policy: "retry: {attempts: 0}", reason: "UpstreamReset", code: "13", plain: "14"},
		{name: "slow", policy: "timeouts: {request: 200ms}", reason: "UpstreamTimeout", code: "4"},
		{name: "unavailable", policy: "fault: {abort: {status: 503}}", reason: "FaultInjected", code: "14"},
		{name: "forbidden", policy: "fault: {abort: {status: 403}}", reason: "FaultInjected", code: "7"},
		{name: "limited", policy: "fault: {abort: {status: 429}}", reason: "FaultInjected", code: "14", json: "8"},
		{name: "empty", policy: "fault: {abort: {status: 204}}", reason: "FaultInjected", code: "2", json: "-"},
		{name: "delayed", policy: "timeouts: {request: 100ms}\nfault: {delay: {duration: 1h}}", reason: "UpstreamTimeout", code: "4"},
		{name: "small", policy: "maxBodyBytes: 1", reason: "BodyTooLarge", code: "8"},
		{name: "breaker", policy: "circuitBreaker: {maxRequests: 1}", reason: "Overload", code: "14", busy: true},
		{name: "admission", policy: "admission: {minConcurrency: 1, maxConcurrency: 1, maxQueue: 0}", reason: "AdmissionDenied", code: "14", busy: true},
		{name: "closed", policy: `directResponse: {status: 503, body: "closed for today"}`, code: "14", json: "-"},
		{name: "own", policy: `directResponse: {status: 200, headers: [{name: grpc-status, value: "9"}, {name: grpc-message, value: "not%20now"}]}`, code: "9", json: "-"},
	}
	docs := []string{gatewayDoc, backendDoc("app", app.addr) + "  protocol: h2c\n", backendDoc("closed", closed) + "  protocol: h2c\n", fmt.Sprintf(`apiVersion: v1
kind: ConfigMap
metadata: {name: descriptors}
binaryData: {descriptors.binpb: %s}
`, base64.StdEncoding.EncodeToString(descriptors))}
	for _, c := range cases {
		for mode, more := range map[string]string{"plain": "", "bridged": "\nbridge: {}\ntranscoding: {descriptorSet: {name: descriptors}}"} {
			if c.policy == "" {
				continue
			}
			backend := "name: app"
			if c.backend != "" && strings.HasPrefix(c.backend, "name") {
				backend = c.backend
			} else if c.backend != "" {
				backend += ", " + c.backend
			}
			name := c.name + "-" + mode
			docs = append(docs, fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %s}
spec:
  parentRefs: [{name: edge}]
  hostnames: [%s.example]
  rules: [{backendRefs: [{group: gridway.dev, kind: Backend, %s}]}]
`, name, name, backend), policyDoc(name, "HTTPRoute", name, c.policy+more))
		}
	}
	g := serveYAML(t, documents(docs...))
	clients := map[bool]*http.Client{false: g.client, true: overHTTP2(t, nil)}
	send := func(s *speaker, host string, field [2]string) (*http.Response, []byte, error) {
		method, path := s.method, s.path
		if method == "" {
			method = "POST"
		}
		if path == "" {
			path = shopMethod
		}
		var body io.Reader
		if s.body != "" {
			body = bytes.NewReader([]byte(s.body))
		}
		r := g.request(method, path, body)
		r.Host = host
		for _, f := range append(s.fields, field) {
			if f[0] != "" {
				r.Header.Set(f[0], f[1])
			}
		}
		resp, err := clients[s.http2].Do(r)
		if err != nil {
			return nil, nil, err
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		return resp, got, err
	}
	for _, c := range cases {
		for _, mode := range []string{"plain", "bridged"} {
			host := c.name + "-" + mode + ".example"
			if c.busy {
				early := make(chan string, 1)
				go func() {
					resp, body, err := send(&speakers[0], host, [2]string{"X-Keep", "1"})
					early <- fmt.Sprintf("%v %q %v", resp, body, err)
				}()
				select {
				case <-busy:
				case what := <-early:
					if strings.Contains(what, c.reason) { // by what the case before has left
						break
					}
					t.Fatalf("%s: the endpoint is not busy: %s", host, what)
				}
			}
			for _, s := range speakers {
				t.Run(c.name+"/"+mode+"/"+s.name, func(t *testing.T) {
					want := c.code
					switch {
					case c.name == "header" && s.http2: // which Go's client does not send
						t.SkipNow()
					case mode == "plain" && c.plain != "" && s.name != "gRPC" && !s.json:
						want = c.plain
					case s.json && (mode == "plain" || c.policy == "" || c.json == "-" || c.name == "header"):
						t.SkipNow()
					case s.json && c.json != "":
						want = c.json
					case c.name == "small" && s.method == "GET":
						t.SkipNow()
					}
					resp, body, err := send(&s, host, c.field)
					if err != nil {
						t.Fatal(err)
					}
					code, err := s.code(resp, body)
					reason := resp.Header.Get("X-Gridway-Reason")
					if c.name == "slow" && reason == "RequestTimeout" { // on a slow machine
						reason = c.reason
					}
					if err != nil || code != want || reason != c.reason {
						t.Errorf("code %q, reason %q, %v; want %s %s\n%d %v %q", code, resp.Header.Get("X-Gridway-Reason"), err, want, c.reason,
							resp.StatusCode, resp.Header, body)
					}
				})
			}
		}
	}
	close(release)
}

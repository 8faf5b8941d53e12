package mesh

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// passed are the headers that an application passes on.
var passed = []string{"Gridway-Caller", "X-Request-Id", "Traceparent", "Tracestate"}

// relay has a program ask another service: "/relay/PORT/path" asks for /path at a port of
// its sidecar, and passes on what names the request and its caller. Headers of the query
// take the place of what came.
func relay(w http.ResponseWriter, r *http.Request) bool {
	rest, ok := strings.CutPrefix(r.URL.Path, "/relay/")
	if !ok {
		return false
	}
	at, path, _ := strings.Cut(rest, "/")
	header := http.Header{}
	for _, name := range passed {
		if v, replaced := r.URL.Query()[name]; replaced {
			header[name] = v
		} else if v := r.Header.Get(name); v != "" {
			header.Set(name, v)
		}
	}
	if r.Header.Get("Upgrade") != "" {
		relayWebSocket(w, r, "ws://127.0.0.1:"+at+"/"+path, header)
		return true
	}
	req, err := http.NewRequestWithContext(r.Context(), r.Method, "http://127.0.0.1:"+at+"/"+path, nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return true
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return true
	}
	defer resp.Body.Close()
	w.Header().Set("X-Gridway-Inner", resp.Header.Get("X-Gridway-Reason"))
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
	return true
}

const callers = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public}
spec:
  gatewayClassName: gridway
  listeners: [{name: http, port: EDGE, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: front}
spec:
  parentRefs: [{name: public}]
  rules:
  - backendRefs: [{name: front, port: FRONT}]
---
apiVersion: v1
kind: Secret
metadata: {name: ada}
stringData: {key: a-key-of-ada-that-is-long-enough}
---
apiVersion: v1
kind: Secret
metadata: {name: bob}
stringData: {key: a-key-of-bob-that-is-long-enough}
---
apiVersion: gridway.dev/v1alpha1
kind: Consumer
metadata: {name: ada}
spec:
  groups: [staff]
  credentials: [{name: key, apiKey: {secretRef: {name: ada}}}]
---
apiVersion: gridway.dev/v1alpha1
kind: Consumer
metadata: {name: bob}
spec:
  credentials: [{name: key, apiKey: {secretRef: {name: bob}}}]
---
apiVersion: gridway.dev/v1alpha1
kind: AuthenticationPolicy
metadata: {name: keys}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: public}]
  mode: Optional
  anyOf: [{name: keys, apiKey: {from: [{header: X-API-Key}]}}]
---
# What tells the application of ratings who calls, and takes out what others say of it.
apiVersion: gridway.dev/v1alpha1
kind: AuthenticationPolicy
metadata: {name: told}
spec:
  targetRefs: [{group: "", kind: Service, name: ratings}]
  mode: Anonymous
  requestHeaders: [{name: X-Consumer, value: Consumer}]
---
apiVersion: gridway.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: staff}
spec:
  targetRefs: [{group: "", kind: Service, name: ratings}]
  action: Allow
  rules:
  - {name: staff, groups: [staff], identities: ["spiffe://cluster.local/ns/default/sa/front"]}
`

// callerMesh is an edge, front, which asks ratings, and ratings, which are for staff.
type callerMesh struct {
	*mesh
	t              *testing.T
	open, up       string
	edge           *process
	front, ratings *process
}

func newCallerMesh(t *testing.T) *callerMesh {
	t.Helper()
	c := &callerMesh{mesh: newMesh(t, ""), t: t, open: port(t), up: port(t)}
	c.ratings = c.sidecar("ratings", "ratings", "--access-log", "stdout")
	c.front = c.sidecar("front", "front", "--upstream", "ratings=:"+c.up)
	c.write(strings.NewReplacer("EDGE", c.open, "FRONT", c.front.port).Replace(callers))
	c.edge = run(t, []string{"GRIDWAY_JOIN_TOKEN=" + c.token}, "edge", "--control", c.address, "--state-dir", filepath.Join(c.dir, "edge"))
	c.edge.said("in the mesh")
	eventually(t, "ada, of the staff, reaches ratings", func() error {
		a, err := c.ask("ada", "")
		if err == nil && a.Header.Get("X-Consumer") != "ada" {
			return fmt.Errorf("ratings see %q", a.Header)
		}
		return err
	})
	return c
}

// ask has front ask ratings in the name of somebody.
func (c *callerMesh) ask(name, query string, edits ...func(*http.Request)) (answer, error) {
	return get(c.open, "/relay/"+c.up+"/stars"+query, append(edits, func(r *http.Request) {
		if name != "" {
			r.Header.Set("X-API-Key", "a-key-of-"+name+"-that-is-long-enough")
		}
	})...)
}

func (c *callerMesh) status(what string, want int, name, query string, edits ...func(*http.Request)) {
	c.t.Helper()
	if a, err := c.ask(name, query, edits...); a.status != want {
		c.t.Errorf("%s: %d, want %d (%v)", what, a.status, want, err)
	}
}

// A caller whom the edge knows is known two hops further, if the application between
// passes the header on; nothing that anybody makes up is believed.
func TestCaller(t *testing.T) {
	c := newCallerMesh(t)
	c.status("bob is no staff", 403, "bob", "")
	c.status("nobody", 403, "", "")
	c.status("front does not pass it on", 403, "ada", "?Gridway-Caller=")
	c.status("for another request", 403, "ada", "?X-Request-Id=another")

	// What front has seen of the caller.
	a, err := get(c.open, "/", func(r *http.Request) { r.Header.Set("X-API-Key", "a-key-of-ada-that-is-long-enough") })
	if err != nil {
		t.Fatal(err)
	}
	token, id := a.Header.Get("Gridway-Caller"), a.Header.Get("X-Request-Id")
	if a.Header.Get("X-Consumer") != "" || strings.Count(token, ".") != 2 {
		t.Fatalf("front sees %q", a.Header)
	}
	c.status("while it lasts, and for its request", 200, "", "?Gridway-Caller="+token+"&X-Request-Id="+id)
	c.status("in the name of another", 403, "", "?Gridway-Caller="+forge(t, token)+"&X-Request-Id="+id)
	c.status("a client's own token", 403, "", "", func(r *http.Request) {
		r.Header.Set("Gridway-Caller", token)
		r.Header.Set("X-Request-Id", id)
	})
	if a, err := get(c.open, "/", func(r *http.Request) { r.Header.Set("Gridway_Caller", token) }); err != nil || a.Header.Get("Gridway-Caller")+a.Header.Get("Gridway_Caller") != "" {
		t.Errorf("a client's token came to an application: %v", err)
	}
	c.status("good again", 200, "ada", "")
	for _, want := range []string{`"consumer":"default/ada"`, `"auth_faults":"gridway-caller:other_request"`, `"auth_faults":"gridway-caller:bad_signature"`} {
		c.ratings.said(want)
	}
	c.edge.said(`"auth_faults":"gridway-caller:not_allowed"`)

	// An edge that is denied is believed no more, whoever passes its word on.
	c.status("before", 200, "", "?Gridway-Caller="+token+"&X-Request-Id="+id)
	if out, err := c.command("identity", "deny", "spiffe://cluster.local/ns/default/sa/edge"); err != nil {
		t.Fatal(out)
	}
	other := port(t)
	c.sidecar("front", "second", "--upstream", "ratings=:"+other)
	eventually(t, "the word of a denied edge is refused", func() error {
		a, _ := get(other, "/", func(r *http.Request) {
			r.Header.Set("Gridway-Caller", token)
			r.Header.Set("X-Request-Id", id)
		})
		if a.status == 403 {
			return nil
		}
		return fmt.Errorf("status %d", a.status)
	})
	c.ratings.said("gridway-caller:untrusted")
}

// forge makes somebody else of a token.
func forge(t *testing.T, token string) string {
	t.Helper()
	part := strings.Split(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(part[1])
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	m["consumer"] = map[string]any{"namespace": "default", "name": "root", "groups": []string{"staff"}}
	if text, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	part[1] = base64.RawURLEncoding.EncodeToString(text)
	return strings.Join(part, ".")
}

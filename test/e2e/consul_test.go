package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/config/source/consul/consultest"
)

// consulAgent is an agent of Consul, one of ours or a real one, which is spoken to
// by the API of both.
type consulAgent struct {
	t    *testing.T
	addr string
	// start and stop bring the agent up, and down at once as by SIGKILL.
	start, stop func()
}

func (a *consulAgent) put(path string, body any) {
	a.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		a.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPut, "http://"+a.addr+"/v1/agent/"+path, bytes.NewReader(text))
	if err != nil {
		a.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		a.t.Fatalf("%s: %s %s", path, resp.Status, text)
	}
}

func (a *consulAgent) register(id, host string, port int, tags ...string) {
	a.t.Helper()
	a.put("service/register", map[string]any{
		"ID": id, "Name": "app", "Address": host, "Port": port, "Tags": tags,
		"Check": map[string]any{"TTL": "1h", "Status": "passing"},
	})
}

// scriptedConsul starts our agent.
func scriptedConsul(t *testing.T) (*consulAgent, *consultest.Agent) {
	t.Helper()
	agent := &consultest.Agent{}
	var server *httptest.Server
	a := &consulAgent{t: t, addr: "127.0.0.1:0"}
	a.start = func() {
		t.Helper()
		l, err := net.Listen("tcp", a.addr)
		if err != nil {
			t.Fatal(err)
		}
		a.addr = l.Addr().String()
		server = httptest.NewUnstartedServer(agent)
		server.Listener.Close()
		server.Listener = l
		server.Start()
	}
	a.stop = func() {
		server.CloseClientConnections()
		server.Close()
	}
	a.start()
	t.Cleanup(func() { a.stop() })
	return a, agent
}

// realConsul starts the agent of Consul that is installed, or skips the test.
func realConsul(t *testing.T) *consulAgent {
	t.Helper()
	path, err := exec.LookPath("consul")
	if err != nil {
		t.Skip("consul is not installed")
	}
	a := &consulAgent{t: t, addr: fmt.Sprintf("127.0.0.1:%d", ownPort(t))}
	_, port, _ := net.SplitHostPort(a.addr)
	lan, wan, rpc := ownPort(t), ownPort(t), ownPort(t)
	var cmd *exec.Cmd
	a.start = func() {
		t.Helper()
		cmd = exec.Command(path, "agent", "-dev", "-bind=127.0.0.1", "-client=127.0.0.1", "-log-level=error", "-http-port="+port,
			"-dns-port=-1", "-grpc-port=-1", fmt.Sprintf("-serf-lan-port=%d", lan), fmt.Sprintf("-serf-wan-port=%d", wan), fmt.Sprintf("-server-port=%d", rpc))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the agent has a leader", func() bool {
			resp, err := http.Get("http://" + a.addr + "/v1/health/node/" + hostName(t))
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			text, _ := io.ReadAll(resp.Body)
			return bytes.Contains(text, []byte(`"Status":"passing"`)) || bytes.Contains(text, []byte(`"Status": "passing"`))
		})
	}
	a.stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	a.start()
	t.Cleanup(func() { a.stop() })
	return a
}

func consulBackend(addr, fields string) string {
	return fmt.Sprintf(`apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: app}
spec:
  consul: [{service: app, agent: {address: "http://%s"}%s}]
`, addr, fields)
}

// atOnceInConsul is how long a change at an agent may take to be in use.
const atOnceInConsul = time.Second

// follows runs through what happens to services while a gateway serves.
func follows(t *testing.T, a *consulAgent, hosts []string) *process {
	app, _ := onePort(t, hosts...)
	a.register("one", hosts[0], app, "blue")
	port := ownPort(t)
	p := start(t, documents(plainOn(port), routeDoc("app", ""), policyDoc("app", "HTTPRoute", "app", "loadBalancer: {algorithm: RoundRobin}"),
		consulBackend(a.addr, "")))
	if by := from(t, port); by != hosts[0] {
		t.Fatalf("the first request after the start is answered by %q", by)
	}
	soon := func(change func(), by ...string) {
		t.Helper()
		began := time.Now()
		change()
		answered(t, port, by...)
		if took := time.Since(began); took > atOnceInConsul {
			t.Errorf("it took %v until %v answer", took, by)
		}
	}
	soon(func() { a.register("two", hosts[1], app) }, hosts[0], hosts[1])
	soon(func() { a.put("check/fail/service:one", nil) }, hosts[1])
	soon(func() { a.put("check/pass/service:one", nil) }, hosts[0], hosts[1])
	soon(func() { a.put("service/maintenance/two?enable=true&reason=test", nil) }, hosts[0])
	soon(func() { a.put("service/maintenance/two?enable=false", nil) }, hosts[0], hosts[1])
	soon(func() { a.register("two", hosts[2], app) }, hosts[0], hosts[2])
	soon(func() { a.put("service/deregister/one", nil) }, hosts[2])
	soon(func() { a.put("service/deregister/two", nil) }, "NoHealthyEndpoint")
	soon(func() { a.register("one", hosts[0], app); a.register("two", hosts[1], app) }, hosts[0], hosts[1])

	// While nobody answers, the last answer serves, and the gateway says so.
	p.log.reset()
	a.stop()
	p.said("service cannot be asked for", "service=app", "keeps=2")
	for range 10 {
		if by := from(t, port); by != hosts[0] && by != hosts[1] {
			t.Errorf("answered by %q", by)
		}
	}
	if up := p.metric("gridway_dependency_up", `kind="consul"`, `name="app"`, `owner="Backend/default/app"`); up != 0 {
		t.Errorf("gridway_dependency_up is %v", up)
	}
	if status := p.admin("/v1/status"); !strings.Contains(status, `"kind":"consul"`) && !strings.Contains(status, `"kind": "consul"`) {
		t.Errorf("status: %s", status)
	}
	return p
}

func TestConsul(t *testing.T) {
	t.Parallel()
	a, agent := scriptedConsul(t)
	hosts := []string{"127.0.91.1", "127.0.91.2", "127.0.91.3"}
	p := follows(t, a, hosts)
	agent.Deregister("two") // while the gateway cannot see it
	a.start()
	p.said("service is known again")
	eventually(t, "it is up", func() bool { return p.metric("gridway_dependency_up", `kind="consul"`) == 1 })
	if n := p.metric("gridway_discovery_endpoints", `source="consul"`, `name="app"`); n != 1 {
		t.Errorf("gridway_discovery_endpoints is %v", n)
	}
	if text := p.admin("/v1/clusters"); !strings.Contains(text, "consul app: one on node") {
		t.Errorf("clusters: %s", text)
	}
}

// The same with an agent of Consul itself, which has lost everything when it is back.
func TestConsulItself(t *testing.T) {
	a := realConsul(t)
	hosts := []string{"127.0.92.1", "127.0.92.2", "127.0.92.3"}
	p := follows(t, a, hosts)
	a.start()
	p.said("service is known again")
	eventually(t, "it is up", func() bool { return p.metric("gridway_dependency_up", `kind="consul"`) == 1 })
}

// An agent that is not there at a start delays it by two seconds and no longer; the
// service serves as soon as it is known. The token shows nowhere.
func TestConsulAtStart(t *testing.T) {
	t.Parallel()
	app, _ := onePort(t, "127.0.93.1")
	a, agent := scriptedConsul(t)
	agent.Token = "3a2b-token"
	agent.Register(consultest.Instance{ID: "one", Name: "app", Address: "127.0.93.1", Port: app})
	a.stop()
	port := ownPort(t)
	p := start(t, documents(plainOn(port), routeDoc("app", ""),
		strings.Replace(consulBackend(a.addr, ""), `"}}]`, `", tokenSecretRef: {name: consul, key: token}}}]`, 1),
		"apiVersion: v1\nkind: Secret\nmetadata: {name: consul}\nstringData: {token: 3a2b-token}\n"))
	if by := from(t, port); by != "NoHealthyEndpoint" {
		t.Errorf("answered by %q", by)
	}
	p.said("nobody has answered in time", "app")
	a.start()
	answered(t, port, "127.0.93.1")
	for _, path := range []string{"/v1/config", "/v1/status", "/v1/clusters", "/v1/objects?values=true", "/metrics"} {
		if text := p.admin(path); strings.Contains(text, agent.Token) {
			t.Errorf("%s shows the token", path)
		}
	}
	if strings.Contains(p.log.String(), agent.Token) {
		t.Error("the log shows the token")
	}
}

// A thousand services of one agent are watched with the connections that it allows,
// and each change is known within seconds.
func TestConsulThousandServices(t *testing.T) {
	t.Parallel()
	app, _ := onePort(t, "127.0.94.1", "127.0.94.2")
	a, agent := scriptedConsul(t)
	head := `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app}
spec:
  parentRefs: [{name: edge}]
  rules:
`
	docs := []string{"", head}
	const services = 1000
	for i := range services {
		if i > 0 && i%16 == 0 { // a route has 16 rules at most
			docs = append(docs, strings.Replace(head, "name: app", fmt.Sprintf("name: app%d", i), 1))
		}
		name := fmt.Sprintf("s%d", i)
		agent.Register(consultest.Instance{Name: name, Address: "127.0.94.1", Port: app})
		docs[1+i/16] += fmt.Sprintf("  - matches: [{path: {type: Exact, value: /%[1]s}}]\n    backendRefs: [{group: gridway.dev, kind: Backend, name: %[1]s}]\n", name)
	}
	for i := range services {
		docs = append(docs, strings.NewReplacer("name: app}", fmt.Sprintf("name: s%d}", i), "service: app", fmt.Sprintf("service: s%d", i)).Replace(consulBackend(a.addr, "")))
	}
	port := ownPort(t)
	docs[0] = plainOn(port)
	p := start(t, documents(docs...))
	eventually(t, "all are known", func() bool {
		return p.metric("gridway_discovery_endpoints", `source="consul"`) == services
	})
	if n := agent.Waiting(); n > 128 {
		t.Errorf("%d queries wait at the agent", n)
	}
	began := time.Now()
	last := fmt.Sprintf("s%d", services-1)
	agent.Register(consultest.Instance{Name: last, Address: "127.0.94.2", Port: app})
	eventually(t, "a change is known", func() bool { return fetch(t, port, "/"+last) == "127.0.94.2" })
	t.Logf("a change among %d services took %v", services, time.Since(began))
	for _, i := range []int{0, 499, services - 2} {
		if by := fetch(t, port, fmt.Sprintf("/s%d", i)); by != "127.0.94.1" {
			t.Errorf("service %d: answered by %q", i, by)
		}
	}
}

func hostName(t *testing.T) string {
	t.Helper()
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

package mesh

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

const sidesPolicy = `apiVersion: gridway.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: nobody}
spec:
  targetRefs: [{group: "", kind: Service, name: secret}]
  action: Allow
  rules:
  - {name: other, identities: ["spiffe://cluster.local/ns/default/sa/other"]}
`

var (
	edgeRequests = regexp.MustCompile(`^gridway_edge_requests_total\{code_class="(\w+)",destination="default/(\w+)",mutual_tls="(\w+)",protocol="(\w+)",reporter="(\w+)",source="default/cart"\} (\d+)`)
	edgeErrors   = regexp.MustCompile(`^gridway_edge_errors_total\{destination="default/(\w+)",protocol="(\w+)",reporter="(\w+)",source="default/cart"\} (\d+)`)
)

// sidesOf is what a proxy counts of what cart asks: "client orders HTTP 2xx".
func sidesOf(t *testing.T, p *process, probes string) map[string]int {
	t.Helper()
	out := map[string]int{}
	for line := range strings.Lines(measure(t, p, probes).text) {
		if g := edgeRequests.FindStringSubmatch(line); g != nil {
			n, _ := strconv.Atoi(g[6])
			out[strings.Join([]string{g[5], g[2], g[4], g[1]}, " ")] += n
			if g[3] != "true" {
				out[g[5]+" "+g[2]+" without mutual TLS"] += n
			}
		} else if g := edgeErrors.FindStringSubmatch(line); g != nil {
			n, _ := strconv.Atoi(g[4])
			out[strings.Join([]string{g[3], g[1], g[2], "errors"}, " ")] += n
		}
	}
	return out
}

// Both sides of an edge count the same, by class and with the same errors: of HTTP, of gRPC
// with its status in trailers, and of TCP, also of connections that a policy lets nobody open.
func TestBothSidesOfAnEdgeAgree(t *testing.T) {
	m := newMesh(t, sidesPolicy)
	up := map[string]string{}
	flags := []string{}
	type side struct {
		p      *process
		probes string
	}
	sides := map[string]side{}
	for name, protocol := range map[string]string{"orders": "http", "sockets": "http", "calls": "kubernetes.io/h2c", "db": "tcp", "secret": "tcp"} {
		program := map[string]string{"orders": statusesProgram, "calls": healthProgram}[name]
		if program == "" {
			program = name
		}
		s := side{probes: port(t)}
		s.p = m.speaking(protocol, name, program, "--probes", "127.0.0.1:"+s.probes)
		sides[name] = s
		up[name] = port(t)
		flags = append(flags, "--upstream", name+"=:"+up[name])
	}
	cart := side{probes: port(t)}
	cart.p = m.sidecar("cart", "cart", append(flags, "--probes", "127.0.0.1:"+cart.probes)...)

	ask := func(code int) error {
		req, err := http.NewRequest("GET", "http://127.0.0.1:"+up["orders"]+"/", nil)
		if err != nil {
			return err
		}
		req.Header.Set("Wanted", strconv.Itoa(code))
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != code {
			return fmt.Errorf("%s, %w", resp.Status, err)
		}
		return nil
	}
	conn, err := grpc.NewClient("127.0.0.1:"+up["calls"], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	call := func(method, service string, want codes.Code) error {
		err := conn.Invoke(t.Context(), method, &grpc_health_v1.HealthCheckRequest{Service: service}, new(grpc_health_v1.HealthCheckResponse))
		if got := status.Code(err); got != want {
			return fmt.Errorf("%s: %s, %w", method, got, err)
		}
		return nil
	}
	const check = "/grpc.health.v1.Health/Check"
	refused := func() error {
		c, err := net.Dial("tcp", "127.0.0.1:"+up["secret"])
		if errors.Is(err, syscall.ECONNRESET) { // it was open, and refused before Dial has looked
			return nil
		}
		if err != nil {
			return err
		}
		defer c.Close()
		if n, _ := io.Copy(io.Discard, c); n > 0 {
			return errors.New("secret answers")
		}
		return nil
	}
	db := func() error { _, err := get(up["db"], "/"); return err }
	sockets := func() error { _, err := get(up["sockets"], "/"); return err }
	for name, try := range map[string]func() error{
		"orders": func() error { return ask(200) }, "calls": func() error { return call(check, "", codes.OK) }, "db": db, "sockets": sockets,
	} {
		eventually(t, name+" answers", try)
	}
	all := func() map[string]int {
		out := sidesOf(t, cart.p, cart.probes)
		for _, s := range sides {
			maps.Copy(out, sidesOf(t, s.p, s.probes))
		}
		return out
	}
	settled := all()
	eventually(t, "what was before is counted", func() error {
		was := settled
		settled = all()
		for _, k := range []string{"orders HTTP 2xx", "calls gRPC 2xx", "db TCP 2xx", "sockets HTTP 2xx"} {
			if n := settled["server "+k]; n == 0 || n != settled["client "+k] {
				return fmt.Errorf("%s: %v", k, settled)
			}
		}
		if !maps.Equal(was, settled) {
			return fmt.Errorf("%v, and then %v", was, settled)
		}
		return nil
	})
	times := func(n int, do func() error) {
		t.Helper()
		for range n {
			if err := do(); err != nil {
				t.Fatal(err)
			}
		}
	}
	times(20, func() error { return ask(200) })
	times(5, func() error { return ask(404) })
	times(7, func() error { return ask(500) })
	times(11, func() error { return call(check, "", codes.OK) })
	times(6, func() error { return call(check, "unknown", codes.NotFound) })
	times(4, func() error { return call("/grpc.health.v1.Health/Nothing", "", codes.Unimplemented) })
	times(9, db)
	times(3, refused)
	times(2, sockets)
	eventually(t, "both sides agree", func() error {
		got := all()
		var wrong []string
		total := map[string]int{}
		for k, n := range got {
			n -= settled[k]
			who, rest, _ := strings.Cut(k, " ")
			total[k] = n
			if strings.HasSuffix(rest, "without mutual TLS") && n != 0 {
				wrong = append(wrong, k)
			}
			other := map[string]string{"client": "server", "server": "client"}[who] + " " + rest
			if n != got[other]-settled[other] {
				wrong = append(wrong, fmt.Sprintf("%s: %d, and %s: %d", k, n, other, got[other]-settled[other]))
			}
		}
		for k, n := range map[string]int{"client orders HTTP 2xx": 20, "client orders HTTP 4xx": 5, "client orders HTTP 5xx": 7, "client orders HTTP errors": 7, "client secret TCP 4xx": 3, "client secret TCP errors": 0, "client sockets HTTP 2xx": 2} {
			if total[k] != n {
				wrong = append(wrong, fmt.Sprintf("%s: %d, not %d", k, total[k], n))
			}
		}
		for prefix, n := range map[string]int{"client calls ": 21, "client db ": 9, "client secret ": 3} {
			sum := 0
			for k, x := range total {
				if strings.HasPrefix(k, prefix) && !strings.HasSuffix(k, "errors") {
					sum += x
				}
			}
			if sum != n {
				wrong = append(wrong, fmt.Sprintf("%s%d, not %d", prefix, sum, n))
			}
		}
		if wrong != nil {
			return fmt.Errorf("%q\nof %v", wrong, total)
		}
		t.Logf("%v", total)
		return nil
	})
}

package mesh

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
)

// shared sends a share of the requests for a service to that of another mesh.
const shared = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ratings}
spec:
  parentRefs: [{group: "", kind: Service, name: ratings}]
  rules:
  - backendRefs:
    - {name: ratings, port: 80, weight: OURS}
    - {name: ratings-west, port: 80, weight: THEIRS}
---
apiVersion: gridway.dev/v1alpha1
kind: MeshPeer
metadata: {name: west}
spec:
  trustDomain: west.example
  addresses: ["WEST"]
  import: [{namespace: default, services: [ratings], suffix: -west}]
---
`

// A route divides requests between our own service and that of another mesh as its weights
// say, and as they say anew from then on when they change. None is lost.
func TestPeerWeights(t *testing.T) {
	p := newPair(t)
	weights := func(ours, theirs string) {
		p.east.write(ratings + strings.NewReplacer("OURS", ours, "THEIRS", theirs, "WEST", p.west.address).Replace(shared))
	}
	weights("3", "1")
	p.west.sidecar("ratings", "west")
	p.east.sidecar("ratings", "east")
	up := port(t)
	p.east.sidecar("reviews", "front", "--upstream", "ratings=:"+up)
	from(t, up, "west")
	from(t, up, "east")
	load := newLoad(t, up, 4)
	const n = 1000
	share := func(want float64) {
		t.Helper()
		east, west := load.by("east"), load.by("west")
		eventually(t, "a thousand more are answered", func() error {
			if more := load.by("east") + load.by("west") - east - west; more < n {
				return fmt.Errorf("%d", more)
			}
			return nil
		})
		east, west = load.by("east")-east, load.by("west")-west
		got := float64(west) / float64(east+west)
		t.Logf("%d here, %d there: %.3f, wanted %.2f", east, west, got, want)
		// Four standard deviations of as many draws.
		if math.Abs(got-want) > 4*math.Sqrt(want*(1-want)/n) {
			t.Errorf("%.3f of the requests go there, %.2f should", got, want)
		}
	}
	share(0.25)
	weights("1", "9")
	eventually(t, "most go there", func() error {
		east, west := load.by("east"), load.by("west")
		for load.by("east")+load.by("west")-east-west < 50 {
			if load.failed.Load() > 0 {
				return fmt.Errorf("%v", load.last.Load())
			}
		}
		if east, west = load.by("east")-east, load.by("west")-west; west < 3*east {
			return fmt.Errorf("%d here, %d there", east, west)
		}
		return nil
	})
	share(0.9)
	load.none()
}

// Calls of gRPC go through the edge between meshes: with one answer, with many, and with
// many questions, each of which is answered before the next one.
func TestPeerGRPC(t *testing.T) {
	p := newPair(t)
	p.west.write(ratings + strings.ReplaceAll(exports, "[ratings, details]", "[ratings, calls]"))
	p.west.speaking("kubernetes.io/h2c", "calls", healthProgram)
	far := port(t)
	p.east.sidecar("reviews", "front", "--upstream", "calls-west=:"+far)
	eventually(t, "a call is answered", func() error { return callHealth(t, far) })
	c, err := grpc.NewClient("127.0.0.1:"+far, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	watch, err := grpc_health_v1.NewHealthClient(c).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := watch.Recv(); err != nil || m.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Fatalf("%v %v", m, err)
	}
	both, err := grpc_reflection_v1.NewServerReflectionClient(c).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const n = 500
	for i := range n {
		ask := &grpc_reflection_v1.ServerReflectionRequest{Host: fmt.Sprint(i), MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{}}
		if err := both.Send(ask); err != nil {
			t.Fatal(err)
		}
		m, err := both.Recv()
		if err != nil || m.GetOriginalRequest().GetHost() != fmt.Sprint(i) {
			t.Fatalf("question %d: %v %v", i, m, err)
		}
	}
	if err := both.CloseSend(); err != nil {
		t.Fatal(err)
	}
	// The edge has carried bytes, and knows of no call.
	if s := p.edge.log.String(); strings.Contains(s, "grpc.health") {
		t.Errorf("the edge has seen calls: %s", s)
	}
	// Calls that begin go on through another edge when the first one dies.
	second := p.openAt(port(t))
	eventually(t, "both edges are known", p.edges(2))
	p.edge.kill()
	eventually(t, "calls are answered through the other edge", func() error { return callHealth(t, far) })
	second.kill()
	eventually(t, "without an edge no call is answered", func() error {
		if err := callHealth(t, far); err == nil {
			return fmt.Errorf("it is")
		}
		return nil
	})
	p.open()
	eventually(t, "calls are answered when there is one again", func() error { return callHealth(t, far) })
}

// edges tells whether so many of west's are known at east.
func (p *pair) edges(n int) func() error {
	return func() error {
		out, err := p.east.command("status", "-o", "json")
		if want := fmt.Sprintf(`"edges": %d`, n); err == nil && !strings.Contains(out, want) {
			err = fmt.Errorf("not %s: %s", want, out)
		}
		return err
	}
}

// Of several edges between meshes each dies once, under load. The others carry on, and no
// request is lost.
func TestSeveralEdgesBetweenMeshes(t *testing.T) {
	p := newPair(t)
	doors := []string{p.door, port(t), port(t)}
	edges := []*process{p.edge, p.openAt(doors[1]), p.openAt(doors[2])}
	p.east.write(strings.NewReplacer("WEST", p.west.address, `kind: Service, name: ratings}`, `kind: Service, name: ratings-west}`).Replace(imports))
	p.west.sidecar("ratings", "west")
	p.west.sidecar("ratings", "other")
	far := port(t)
	p.east.sidecar("reviews", "front", "--upstream", "ratings-west=:"+far)
	eventually(t, "it is answered", func() error { _, err := get(far, "/"); return err })
	eventually(t, "all edges are known", p.edges(3))
	load := newLoad(t, far, 4)
	more := func(n int64) {
		t.Helper()
		before := load.asked.Load()
		eventually(t, "requests go on", func() error {
			if got := load.asked.Load() - before; got < n {
				return fmt.Errorf("%d", got)
			}
			return nil
		})
	}
	more(100)
	for i, e := range edges {
		e.kill()
		more(500)
		edges[i] = p.openAt(doors[i])
		more(1500)
	}
	edges[0].kill()
	eventually(t, "the edge is forgotten", p.edges(2))
	edges[0] = p.openAt(doors[0])
	eventually(t, "the edge is known again", p.edges(3))
	more(1500)
	load.none()
	for i, e := range edges {
		if e.end(); !strings.Contains(e.log.String(), "80.ratings.default.mesh") { // in the access log when a connection is over
			t.Errorf("edge %d has carried nothing: %s", i, e.log)
		}
	}
}

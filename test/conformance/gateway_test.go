//go:build linux

package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// gateway is a gridway process that watches dir.
type gateway struct {
	t   *testing.T
	dir string
	log lockedBuffer
}

const admin = "127.0.0.1:9901"

// own lets the process start before the suite has made a Gateway.
const own = `{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "own", "namespace": "own"},
"spec": {"gatewayClassName": "gridway", "addresses": [{"value": "127.9.8.1"}], "listeners": [{"name": "http", "port": 8000, "protocol": "HTTP"}]}}
`

func (g *gateway) start() {
	g.t.Helper()
	program := filepath.Join(g.t.TempDir(), "gridway")
	build(g.t, filepath.Join("..", ".."), program, "./cmd/gridway")
	if err := os.WriteFile(filepath.Join(g.dir, "own.json"), []byte(own), 0o600); err != nil {
		g.t.Fatal(err)
	}
	cmd := exec.Command(program, "run", g.dir, "--admin", admin, "--access-log", "off")
	cmd.Stdout, cmd.Stderr = &g.log, &g.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			g.t.Errorf("gridway ended with %v", err)
		}
		if path := os.Getenv("GRIDWAY_CONFORMANCE_LOG"); path != "" {
			_ = os.WriteFile(path, g.log.Bytes(), 0o600)
		}
	})
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		_, err := g.status()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			g.t.Fatalf("%v\n%s", err, g.log.Bytes())
		}
	}
}

// statuses is what the admin API tells of objects.
type statuses struct {
	Statuses []objectStatus
}

type objectStatus struct {
	Object    string
	Addresses []string
	Sections  []struct {
		Name           string
		SupportedKinds []string
		AttachedRoutes int32
	}
	AttachedListenerSets int32
	Conditions           []struct {
		Of, Type, Status, Reason, Message string
		ObservedGeneration                int64
	}
}

func (g *gateway) status() (*statuses, error) {
	resp, err := http.Get("http://" + admin + "/v1/status")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status: %s", resp.Status)
	}
	out := &statuses{}
	return out, json.NewDecoder(resp.Body).Decode(out)
}

// withStatus puts in the object's status what the gateway says of it.
func (c *cluster) withStatus(obj client.Object) error {
	var kind string
	switch obj.(type) {
	case *gwv1.GatewayClass:
		kind = "GatewayClass"
	case *gwv1.Gateway:
		kind = "Gateway"
	case *gwv1.ListenerSet:
		kind = "ListenerSet"
	case *gwv1.HTTPRoute:
		kind = "HTTPRoute"
	case *gwv1.GRPCRoute:
		kind = "GRPCRoute"
	case *gwv1.TCPRoute:
		kind = "TCPRoute"
	case *gwv1.TLSRoute:
		kind = "TLSRoute"
	case *gwv1.UDPRoute:
		kind = "UDPRoute"
	case *gwv1.BackendTLSPolicy:
		kind = "BackendTLSPolicy"
	default:
		return nil
	}
	all, err := c.gateway.status()
	if err != nil {
		return err
	}
	name := kind + "/" + obj.GetName()
	if obj.GetNamespace() != "" {
		name = kind + "/" + obj.GetNamespace() + "/" + obj.GetName()
	}
	var s objectStatus
	for _, o := range all.Statuses {
		if o.Object == name {
			s = o
		}
	}
	switch o := obj.(type) {
	case *gwv1.GatewayClass:
		o.Status.Conditions = s.of("")
	case *gwv1.Gateway:
		o.Status = gwv1.GatewayStatus{Conditions: s.of(""), Listeners: listeners[gwv1.ListenerStatus](s)}
		if s.AttachedListenerSets > 0 {
			o.Status.AttachedListenerSets = &s.AttachedListenerSets
		}
		for _, a := range s.Addresses {
			o.Status.Addresses = append(o.Status.Addresses, gwv1.GatewayStatusAddress{Type: new(gwv1.IPAddressType), Value: a})
		}
	case *gwv1.ListenerSet:
		o.Status = gwv1.ListenerSetStatus{Conditions: s.of(""), Listeners: listeners[gwv1.ListenerEntryStatus](s)}
	case *gwv1.HTTPRoute:
		o.Status.Parents = s.parents(o.Spec.ParentRefs, o.Namespace)
	case *gwv1.GRPCRoute:
		o.Status.Parents = s.parents(o.Spec.ParentRefs, o.Namespace)
	case *gwv1.TCPRoute:
		o.Status.Parents = s.parents(o.Spec.ParentRefs, o.Namespace)
	case *gwv1.TLSRoute:
		o.Status.Parents = s.parents(o.Spec.ParentRefs, o.Namespace)
	case *gwv1.UDPRoute:
		o.Status.Parents = s.parents(o.Spec.ParentRefs, o.Namespace)
	case *gwv1.BackendTLSPolicy:
		o.Status.Ancestors = nil
		for _, of := range s.relations() {
			o.Status.Ancestors = append(o.Status.Ancestors, gwv1.PolicyAncestorStatus{
				AncestorRef: reference(of), ControllerName: "gridway.dev/controller", Conditions: s.of(of),
			})
		}
	}
	return nil
}

func (s objectStatus) of(of string) []metav1.Condition {
	var out []metav1.Condition
	for _, c := range s.Conditions {
		if c.Of == of {
			out = append(out, metav1.Condition{
				Type: c.Type, Status: metav1.ConditionStatus(c.Status), Reason: c.Reason, Message: c.Message, ObservedGeneration: c.ObservedGeneration,
				LastTransitionTime: metav1.Now(),
			})
		}
	}
	return out
}

func (s objectStatus) relations() []string {
	var out []string
	seen := map[string]bool{}
	for _, c := range s.Conditions {
		if c.Of != "" && !seen[c.Of] {
			seen[c.Of] = true
			out = append(out, c.Of)
		}
	}
	return out
}

// parents is the status of a route.
func (s objectStatus) parents(refs []gwv1.ParentReference, namespace string) []gwv1.RouteParentStatus {
	var out []gwv1.RouteParentStatus
	for _, ref := range refs {
		list := s.of(s.parent(ref, namespace))
		if ref.Group == nil { // as the CRD's defaults would
			ref.Group, ref.Kind = new(gwv1.Group(gwv1.GroupName)), new(gwv1.Kind("Gateway"))
		}
		if len(list) > 0 {
			out = append(out, gwv1.RouteParentStatus{ParentRef: ref, ControllerName: "gridway.dev/controller", Conditions: list})
		}
	}
	return out
}

// parent is how the admin API names what a parentRef names.
func (s objectStatus) parent(ref gwv1.ParentReference, namespace string) string {
	kind := "Gateway"
	if ref.Kind != nil {
		kind = string(*ref.Kind)
	}
	if ref.Namespace != nil {
		namespace = string(*ref.Namespace)
	}
	of := fmt.Sprintf("%s/%s/%s", kind, namespace, ref.Name)
	if ref.SectionName != nil {
		of += "/" + string(*ref.SectionName)
	}
	if ref.Port != nil {
		of += fmt.Sprintf(":%d", *ref.Port)
	}
	return of
}

func reference(of string) gwv1.ParentReference {
	parts := strings.Split(of, "/")
	return gwv1.ParentReference{
		Group: new(gwv1.Group(gwv1.GroupName)), Kind: new(gwv1.Kind(parts[0])),
		Namespace: new(gwv1.Namespace(parts[1])), Name: gwv1.ObjectName(parts[2]),
	}
}

// listeners is generic as the two kinds of status have the same fields.
func listeners[T gwv1.ListenerStatus | gwv1.ListenerEntryStatus](s objectStatus) []T {
	var out []T
	for _, l := range s.Sections {
		kinds := []gwv1.RouteGroupKind{}
		for _, k := range l.SupportedKinds {
			group, kind, _ := strings.Cut(k, "/")
			kinds = append(kinds, gwv1.RouteGroupKind{Group: new(gwv1.Group(group)), Kind: gwv1.Kind(kind)})
		}
		out = append(out, T(gwv1.ListenerStatus{
			Name: gwv1.SectionName(l.Name), SupportedKinds: kinds, AttachedRoutes: l.AttachedRoutes, Conditions: s.of("listener " + l.Name),
		}))
	}
	return out
}

// lockedBuffer takes what a process writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.b.Bytes())
}

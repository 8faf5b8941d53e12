package registry

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/mesh/distrib"
)

// LabelRegistered is on Services that were made of workloads.
const LabelRegistered = "gridway.dev/registered"

// madeSource is the source of Services that were made of workloads.
const madeSource = "registry"

// Made tells whether an object was made of workloads.
func Made(o *store.Object) bool { return o.Source == madeSource }

// made is the Service that workloads make.
type made struct {
	ports  []distrib.Port
	object *store.Object
}

// checkWorkload says what a workload cannot be.
func checkWorkload(w *distrib.Workload) error {
	where := fmt.Sprintf("workload of %s/%s", w.Namespace, w.Service)
	if len(w.Ports) > maxPorts {
		return fmt.Errorf("%s: it has %d ports, and %d are allowed", where, len(w.Ports), maxPorts)
	}
	if a, err := netip.ParseAddr(w.Address); err != nil || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() {
		return fmt.Errorf("%s: %.60q is not an IP address that others can reach it by", where, w.Address)
	}
	seen := map[uint16]bool{}
	for _, p := range w.Ports {
		switch {
		case p.Number == 0:
			return fmt.Errorf("%s: a port needs a number", where)
		case seen[p.Number]:
			return fmt.Errorf("%s: port %d is there twice", where, p.Number)
		case len(p.Name) > maxText || len(p.Protocol) > maxText:
			return fmt.Errorf("%s: port %d has a name or protocol of more than %d bytes", where, p.Number, maxText)
		}
		seen[p.Number] = true
	}
	if len(w.Zone) > maxText || len(w.Version) > maxText || len(w.Name) > maxText {
		return fmt.Errorf("%s: its name, zone or version has more than %d bytes", where, maxText)
	}
	return nil
}

// define makes the Service of workloads anew if their ports differ from it. What the
// last one leaves behind stays. r.mu is held.
func (r *Registry) define(k serviceKey, s *service) {
	own := slices.DeleteFunc(slices.Clone(s.instances), func(i *Instance) bool { return i.Peer != nil })
	if len(s.instances) > 0 {
		ports := r.choose(s, own, s.own == 0 && !s.restored)
		if !samePorts(ports, s.ports) {
			r.keep(k)
		}
		s.ports = ports
		if r.due(ports) != (time.Time{}) {
			r.wakeUp()
		}
	}
	if len(own) == 0 && s.own > 0 {
		s.restored = false
	}
	if s.own = len(own); len(s.instances) == 0 && s.made != nil {
		return
	}
	r.make(k, s)
}

// make makes the Service of the ports that were chosen, with those that other meshes say.
// r.mu is held.
func (r *Registry) make(k serviceKey, s *service) {
	imported := slices.DeleteFunc(slices.Clone(s.instances), func(i *Instance) bool { return i.Peer == nil })
	var ports []distrib.Port
	for _, c := range joinPorts(s.ports, aged(imported)) {
		ports = append(ports, c.Port)
	}
	problems := conflicts(k, s)
	if s.made != nil && slices.Equal(s.made.ports, ports) {
		if !slices.Equal(s.problems, problems) {
			s.problems = problems
			r.defined++
		}
		return
	}
	s.made, s.problems = &made{ports: ports, object: objectOf(k, ports)}, problems
	r.defined++
}

func samePorts(a, b []chosen) bool {
	return slices.EqualFunc(a, b, func(x, y chosen) bool { return x.Port == y.Port && x.Alone == y.Alone })
}

func objectOf(k serviceKey, ports []distrib.Port) *store.Object {
	svc := &corev1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: k.namespace, Name: k.name, Labels: map[string]string{LabelRegistered: "true"},
		},
	}
	for _, p := range ports {
		sp := corev1.ServicePort{Name: p.Name, Port: int32(p.Number), Protocol: corev1.ProtocolTCP}
		if p.Protocol != "" {
			sp.AppProtocol = &p.Protocol
		}
		svc.Spec.Ports = append(svc.Spec.Ports, sp)
	}
	text, err := json.Marshal(svc)
	if err != nil {
		panic("registry: " + err.Error()) // a Service is plain data
	}
	return &store.Object{
		Key:     store.Key{Kind: "Service", Namespace: k.namespace, Name: k.name},
		Version: "v1", Value: svc, Source: madeSource, Hash: xxhash.Sum64(text),
	}
}

// Services are what workloads make, ordered by namespace and name, for a
// store.Set.Beneath: those that somebody wrote hold. One whose ports did not change is
// the same pointer. The number grows with each change of the list.
func (r *Registry) Services() (list []*store.Object, version uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range slices.SortedFunc(maps.Keys(r.services), compareServices) {
		if m := r.services[k].made; m != nil {
			list = append(list, m.object)
		}
	}
	return list, r.defined
}

// Problems are what workloads say of the ports of their Services that does not go together,
// ordered by Service. It changes when the number of Services does.
func (r *Registry) Problems() (list []store.Problem) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range slices.SortedFunc(maps.Keys(r.services), compareServices) {
		list = append(list, r.services[k].problems...)
	}
	return list
}

package distrib

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// Bounds of what a proxy may say of itself.
const (
	// helloTimeout is how long it may take to say who it is.
	helloTimeout = 10 * time.Second
	maxHeld      = 200_000
	maxServices  = 10_000
	maxWorkloads = 1000
	maxPorts     = 64
	maxCaptured  = 16
	maxListeners = 10_000
	maxLabels    = 64
	maxText      = 1024
	maxRefusals  = 100
)

// PeerIdentity is the SPIFFE ID in the certificate that TLS has verified of a peer.
func PeerIdentity(ctx context.Context) (string, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return "", errors.New("nothing is known of the peer")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 {
		return "", errors.New("the peer has shown no certificate")
	}
	// X509-SVID §2: exactly one URI.
	uris := info.State.PeerCertificates[0].URIs
	if len(uris) != 1 || uris[0].Scheme != "spiffe" {
		return "", errors.New("the peer's certificate has no SPIFFE ID")
	}
	return uris[0].String(), nil
}

// proxyOf reads a Hello.
func proxyOf(h *meshpb.Hello) (*Proxy, error) {
	p := &Proxy{
		Name: h.GetProxy(), Labels: h.GetLabels(), Zone: h.GetZone(), Version: h.GetVersion(),
		Services: slices.Clone(h.GetServices()),
	}
	switch h.GetRole() {
	case meshpb.Role_ROLE_EDGE:
		p.Role = RoleEdge
	case meshpb.Role_ROLE_SIDECAR:
		p.Role = RoleSidecar
	case meshpb.Role_ROLE_NODE:
		p.Role = RoleNode
	default:
		return nil, fmt.Errorf("the role %d is not known to this version of the control plane", h.GetRole())
	}
	if p.Name == "" || len(p.Name) > 253 {
		return nil, errors.New("a proxy has to have a name of up to 253 bytes")
	}
	slices.Sort(p.Services)
	p.Services = slices.Compact(p.Services)
	if len(p.Services) > maxServices || len(h.GetWorkloads()) > maxWorkloads || len(h.GetListeners()) > maxListeners {
		return nil, fmt.Errorf("%d services, %d workloads and %d listeners, of which there can be %d, %d and %d",
			len(p.Services), len(h.GetWorkloads()), len(h.GetListeners()), maxServices, maxWorkloads, maxListeners)
	}
	if err := errors.Join(validServices(p.Services), validTexts(p.Zone, p.Version), validLabels(p.Labels)); err != nil {
		return nil, err
	}
	var err error
	if p.Waiting, err = waitingOf(h.GetWaiting()); err != nil {
		return nil, err
	}
	for _, w := range h.GetWorkloads() {
		x, err := workloadOf(w)
		if err != nil {
			return nil, fmt.Errorf("workload %s/%s: %w", w.GetNamespace(), w.GetService(), err)
		}
		p.Workloads = append(p.Workloads, x)
	}
	for _, l := range h.GetListeners() {
		if l.GetPort() > 65535 || l.GetServicePort() > 65535 {
			return nil, fmt.Errorf("a listener for %s: ports go up to 65535", l.GetService())
		}
		if err := errors.Join(validServices([]string{l.GetService()}), validTexts(l.GetAddress())); err != nil {
			return nil, err
		}
		p.Listeners = append(p.Listeners, LocalListener{
			Address: l.GetAddress(), Port: uint16(l.GetPort()), Service: l.GetService(), ServicePort: uint16(l.GetServicePort()),
		})
	}
	return p, nil
}

func workloadOf(w *meshpb.Workload) (Workload, error) {
	x := Workload{
		Name: w.GetName(), Namespace: w.GetNamespace(), Service: w.GetService(), Address: w.GetAddress(), Labels: w.GetLabels(),
		Zone: w.GetZone(), Version: w.GetVersion(), Weight: w.GetWeight(), Healthy: w.GetHealthy(), MeshPort: uint16(w.GetMeshPort()),
		Local: w.GetLocal(), Captured: w.GetCaptured(),
	}
	if err := errors.Join(validServices([]string{x.Namespace + "/" + x.Service}), validTexts(x.Name, x.Zone, x.Version), validTexts(x.Captured...), validLabels(x.Labels)); err != nil {
		return x, err
	}
	if _, err := netip.ParseAddr(x.Address); err != nil {
		return x, fmt.Errorf("%q is no IP address", short(x.Address))
	}
	if a, err := netip.ParseAddr(x.Local); x.Local != "" && (err != nil || a.Zone() != "") {
		return x, fmt.Errorf("%q, where it listens, is no IP address", short(x.Local))
	}
	if len(x.Captured) > maxCaptured {
		return x, fmt.Errorf("%d captured sockets, and there can be %d", len(x.Captured), maxCaptured)
	}
	if w.GetMeshPort() > 65535 || len(w.GetPorts()) > maxPorts {
		return x, fmt.Errorf("ports go up to 65535, and there can be %d", maxPorts)
	}
	for _, port := range w.GetPorts() {
		if port.GetNumber() == 0 || port.GetNumber() > 65535 {
			return x, fmt.Errorf("%d is no port", port.GetNumber())
		}
		if err := validTexts(port.GetName(), port.GetProtocol()); err != nil {
			return x, err
		}
		x.Ports = append(x.Ports, Port{Name: port.GetName(), Number: uint16(port.GetNumber()), Protocol: port.GetProtocol()})
	}
	return x, nil
}

// validServices wants "namespace/name" of labels of DNS.
func validServices(list []string) error {
	for _, s := range list {
		namespace, name, _ := strings.Cut(s, "/")
		if !validLabel(namespace) || !validLabel(name) {
			return fmt.Errorf("%q is no service: it has to be namespace/name", short(s))
		}
	}
	return nil
}

// validLabel is RFC 1123 §2.1 in lower case.
func validLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') })
}

func validTexts(list ...string) error {
	for _, s := range list {
		if len(s) > maxText {
			return fmt.Errorf("a text of %d bytes, and there can be %d", len(s), maxText)
		}
	}
	return nil
}

func validLabels(labels map[string]string) error {
	if len(labels) > maxLabels {
		return fmt.Errorf("%d labels, and there can be %d", len(labels), maxLabels)
	}
	for name, value := range labels {
		if err := validTexts(name, value); err != nil {
			return err
		}
	}
	return nil
}

// short bounds what is kept of a text from elsewhere.
func short(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}

// helloOf writes a Hello.
func helloOf(p *Proxy, serving Revision) *meshpb.Hello {
	h := &meshpb.Hello{
		Proxy: p.Name, Labels: p.Labels, Zone: p.Zone, Version: p.Version, Services: p.Services,
		Revision: serving.message(), Held: true,
	}
	switch p.Role {
	case RoleEdge:
		h.Role = meshpb.Role_ROLE_EDGE
	case RoleSidecar:
		h.Role = meshpb.Role_ROLE_SIDECAR
	case RoleNode:
		h.Role = meshpb.Role_ROLE_NODE
	}
	for i := range p.Workloads {
		w := &p.Workloads[i]
		m := &meshpb.Workload{
			Name: w.Name, Namespace: w.Namespace, Service: w.Service, Address: w.Address, Labels: w.Labels,
			Zone: w.Zone, Version: w.Version, Weight: w.Weight, Healthy: w.Healthy, MeshPort: uint32(w.MeshPort),
			Local: w.Local, Captured: w.Captured,
		}
		for _, port := range w.Ports {
			m.Ports = append(m.Ports, &meshpb.WorkloadPort{Name: port.Name, Number: uint32(port.Number), Protocol: port.Protocol})
		}
		h.Workloads = append(h.Workloads, m)
	}
	for _, n := range p.Waiting {
		h.Waiting = append(h.Waiting, &meshpb.ServiceName{Namespace: n.Namespace, Name: n.Name})
	}
	for _, l := range p.Listeners {
		h.Listeners = append(h.Listeners, &meshpb.LocalListener{
			Address: l.Address, Port: uint32(l.Port), Service: l.Service, ServicePort: uint32(l.ServicePort),
		})
	}
	return h
}

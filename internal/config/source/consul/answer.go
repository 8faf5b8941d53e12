package consul

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/gridway/gridway/internal/ir"
)

const (
	// maxAnswer bounds the bytes of an answer.
	maxAnswer = 16 << 20
	// maxInstances bounds the instances of a service that are used.
	maxInstances = 4096
	// maxWeight is the largest weight of an endpoint.
	maxWeight = 1_000_000
)

// instance is what is used of one instance of a service.
type instance struct {
	ID, Node string
	Address  string // empty is the node's
	Port     int
	// Tagged addresses of the instance, and of its node.
	Tagged      map[string]place
	NodeAddress string
	NodeTagged  map[string]string
	Meta        map[string]string
	NodeMeta    map[string]string
	Zone        string // of its locality, or its node's
	Weight      uint32
}

type place struct {
	Address string
	Port    int
}

type locality struct{ Zone string }

// entry is one element of the answer.
type entry struct {
	Node struct {
		Node, Address         string
		TaggedAddresses, Meta map[string]string
		Locality              *locality
	}
	Service struct {
		ID, Address     string
		Port            int
		TaggedAddresses map[string]place
		Meta            map[string]string
		Weights         struct{ Passing, Warning int }
		Locality        *locality
	}
	Checks []struct{ Status string }
}

// health is the worst that the checks of an instance and its node say.
type health int

const (
	passing health = iota
	warning
	critical // or in maintenance, or not known to us
)

func (e *entry) health() (worst health) {
	for _, c := range e.Checks {
		switch c.Status {
		case "passing":
		case "warning":
			worst = max(worst, warning)
		default:
			worst = critical
		}
	}
	return worst
}

// readAnswer reads the instances of an answer that are well enough: those that pass
// all their checks, or with warnings those of which none is critical, too.
func readAnswer(r io.Reader, warnings bool) ([]instance, error) {
	bounded := &io.LimitedReader{R: r, N: maxAnswer}
	list, err := readEntries(json.NewDecoder(bounded), warnings)
	if err != nil && bounded.N <= 0 {
		return nil, fmt.Errorf("the answer has more than %d MiB", maxAnswer>>20)
	}
	return list, err
}

func readEntries(d *json.Decoder, warnings bool) ([]instance, error) {
	token, err := d.Token()
	if err != nil {
		return nil, fmt.Errorf("the answer is not JSON: %w", err)
	}
	if token == nil {
		return []instance{}, nil
	}
	if token != json.Delim('[') {
		return nil, errors.New("the answer is not a list of instances")
	}
	list := []instance{}
	worst := passing
	if warnings {
		worst = warning
	}
	for d.More() {
		var e entry
		if err := d.Decode(&e); err != nil {
			return nil, fmt.Errorf("the answer cannot be read: %w", err)
		}
		if h := e.health(); h <= worst && len(list) < maxInstances {
			list = append(list, e.instance(h))
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("the answer ends too early: %w", err)
	}
	return list, nil
}

func (e *entry) instance(h health) instance {
	s, n := &e.Service, &e.Node
	i := instance{
		ID: s.ID, Node: n.Node, Address: s.Address, Port: s.Port, Tagged: s.TaggedAddresses, NodeAddress: n.Address,
		NodeTagged: n.TaggedAddresses, Meta: s.Meta, NodeMeta: n.Meta, Weight: 1,
	}
	switch {
	case s.Locality != nil && s.Locality.Zone != "":
		i.Zone = s.Locality.Zone
	case n.Locality != nil:
		i.Zone = n.Locality.Zone
	}
	switch w := s.Weights; {
	case w.Passing <= 0 && w.Warning <= 0: // an agent from before weights
	case h == warning:
		i.Weight = uint32(min(max(w.Warning, 0), maxWeight))
	default:
		i.Weight = uint32(min(max(w.Passing, 1), maxWeight))
	}
	return i
}

// endpoint is false for an instance without an address and a port to connect to.
func (i *instance) endpoint(c *ir.ConsulService) (ir.Endpoint, bool) {
	host, port := i.reach(c.TaggedAddress)
	if c.Port != 0 {
		port = int(c.Port)
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" || port < 1 || port > 65535 {
		return ir.Endpoint{}, false
	}
	e := ir.Endpoint{
		Address: netip.AddrPortFrom(addr.Unmap(), uint16(port)).String(), Weight: i.Weight, Priority: c.Priority, Zone: i.Zone,
		Origin: "consul " + c.Service + ": " + i.ID + " on " + i.Node,
	}
	if c.ZoneMeta != "" {
		if e.Zone = i.Meta[c.ZoneMeta]; e.Zone == "" {
			e.Zone = i.NodeMeta[c.ZoneMeta]
		}
	}
	return e, true
}

// reach is where an instance is reached: at a tagged address of its own, at its
// address, at a tagged one of its node, or at that of its node, whichever is there.
func (i *instance) reach(tag string) (host string, port int) {
	if t, ok := i.Tagged[tag]; ok && tag != "" && t.Address != "" {
		if t.Port != 0 {
			return t.Address, t.Port
		}
		return t.Address, i.Port
	}
	if i.Address != "" {
		return i.Address, i.Port
	}
	if address := i.NodeTagged[tag]; tag != "" && address != "" {
		return address, i.Port
	}
	return i.NodeAddress, i.Port
}

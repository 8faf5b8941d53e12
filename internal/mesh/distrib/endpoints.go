package distrib

import (
	"errors"
	"fmt"
	"math"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// MaxEndpoints bounds the endpoints of one cluster.
const MaxEndpoints = 1 << 18

// EncodeEndpoints is the resource of a cluster's endpoints, in their order.
func EncodeEndpoints(cluster string, list []ir.Endpoint) (*Resource, error) {
	k := Key{KindEndpoints, cluster}
	if len(list) > MaxEndpoints {
		return nil, &ResourceError{k, fmt.Errorf("%d endpoints, and there can be %d", len(list), MaxEndpoints)}
	}
	var names nameTable
	m := &meshpb.Endpoints{Endpoints: make([]*meshpb.Endpoint, len(list))}
	values := make([]meshpb.Endpoint, len(list))
	for i := range list {
		m.Endpoints[i] = &values[i]
		names.encode(&list[i], &values[i])
	}
	m.Names = names.list
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, &ResourceError{k, err}
	}
	return &Resource{Kind: KindEndpoints, Name: cluster, Hash: xxhash.Sum64(body), Body: body}, nil
}

// DecodeEndpoints reads the body of a resource of endpoints. None are nil.
func DecodeEndpoints(body []byte) ([]ir.Endpoint, error) {
	if err := countEndpoints(body); err != nil {
		return nil, err
	}
	var m meshpb.Endpoints
	if err := proto.Unmarshal(body, &m); err != nil {
		return nil, err
	}
	if len(m.GetEndpoints()) == 0 {
		return nil, nil
	}
	out := make([]ir.Endpoint, len(m.GetEndpoints()))
	for i, e := range m.GetEndpoints() {
		if err := decodeEndpoint(&out[i], e, m.GetNames()); err != nil {
			return nil, fmt.Errorf("endpoint %d: %w", i, err)
		}
	}
	return out, nil
}

// countEndpoints refuses lists that are too long before memory is taken for them.
func countEndpoints(body []byte) error {
	for count := 0; len(body) > 0; {
		number, kind, n := protowire.ConsumeTag(body)
		if n < 0 {
			return protowire.ParseError(n)
		}
		m := protowire.ConsumeFieldValue(number, kind, body[n:])
		if m < 0 {
			return protowire.ParseError(m)
		}
		if count++; count > 2*MaxEndpoints {
			return fmt.Errorf("more than %d endpoints", MaxEndpoints)
		}
		body = body[n+m:]
	}
	return nil
}

// nameTable has texts that endpoints have in common, each once.
type nameTable struct {
	list   []string
	places map[string]uint32
}

// place is that of a text, counted from 1, and 0 for an empty one.
func (t *nameTable) place(text string) uint32 {
	if text == "" {
		return 0
	}
	if at, ok := t.places[text]; ok {
		return at
	}
	if t.places == nil {
		t.places = map[string]uint32{}
	}
	t.list = append(t.list, text)
	t.places[text] = uint32(len(t.list))
	return uint32(len(t.list))
}

func (t *nameTable) encode(e *ir.Endpoint, to *meshpb.Endpoint) {
	to.Address, to.Weight, to.Priority, to.Draining = e.Address, e.Weight, int64(e.Priority), e.Draining
	to.Zone, to.Hostname = t.place(e.Zone), t.place(e.Hostname)
	to.Identity, to.ServerName, to.Origin = t.place(e.Identity), t.place(e.ServerName), t.place(e.Origin)
}

func decodeEndpoint(to *ir.Endpoint, e *meshpb.Endpoint, names []string) error {
	if e.GetPriority() < math.MinInt32 || e.GetPriority() > math.MaxInt32 {
		return errors.New("a priority out of range")
	}
	to.Address, to.Weight, to.Priority, to.Draining = e.GetAddress(), e.GetWeight(), int(e.GetPriority()), e.GetDraining()
	for _, part := range []struct {
		to *string
		at uint32
	}{{&to.Zone, e.GetZone()}, {&to.Hostname, e.GetHostname()}, {&to.Identity, e.GetIdentity()}, {&to.ServerName, e.GetServerName()}, {&to.Origin, e.GetOrigin()}} {
		switch {
		case part.at == 0:
		case int(part.at) > len(names):
			return fmt.Errorf("it refers to name %d of %d", part.at, len(names))
		default:
			*part.to = names[part.at-1]
		}
	}
	return nil
}

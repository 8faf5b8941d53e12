package distrib

import (
	"errors"
	"fmt"
	"sync"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// deltaOf says how a list of endpoints becomes another. base is nil, or without a
// body, where it is not known what there was: all is replaced.
func deltaOf(base, next *Resource) (*meshpb.EndpointDelta, error) {
	to, err := DecodeEndpoints(next.Body)
	if err != nil {
		return nil, &ResourceError{next.Key(), err}
	}
	d := &meshpb.EndpointDelta{Cluster: next.Name, Hash: next.Hash}
	places := map[ir.Endpoint]int{}
	var stays []bool
	if base != nil && base.Body != nil {
		from, err := DecodeEndpoints(base.Body)
		if err != nil {
			return nil, &ResourceError{base.Key(), err}
		}
		d.Base, stays = base.Hash, make([]bool, len(from))
		for i, e := range from {
			places[e] = i
		}
	}
	var names nameTable
	last := -1
	for i := range to {
		// Those that stay are in one order before and after.
		if at, ok := places[to[i]]; ok && at > last {
			last, stays[at] = at, true
			continue
		}
		e := &meshpb.Endpoint{}
		names.encode(&to[i], e)
		d.Inserted = append(d.Inserted, &meshpb.PlacedEndpoint{Place: uint32(i), Endpoint: e})
	}
	for i, stay := range stays {
		if !stay {
			d.Removed = append(d.Removed, uint32(i))
		}
	}
	d.Names = names.list
	return d, nil
}

var errOtherBase = errors.New("it changes endpoints that are not there")

// applyDelta returns what a delta makes of the endpoints that have the hash base.
func applyDelta(from []ir.Endpoint, base uint64, d *meshpb.EndpointDelta) ([]ir.Endpoint, *Resource, error) {
	switch d.GetBase() {
	case 0:
		from = nil
	case base:
	default:
		return nil, nil, errOtherBase
	}
	size := len(from) - len(d.GetRemoved()) + len(d.GetInserted())
	if len(d.GetRemoved()) > len(from) || size > MaxEndpoints {
		return nil, nil, fmt.Errorf("%d endpoints of %d are removed and %d inserted", len(d.GetRemoved()), len(from), len(d.GetInserted()))
	}
	out := make([]ir.Endpoint, 0, size)
	removed, inserted, at := d.GetRemoved(), d.GetInserted(), 0
	for len(out) < size {
		switch {
		case len(inserted) > 0 && int64(inserted[0].GetPlace()) == int64(len(out)):
			var e ir.Endpoint
			if err := decodeEndpoint(&e, inserted[0].GetEndpoint(), d.GetNames()); err != nil {
				return nil, nil, err
			}
			out, inserted = append(out, e), inserted[1:]
		case at >= len(from):
			return nil, nil, errors.New("endpoints are inserted at places that there are not")
		case len(removed) > 0 && int64(removed[0]) == int64(at):
			removed, at = removed[1:], at+1
		default:
			out, at = append(out, from[at]), at+1
		}
	}
	r, err := EncodeEndpoints(d.GetCluster(), out)
	if err != nil {
		return nil, nil, err
	}
	if r.Hash != d.GetHash() {
		return nil, nil, fmt.Errorf("what it makes has the hash %016x, not %016x", r.Hash, d.GetHash())
	}
	return out, r, nil
}

// deltas remembers the newest of each cluster, which most proxies are sent alike.
type deltas struct {
	mu   sync.Mutex // guards last
	last map[string]*sharedDelta
}

// maxDeltas bounds how many are remembered.
const maxDeltas = 10_000

type sharedDelta struct {
	base, next uint64
	frame      *frame
}

// frame is the delta as a message.
func (s *deltas) frame(base, next *Resource) (*frame, error) {
	var from uint64
	if base != nil && base.Body != nil {
		from = base.Hash
	}
	s.mu.Lock()
	known := s.last[next.Name]
	s.mu.Unlock()
	if known != nil && known.base == from && known.next == next.Hash {
		return known.frame, nil
	}
	d, err := deltaOf(base, next)
	if err != nil {
		return nil, err
	}
	f, err := message(&meshpb.FromControl{Message: &meshpb.FromControl_Endpoints{Endpoints: d}})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.last) >= maxDeltas {
		s.last = nil // clusters come and go
	}
	if s.last == nil {
		s.last = map[string]*sharedDelta{}
	}
	s.last[next.Name] = &sharedDelta{from, next.Hash, f}
	return f, nil
}

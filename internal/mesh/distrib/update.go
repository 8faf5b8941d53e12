package distrib

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// saveEndpoints is how long changes of endpoints may be newer than what is on disk.
const saveEndpoints = 5 * time.Second

// staging is an Update whose last part has not come.
type staging struct {
	part     uint32
	full     bool
	upserts  map[Key]*holding
	changes  map[Key]*meshpb.Resource // of those that came as changes
	removals []Key
	bytes    int
	// open is a resource whose body is not whole.
	open *holding
	key  Key
	size uint64
}

// update takes a part of an Update, and the whole with its last part.
func (x *connection) update(u *meshpb.Update) error {
	if u.GetPart() == 1 || x.staged == nil {
		x.staged = &staging{full: u.GetFull(), upserts: map[Key]*holding{}, changes: map[Key]*meshpb.Resource{}}
	}
	s := x.staged
	if u.GetPart() != s.part+1 || u.GetPart() > u.GetParts() {
		return fmt.Errorf("part %d of %d of an update after part %d", u.GetPart(), u.GetParts(), s.part)
	}
	s.part = u.GetPart()
	for _, k := range u.GetRemovals() {
		s.removals = append(s.removals, Key{k.GetKind(), k.GetName()})
	}
	for _, r := range u.GetUpserts() {
		if err := s.add(r); err != nil {
			return err
		}
	}
	if s.bytes > MaxViewBytes {
		return fmt.Errorf("an update is of more than %d MiB", MaxViewBytes>>20)
	}
	if s.part < u.GetParts() {
		return nil
	}
	x.staged = nil
	if s.open != nil {
		return fmt.Errorf("%s ends before its end", s.key)
	}
	return x.whole(s, u)
}

// add takes a resource, or a piece of one.
func (s *staging) add(r *meshpb.Resource) error {
	k := Key{r.GetKind(), r.GetName()}
	s.bytes += len(r.GetBody())
	if s.open != nil {
		if k != s.key {
			return fmt.Errorf("%s ends before its end", s.key)
		}
		s.open.body = append(s.open.body, r.GetBody()...)
	} else {
		h := &holding{hash: r.GetHash(), body: r.GetBody()}
		if h.body == nil {
			h.body = []byte{}
		}
		s.upserts[k] = h
		if delete(s.changes, k); r.GetBase() != 0 {
			s.changes[k] = r
			return nil
		}
		if r.GetSize() == 0 {
			h.size = len(h.body)
			return nil
		}
		if r.GetSize() > MaxResourceBytes {
			return fmt.Errorf("%s is of %d bytes, and can be of %d", k, r.GetSize(), MaxResourceBytes)
		}
		s.open, s.key, s.size = h, k, r.GetSize()
	}
	switch n := uint64(len(s.open.body)); {
	case n > s.size:
		return fmt.Errorf("%s is longer than it should be", k)
	case n == s.size:
		s.open.size, s.open = int(n), nil
	}
	return nil
}

// whole takes an Update that is there in all its parts.
func (x *connection) whole(s *staging, u *meshpb.Update) error {
	for k, r := range s.changes {
		body, err := x.patched(r)
		if err != nil {
			return x.resend(nil, &ResourceError{k, err})
		}
		if s.bytes += len(body); s.bytes > MaxViewBytes {
			return fmt.Errorf("an update is of more than %d MiB", MaxViewBytes>>20)
		}
		s.upserts[k].body, s.upserts[k].size = body, len(body)
	}
	var changed []ir.EndpointUpdate
	for k, h := range s.upserts {
		if xxhash.Sum64(h.body) != h.hash {
			return x.resend(nil, &ResourceError{k, errors.New("its content has another hash")})
		}
		if k.Kind == KindEndpoints {
			list, err := DecodeEndpoints(h.body)
			if err != nil {
				return x.resend(nil, &ResourceError{k, err})
			}
			h.endpoints = list
			changed = append(changed, ir.EndpointUpdate{Cluster: k.Name, Endpoints: list})
		}
	}
	next, order := x.with(s)
	bytes := 0
	list, all := make([]*Resource, len(order)), make([]Resource, len(order))
	for i, k := range order {
		h := next[k]
		bytes += h.size
		all[i] = Resource{Kind: k.Kind, Name: k.Name, Hash: h.hash}
		list[i] = &all[i]
	}
	if bytes > MaxViewBytes {
		return fmt.Errorf("the view is of more than %d MiB", MaxViewBytes>>20)
	}
	r := revisionOf(u.GetRevision())
	if sum := Sum(list); sum != r.Hash {
		return x.resend(nil, fmt.Errorf("the view has the hash %016x, not %016x", sum, r.Hash))
	}
	x.resends = 0
	x.Client.held, x.order, x.Client.bytes, x.fits = next, order, bytes, false
	x.good = true
	// What the Hello named is answered by the first Update.
	x.answers, x.unknown = max(u.GetSubscribed(), x.sequence), u.GetUnknown()
	x.judge(r, changed)
	return nil
}

// with is what is held with an Update, and its keys in order.
func (x *connection) with(s *staging) (map[Key]*holding, []Key) {
	next := make(map[Key]*holding, len(x.held)+len(s.upserts))
	fresh := s.full || len(s.removals) > 0 || x.order == nil
	if !s.full {
		maps.Copy(next, x.held)
		for _, k := range s.removals {
			delete(next, k)
		}
	}
	for k, h := range s.upserts {
		fresh = fresh || next[k] == nil
		next[k] = h
	}
	if !fresh {
		return next, x.order
	}
	return next, slices.SortedFunc(maps.Keys(next), compareKeys)
}

// judge applies a view, unless it is that which is served, or an older one.
func (x *connection) judge(r Revision, changed []ir.EndpointUpdate) {
	x.waiting, x.patience, x.retry.at = nil, nil, nil
	switch {
	case x.served && r.Hash == x.serving.Hash:
		x.level, x.fits = true, true
		x.takeEndpoints(changed)
		x.adopt(r)
		x.ack(r)
		x.answer(x.answers, x.unknown, nil)
		x.save()
	case x.served && !x.level && x.older(r):
		x.cfg.Log.Warn("the control plane is behind what is served, which goes on", "serving", x.serving.String(), "offered", r.String())
		x.waiting, x.patience = &r, time.After(x.cfg.Patience)
		x.say(&meshpb.FromProxy{Message: &meshpb.FromProxy_Nack{Nack: &meshpb.Nack{Revision: r.message(), Serving: x.serving.message(), Waiting: true}}})
		x.takeEndpoints(changed)
	default:
		x.level = true
		if !x.run(r) {
			x.takeEndpoints(changed)
		}
	}
}

// older tells whether a view was served before what is served now: by its number
// where numbers can be compared, else by having been served.
func (x *connection) older(r Revision) bool {
	if r.Epoch != "" && r.Epoch == x.serving.Epoch {
		return r.Number < x.serving.Number
	}
	return slices.Contains(x.history, r.Hash)
}

// giveIn applies what seemed older and has stayed what the control plane wants:
// somebody has put an earlier configuration in force again, or the state store is one
// that was restored. To wait for ever would be to serve no change any more.
func (x *connection) giveIn() {
	if x.waiting == nil {
		return
	}
	x.cfg.Log.Warn("the control plane goes on wanting an earlier configuration, which is applied", "revision", x.waiting.String())
	r := *x.waiting
	x.waiting, x.level = nil, true
	x.run(r)
}

// run applies what is held, and says what came of it.
func (x *connection) run(r Revision) bool {
	x.retry.at = nil
	if err := x.apply(r); err != nil {
		list := refusalList(err)
		x.mu.Lock()
		again := slices.Equal(x.state.Refusals, list)
		x.state.Refusals = list
		x.mu.Unlock()
		if isPartial(err) {
			x.later(r)
		}
		if !again || x.retry.at == nil {
			x.cfg.Log.Error("a revision cannot be served: the one before goes on", "revision", r.String(), "serving", x.serving.String(), "error", err)
		}
		x.nack(r, x.serving, list)
		x.answer(x.answers, x.unknown, errRefused)
		return false
	}
	x.ack(r)
	x.answer(x.answers, x.unknown, nil)
	x.save()
	x.saving = nil
	x.tell()
	return true
}

var errRefused = errors.New("the configuration that has the service cannot be served; the log says why")

// endpoints takes a change of the endpoints of one cluster.
func (x *connection) endpoints(d *meshpb.EndpointDelta) error {
	k := Key{KindEndpoints, d.GetCluster()}
	h := x.held[k]
	if h == nil {
		return nil // a later version sends what this one has not asked for
	}
	list, r, err := applyDelta(h.endpoints, h.hash, d)
	if err != nil {
		return x.resend([]*meshpb.HeldResource{{Kind: k.Kind, Name: k.Name, Hash: h.hash}}, &ResourceError{k, err})
	}
	x.Client.bytes += len(r.Body) - h.size
	x.held[k] = &holding{hash: r.Hash, size: len(r.Body), body: r.Body, endpoints: list}
	x.takeEndpoints([]ir.EndpointUpdate{{Cluster: k.Name, Endpoints: list}})
	return nil
}

// takeEndpoints has endpoints used, and saved after a while. They count also while
// the rest of a view is refused.
func (x *connection) takeEndpoints(list []ir.EndpointUpdate) {
	for _, u := range list {
		h := x.held[Key{KindEndpoints, u.Cluster}]
		x.decoder.setEndpoints(u.Cluster, h.hash, u.Endpoints)
		x.cfg.Applier.Endpoints(u)
		if x.saving == nil {
			x.saving = time.After(saveEndpoints)
		}
	}
}

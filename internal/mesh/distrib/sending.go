package distrib

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// send writes what is to be sent until the stream ends.
func (x *session) send() error {
	ctx := x.stream.Context()
	welcomed := false
	for {
		select {
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		case <-x.over:
			return nil
		case <-x.wake:
		}
		for {
			job, ok := x.job()
			if !ok {
				break
			}
			if !welcomed {
				welcomed = true
				hello := &meshpb.Welcome{Control: x.server.cfg.Name, Version: x.server.cfg.Version}
				if err := x.stream.Send(&meshpb.FromControl{Message: &meshpb.FromControl_Welcome{Welcome: hello}}); err != nil {
					return err
				}
			}
			if err := x.do(&job); err != nil {
				return err
			}
		}
	}
}

// job takes what can be sent now.
func (x *session) job() (job work, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.ready {
		return job, false
	}
	job, x.todo = x.todo, work{}
	if x.waiting && job.view {
		// Another Update goes out when the last was answered: a proxy that takes its
		// time gets one for all that happened meanwhile.
		x.todo.view, x.todo.all, x.todo.forget, x.todo.since = true, job.all, job.forget, job.since
		job.view = false
	}
	if job.view {
		job.endpoints = nil // the view has them
		x.making = true
	}
	return job, job.view || job.trust || job.withheld || job.reconnect != nil || len(job.endpoints) > 0
}

func (x *session) do(job *work) error {
	if job.trust {
		bundles, denied, _ := x.server.cfg.Trust.Trust()
		x.server.counters.message(sentTrust, len(bundles)+len(denied))
		if err := x.stream.Send(&meshpb.FromControl{Message: &meshpb.FromControl_Trust{Trust: &meshpb.Trust{Bundles: bundles, Denied: denied}}}); err != nil {
			return err
		}
	}
	if job.withheld {
		if err := x.sendWithheld(); err != nil {
			return err
		}
	}
	if job.view {
		if err := x.sendView(job); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(job.endpoints)) {
		if err := x.sendEndpoints(job.endpoints[name]); err != nil {
			return err
		}
	}
	if job.reconnect != nil {
		return x.stream.Send(&meshpb.FromControl{Message: &meshpb.FromControl_Reconnect{Reconnect: job.reconnect}})
	}
	return nil
}

// sendView sends what the proxy lacks of its view of now.
func (x *session) sendView(job *work) error {
	x.mu.Lock()
	if job.all {
		x.sent, x.endpoint = nil, nil
	}
	for _, k := range job.forget {
		if i, ok := find(x.sent, k); ok {
			x.sent = slices.Delete(slices.Clone(x.sent), i, i+1)
		}
		delete(x.endpoint, k.Name)
	}
	sent, endpoint, subscribed, answered, some, patches := x.sent, x.endpoint, x.subscribed, x.answered, x.begun, x.patches
	x.mu.Unlock()

	v, err := x.server.cfg.Views.View(x.proxy.Load())
	if err == nil {
		err = tooLarge(v.Resources)
	}
	if err != nil {
		x.server.cfg.Log.Error("there is no view for a proxy, which goes on with what it has", "proxy", x.name, "error", err)
		x.mu.Lock()
		x.failed, x.making = err, false
		x.mu.Unlock()
		return nil
	}
	if v.Hash == 0 {
		v.Hash = Sum(v.Resources)
	}
	upserts, removals := difference(sent, endpoint, v.Resources)
	defer x.server.activity.Add(1)
	x.mu.Lock()
	same := x.view.Hash == v.Hash
	x.failed, x.making = nil, false
	nothing := some && same && !job.all && len(upserts)+len(removals) == 0 && subscribed == answered
	if nothing {
		number := x.view.Number
		x.view, x.sent, x.endpoint = v, v.Resources, nil
		x.view.Number = number // as the proxy knows it
		if !x.waiting && x.refused == nil {
			x.acked = v.Resources
		}
		x.mu.Unlock()
		return nil
	}
	x.view, x.sent, x.endpoint, x.answered, x.begun, x.waiting = v, v.Resources, nil, subscribed, true, true
	x.changed = job.since
	x.mu.Unlock()

	list := parts(upserts, removals, func(k Key) *Resource {
		if i, ok := find(sent, k); ok && patches && k.Kind != KindEndpoints {
			return sent[i]
		}
		return nil
	})
	for i := range list {
		head := &meshpb.Update{Part: uint32(i + 1), Parts: uint32(len(list)), Full: job.all}
		if i == len(list)-1 {
			head.Revision = &meshpb.Revision{Number: v.Number, Epoch: v.Epoch, Hash: v.Hash}
			head.Subscribed, head.Unknown = subscribed, v.Unknown
		}
		f, err := list[i].encode(head)
		if err != nil {
			return err
		}
		x.server.counters.message(sentView, f.len())
		if err := x.stream.SendMsg(f); err != nil {
			return err
		}
	}
	return nil
}

// tooLarge refuses a view that no proxy would take.
func tooLarge(list []*Resource) error {
	bytes := 0
	for _, r := range list {
		bytes += len(r.Body)
	}
	if bytes > MaxViewBytes {
		return fmt.Errorf("it is of %d MiB, and a proxy takes %d: have it use fewer services", bytes>>20, MaxViewBytes>>20)
	}
	return nil
}

// sendEndpoints sends a change of a cluster's endpoints by themselves.
func (x *session) sendEndpoints(r *Resource) error {
	x.mu.Lock()
	base := x.endpoint[r.Name]
	if base == nil {
		i, ok := find(x.sent, r.Key())
		if !ok {
			x.mu.Unlock()
			return nil
		}
		base = x.sent[i]
	}
	if base.Hash == r.Hash {
		x.mu.Unlock()
		return nil
	}
	if x.endpoint == nil {
		x.endpoint = map[string]*Resource{}
	}
	x.endpoint[r.Name] = r
	x.mu.Unlock()
	f, err := x.server.deltas.frame(base, r)
	if err != nil {
		return err
	}
	x.server.counters.message(sentEndpoints, f.len())
	return x.stream.SendMsg(f)
}

// difference goes along two sorted lists. Of what was sent, endpoints may have
// changed since.
func difference(sent []*Resource, endpoint map[string]*Resource, now []*Resource) (upserts []*Resource, removals []Key) {
	i, j := 0, 0
	for i < len(sent) || j < len(now) {
		if i < len(sent) && j < len(now) && sent[i] == now[j] && (len(endpoint) == 0 || now[j].Kind != KindEndpoints) {
			i, j = i+1, j+1
			continue
		}
		order := -1
		switch {
		case i == len(sent):
			order = 1
		case j < len(now):
			order = Compare(sent[i], now[j])
		}
		switch {
		case order < 0:
			removals = append(removals, sent[i].Key())
			i++
		case order > 0:
			upserts = append(upserts, now[j])
			j++
		default:
			was := sent[i]
			if was.Kind == KindEndpoints {
				was = cmp.Or(endpoint[was.Name], was)
			}
			if was.Hash != now[j].Hash {
				upserts = append(upserts, now[j])
			}
			i, j = i+1, j+1
		}
	}
	return upserts, removals
}

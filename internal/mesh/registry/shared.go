package registry

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/gridway/gridway/internal/statedb"
)

const (
	// defaultLease is how long a control plane may be silent before what it has
	// registered counts as gone. A third of it is between two signs of life.
	defaultLease = 20 * time.Second
	// remembered is how long the store has those that are gone. Who did not look for
	// half of that looks at everything.
	remembered = 10 * time.Minute
	// gather is how long changes are collected before they are written together.
	gather = 20 * time.Millisecond
	// maxBatch bounds the proxies that one transaction writes.
	maxBatch = 500
)

// SharedOptions are for Share.
type SharedOptions struct {
	DB *statedb.DB
	// Replica names this control plane's process; empty makes a name.
	Replica string
	// Lease is how long it may be silent; 0 is 20 s. All of a mesh have the same.
	Lease time.Duration
	// Elected tells whether this process is the one of all that share the store which
	// declares others lost, and forgets what is gone. Nil is that each does.
	Elected func() (statedb.Mandate, bool)
	Log     *slog.Logger
}

// Shared has a registry know the workloads that other control planes have, by a state
// store that they share. While the store is away each goes on with what it knows, and
// writes what changed when it is back: of each proxy the newest state alone.
type Shared struct {
	reg *Registry
	opt SharedOptions
	// seen is the version up to which the store was read, and when that was.
	seen   int64
	readAt time.Time
	failed string
}

// Share makes a registry one of several. Nothing happens before Run.
func Share(r *Registry, o SharedOptions) *Shared {
	o.Lease = cmp.Or(o.Lease, defaultLease)
	o.Replica = cmp.Or(o.Replica, rand.Text())
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dirty, r.unkept, r.dirtied = map[string]bool{}, map[serviceKey]bool{}, make(chan struct{}, 1)
	for name := range r.proxies {
		r.dirty[name] = true
	}
	for k := range r.services {
		r.unkept[k] = true
	}
	return &Shared{reg: r, opt: o}
}

// Load takes in what the store has, before proxies come: a control plane that started anew
// and had none of the workloads yet would tell the first of them that there are none, and
// would choose ports anew. Run does the same, later, where the store is away.
func (s *Shared) Load(ctx context.Context) { s.sync(ctx, true) }

func (s *Shared) adopt(list []statedb.MeshService) error {
	var bad []error
	for i := range list {
		if err := s.reg.adopt(&list[i]); err != nil {
			bad = append(bad, fmt.Errorf("the ports of the service %s/%s in the state store: %w", list[i].Namespace, list[i].Name, err))
		}
	}
	return errors.Join(bad...)
}

// Run writes what registers here, and takes in what registers elsewhere, until ctx is
// done.
func (s *Shared) Run(ctx context.Context) error {
	w := s.opt.DB.Watch(statedb.MeshRegistry)
	defer w.Stop()
	alive := time.NewTicker(s.opt.Lease / 3)
	defer alive.Stop()
	s.sync(ctx, true)
	for {
		beat := false
		select {
		case <-ctx.Done():
			return nil
		case <-alive.C:
			beat = true
		case <-w.C():
		case <-s.reg.dirtied:
			select { // others may follow at once
			case <-ctx.Done():
				return nil
			case <-time.After(gather):
			}
		}
		s.sync(ctx, beat)
	}
}

// sync writes and then reads. With beat it also says that this control plane is there.
func (s *Shared) sync(ctx context.Context, beat bool) {
	err := s.write(ctx, beat)
	if err == nil {
		err = s.read(ctx)
	}
	switch {
	case err == nil && s.failed != "":
		s.opt.Log.Info("the workloads of other control planes are known again")
		s.failed = ""
	case err != nil && ctx.Err() == nil && s.failed != err.Error():
		s.failed = err.Error()
		s.opt.Log.Warn("workloads cannot be shared with other control planes; what is known of them holds", "error", err)
	}
}

// batch is what one transaction writes.
type batch struct {
	proxies  map[string][]*Instance
	services []serviceKey
	// beat is to say that this control plane is there.
	beat bool
	// told is what the store was told of Services.
	told    map[serviceKey]bool
	version int64
}

// write takes what changed here to the store. What could not be written stays.
func (s *Shared) write(ctx context.Context, beat bool) error {
	for {
		b := batch{proxies: s.reg.takeDirty(maxBatch), services: s.reg.takeUnkept(maxBatch), beat: beat}
		if len(b.proxies)+len(b.services) == 0 && !beat {
			return nil
		}
		err := s.opt.DB.Write(ctx, func(tx *statedb.Tx) error { return s.writeBatch(ctx, tx, &b) })
		if err != nil {
			s.reg.putDirty(b.proxies)
			s.reg.putUnkept(b.services)
			return err
		}
		s.reg.told(b.told, b.version)
		beat = false
	}
}

// writeBatch may run several times.
func (s *Shared) writeBatch(ctx context.Context, tx *statedb.Tx, b *batch) error {
	b.told, b.version = map[serviceKey]bool{}, 0
	advance := func() (err error) {
		if b.version == 0 {
			b.version, err = tx.Advance(ctx, statedb.MeshRegistry)
		}
		return err
	}
	if len(b.proxies)+len(b.services) > 0 {
		if err := advance(); err != nil {
			return err
		}
	}
	if err := s.writeProxies(ctx, tx, b); err != nil {
		return err
	}
	for _, k := range b.services {
		if wrote, err := s.reg.writePorts(ctx, tx, k, b.version); err != nil {
			return err
		} else if wrote {
			b.told[k] = false
		}
	}
	if !b.beat {
		return nil
	}
	lost, err := tx.SeeMeshReplica(ctx, s.opt.Replica, s.opt.Lease)
	if err != nil {
		return err
	}
	if s.opt.Elected != nil {
		m, is := s.opt.Elected()
		if !is {
			return nil
		}
		if err := tx.By(ctx, m); errors.Is(err, statedb.ErrNotElected) {
			return nil
		} else if err != nil {
			return err
		}
	}
	for _, replica := range lost {
		if err := advance(); err != nil {
			return err
		}
		if err := tx.EndMeshReplica(ctx, replica, s.opt.Lease, b.version); err != nil {
			return err
		}
	}
	for k, gone := range s.reg.turned() {
		if _, now := b.told[k]; now {
			continue // with the next beat
		}
		if err := advance(); err != nil {
			return err
		}
		if err := tx.MarkMeshService(ctx, k.namespace, k.name, gone, b.version); err != nil {
			return err
		}
		b.told[k] = gone
	}
	return errors.Join(tx.ForgetMeshProxies(ctx, remembered), tx.ForgetMeshServices(ctx, s.reg.opt.Remember))
}

func (s *Shared) writeProxies(ctx context.Context, tx *statedb.Tx, b *batch) error {
	for _, name := range slices.Sorted(maps.Keys(b.proxies)) {
		list := b.proxies[name]
		if len(list) == 0 {
			if err := tx.EndMeshProxy(ctx, name, s.opt.Replica, b.version); err != nil {
				return err
			}
			continue
		}
		content, err := json.Marshal(list)
		if err != nil {
			return err
		}
		if err := tx.PutMeshProxy(ctx, &statedb.MeshProxy{Proxy: name, Replica: s.opt.Replica, Version: b.version, Content: string(content)}); err != nil {
			return err
		}
	}
	return nil
}

// read takes in what changed elsewhere.
func (s *Shared) read(ctx context.Context) error {
	after := s.seen
	if time.Since(s.readAt) > remembered/2 {
		after = 0
	}
	var list []statedb.MeshProxy
	var services []statedb.MeshService
	var version int64
	err := s.opt.DB.Read(ctx, func(tx *statedb.Tx) (err error) {
		if version, err = tx.Version(ctx, statedb.MeshRegistry); err != nil || version == after && after > 0 {
			list, services = nil, nil
			return err
		}
		if list, err = tx.MeshProxies(ctx, after); err != nil {
			return err
		}
		services, err = tx.MeshServices(ctx, after)
		return err
	})
	if err != nil {
		return err
	}
	var bad []error
	if err := s.adopt(services); err != nil {
		bad = append(bad, err)
	}
	there := map[string]bool{}
	for i := range list {
		p := &list[i]
		there[p.Proxy] = true
		var instances []*Instance
		if !p.Gone {
			if err := json.Unmarshal([]byte(p.Content), &instances); err != nil {
				bad = append(bad, err)
				continue
			}
		}
		s.reg.remote(p.Proxy, p.Replica, p.Replica == s.opt.Replica, instances)
	}
	if after == 0 {
		s.reg.forgetRemote(there)
	}
	s.seen, s.readAt = version, time.Now()
	return errors.Join(bad...)
}

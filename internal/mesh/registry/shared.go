package registry

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
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
	r.dirty, r.dirtied = map[string]bool{}, make(chan struct{}, 1)
	for name := range r.proxies {
		r.dirty[name] = true
	}
	return &Shared{reg: r, opt: o}
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

// write takes what changed here to the store. What could not be written stays.
func (s *Shared) write(ctx context.Context, beat bool) error {
	for {
		batch := s.reg.takeDirty(maxBatch)
		if len(batch) == 0 && !beat {
			return nil
		}
		err := s.opt.DB.Write(ctx, func(tx *statedb.Tx) error { return s.writeBatch(ctx, tx, batch, beat) })
		if err != nil {
			s.reg.putDirty(batch)
			return err
		}
		beat = false
	}
}

func (s *Shared) writeBatch(ctx context.Context, tx *statedb.Tx, batch map[string][]*Instance, beat bool) error {
	var version int64
	advance := func() (err error) {
		if version == 0 {
			version, err = tx.Advance(ctx, statedb.MeshRegistry)
		}
		return err
	}
	if len(batch) > 0 {
		if err := advance(); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(batch)) {
		list := batch[name]
		if len(list) == 0 {
			if err := tx.EndMeshProxy(ctx, name, s.opt.Replica, version); err != nil {
				return err
			}
			continue
		}
		content, err := json.Marshal(list)
		if err != nil {
			return err
		}
		if err := tx.PutMeshProxy(ctx, &statedb.MeshProxy{Proxy: name, Replica: s.opt.Replica, Version: version, Content: string(content)}); err != nil {
			return err
		}
	}
	if !beat {
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
		if err := tx.EndMeshReplica(ctx, replica, s.opt.Lease, version); err != nil {
			return err
		}
	}
	return tx.ForgetMeshProxies(ctx, remembered)
}

// read takes in what changed elsewhere.
func (s *Shared) read(ctx context.Context) error {
	after := s.seen
	if time.Since(s.readAt) > remembered/2 {
		after = 0
	}
	var list []statedb.MeshProxy
	var version int64
	err := s.opt.DB.Read(ctx, func(tx *statedb.Tx) (err error) {
		if version, err = tx.Version(ctx, statedb.MeshRegistry); err != nil || version == after && after > 0 {
			list = nil
			return err
		}
		list, err = tx.MeshProxies(ctx, after)
		return err
	})
	if err != nil {
		return err
	}
	var bad []error
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

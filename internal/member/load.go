package member

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os/user"
	"strconv"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/mesh/declared"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/intercept"
)

// load is a workload of a node proxy.
type load struct {
	n     *node
	key   string
	id    identity.ID
	ports workloadPorts
	hold  holder // of those ports
	stop  context.CancelFunc
	done  chan struct{}
	kick  chan struct{} // it is declared otherwise
	renew chan struct{} // its identity is to be asked for now

	// What follows is guarded by n.mu.
	declared *declared.Workload
	// in: it has an identity, and the control plane is told of it.
	in      bool
	healthy bool
	leaving bool
	who     processes
	// withheld is why the control plane does not let the node have it, and refused why the
	// last try to renew its identity was refused; empty is neither.
	withheld, refused string
}

// processes is by what those of a workload are told from others, as it is now.
type processes struct {
	source intercept.Source
	cgroup string
	uid    uint32
	isUser bool
}

func (l *load) wake() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

func (l *load) now() *declared.Workload {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	return l.declared
}

// well says whether the workload answers.
func (l *load) well(is bool) {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	if l.healthy == is || is && (l.leaving || !l.in) {
		return
	}
	l.healthy = is
	d := l.declared
	l.n.m.client.SetHealth(d.Namespace, d.Service, d.Name, is)
	l.n.m.log.Info("workload", "workload", l.key, "healthy", is)
}

// run is the life of a workload, until ctx ends.
func (l *load) run(ctx context.Context) {
	m := l.n.m
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() {
		renew := func(ctx context.Context) (*identity.SVID, error) { return m.stay.Client.Delegate(ctx, l.id) }
		(&identity.Renewer{Keyring: m.keys, ID: l.id, Renew: renew, Log: m.log, Report: l.renewed, Kick: l.renew}).Run(ctx)
	})
	if !l.identified(ctx) {
		return
	}
	l.enter()
	f := &follower{l: l}
	defer f.close()
	p := &probe{}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		d := l.now()
		f.look(d)
		if l.enter() {
			if is, known := p.look(ctx, d); known && ctx.Err() == nil {
				l.well(is)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-l.kick:
			p.due = time.Time{}
		case <-tick.C:
		}
	}
}

// identified waits for an SVID; it is false if ctx ends before.
func (l *load) identified(ctx context.Context) bool {
	changed, stop := l.n.m.keys.Watch()
	defer stop()
	for l.n.m.keys.SVID(l.id) == nil {
		select {
		case <-ctx.Done():
			return false
		case <-changed:
		}
	}
	return true
}

// find finds the processes of a workload as they are now.
func find(p declared.Processes) (out processes, err error) {
	var place intercept.Place
	switch {
	case p.Unit != "":
		place, err = intercept.FindUnit(p.Unit)
	case p.Cgroup != "":
		place, err = intercept.FindCgroup(p.Cgroup)
	default:
		return findUser(p.User)
	}
	if err != nil {
		return out, err
	}
	return processes{source: intercept.FromPlace(place), cgroup: place.Path}, nil
}

func findUser(name string) (out processes, err error) {
	id, err := strconv.ParseUint(name, 10, 32)
	if err != nil {
		u, err := user.Lookup(name)
		if err != nil {
			return out, fmt.Errorf("this host has no user %s", name)
		}
		if id, err = strconv.ParseUint(u.Uid, 10, 32); err != nil {
			return out, err
		}
	}
	if id == math.MaxUint32 { // (uid_t)-1 is nobody: chown(2)
		return out, fmt.Errorf("%s is the number of no user", name)
	}
	if id == 0 {
		return out, errors.New("the node proxy's own connections are root's, too; name a unit or a cgroup")
	}
	return processes{source: intercept.FromUser(uint32(id)), uid: uint32(id), isUser: true}, nil
}

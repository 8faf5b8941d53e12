package member

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/gridway/gridway/internal/mesh/declared"
	"github.com/gridway/gridway/internal/mesh/intercept"
	"github.com/gridway/gridway/internal/mesh/nameserver"
)

// followEvery is how often it is looked at whether a workload's processes have another
// cgroup, as those of a unit have that was started anew.
const followEvery = 250 * time.Millisecond

// A declaration may except as much as rules can.
const _ = uint(intercept.MaxExceptions - declared.MaxExceptions)

// follower keeps the rules by which a workload's connections are taken.
type follower struct {
	l     *load
	rules *intercept.Rules
	as    intercept.Config // of rules
	names *nameserver.Server
	said  string // of what is wrong
}

// look has the rules be those of the processes that there are now.
func (f *follower) look(d *declared.Workload) {
	l := f.l
	who, err := find(d.Processes)
	l.n.mu.Lock()
	l.who = who
	l.n.mu.Unlock()
	if err != nil {
		f.remove()
	} else if l.n.m.opt.Intercept {
		err = f.install(l.n.m.rulesOf(l, d, who.source))
	}
	f.say(d, err)
}

// rulesOf are what the kernel is told of a workload.
func (m *member) rulesOf(l *load, d *declared.Workload, from intercept.Source) intercept.Config {
	h := fnv.New32a()
	_, _ = h.Write([]byte(l.key))
	c := intercept.Config{
		ID: fmt.Sprintf("n%d_%08x", m.ports.Mesh, h.Sum32()), From: from, Outbound: l.ports.Outbound, DNS: l.ports.DNS,
		Except: intercept.Except{Networks: d.Except.Networks, Ports: d.Except.OutboundPorts},
	}
	for _, p := range d.Ports {
		if !slices.Contains(d.Except.Ports, p.Number) {
			c.Inbound = append(c.Inbound, intercept.Redirect{From: p.Number, To: m.ports.Inbound})
		}
	}
	return c
}

// say logs an error, once.
func (f *follower) say(d *declared.Workload, err error) {
	if err == nil {
		f.said = ""
		return
	}
	text := err.Error()
	if text == f.said {
		return
	}
	f.said = text
	log := f.l.n.m.log.With("workload", f.l.key, "processes", d.Processes.String())
	switch {
	case errors.Is(err, intercept.ErrNoCgroup), errors.Is(err, errNotYet):
		log.Info("the workload's processes are waited for", "why", text)
	case f.rules != nil:
		log.Error("what is taken of the workload's connections stays as it was", "error", err)
	default:
		log.Error("what the workload sends does not go through the mesh", "error", err)
	}
}

// errNotYet: connections would be sent to where nobody takes them.
var errNotYet = errors.New("its configuration has not come yet")

// install has these rules be in force.
func (f *follower) install(c intercept.Config) (err error) {
	switch {
	case f.rules != nil && reflect.DeepEqual(&f.as, &c):
		return nil
	case f.rules != nil:
		err = f.rules.Replace(c)
	case !f.l.n.m.plane.captures(c.Outbound):
		return errNotYet
	default:
		if err = f.answer(); err == nil {
			f.rules, err = intercept.Install(c)
		}
	}
	if err != nil {
		return err
	}
	f.as = c
	f.l.n.m.log.Info("what the workload sends goes through the mesh", "workload", f.l.key, "from", c.From.String(),
		"except", len(c.Except.Networks)+len(c.Except.Ports), "guarded", len(c.Inbound))
	return nil
}

// answer begins to answer the workload's questions to resolvers.
func (f *follower) answer() (err error) {
	if f.names != nil {
		return nil
	}
	l := f.l
	var at []netip.AddrPort
	for _, a := range locals() {
		at = append(at, netip.AddrPortFrom(a, l.ports.DNS))
	}
	now := l.now()
	services := names{m: l.n.m, namespace: now.Namespace, port: l.ports.Outbound}
	f.names, err = nameserver.Start(nameserver.Options{Addresses: at, Services: services, Asked: l.n.m.asked(now.Namespace, now.Service), Log: l.n.m.log})
	return err
}

func (f *follower) remove() {
	if f.rules != nil {
		_ = f.rules.Close() // the kernel removes them with this process anyway
		f.rules = nil
	}
}

func (f *follower) close() {
	f.remove()
	if f.names != nil {
		f.names.Close()
	}
}

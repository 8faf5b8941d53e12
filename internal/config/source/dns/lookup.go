package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mdns "github.com/miekg/dns"
)

var (
	// errDenied is wrapped by errors that say that a name has no addresses.
	errDenied = errors.New("no such name or no addresses")
	// errPartial is wrapped by errors that come with an answer in which a part
	// is from last time.
	errPartial = errors.New("answer is incomplete")
)

const (
	// lookupTimeout bounds one lookup with all its questions.
	lookupTimeout = 15 * time.Second
	// maxTargets bounds the SRV records, and maxHosts the addresses, that are used.
	maxTargets = 256
	maxHosts   = 4096
	// maxTogether bounds the SRV targets of one name that are looked up at a time.
	maxTogether = 8
)

// lookup resolves one name. With errPartial the answer is to be used; with
// errDenied it carries a TTL.
func (r *resolver) lookup(ctx context.Context, k key, last answer) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	q := &query{resolver: r, ctx: ctx, last: last, ttl: -1, found: map[target][]netip.Addr{}}
	if k.resolver != "" {
		q.servers, q.timeout, q.attempts = []string{k.resolver}, defaultTimeout, 2
	} else {
		conf := r.system()
		q.servers, q.timeout, q.attempts = conf.servers, conf.timeout, conf.attempts
		if !k.srv {
			if addrs := r.local(ctx, k.name, k.port); len(addrs) > 0 {
				return answer{hosts: sortHosts(plainHosts(addrs, k.name)), ttl: k.minTTL}, nil
			}
		}
		if names := conf.candidates(k.name); len(names) > 1 {
			return q.search(names, k)
		}
	}
	return q.one(mdns.Fqdn(k.name), k)
}

// query is one lookup under way.
type query struct {
	*resolver
	ctx      context.Context
	servers  []string
	timeout  time.Duration
	attempts int
	last     answer

	ttl     time.Duration // least of what was used, -1 before
	found   map[target][]netip.Addr
	partial error // what failed and was taken from last time
}

// search tries a relative name with each search domain. A failure of one is
// remembered, for a denial would not be certain then.
func (q *query) search(names []string, k key) (answer, error) {
	var failure, denial error
	var a answer
	for _, name := range names {
		var err error
		q.ttl = -1
		a, err = q.one(name, k)
		switch {
		case err == nil || errors.Is(err, errPartial):
			return a, err
		case errors.Is(err, errDenied):
			denial = err
		case failure == nil:
			failure = err
		}
	}
	if failure != nil {
		return answer{}, failure
	}
	return a, denial
}

func (q *query) one(name string, k key) (answer, error) {
	if k.srv {
		return q.services(name)
	}
	addrs, err := q.addresses(name)
	if err != nil {
		return answer{ttl: q.ttl}, err
	}
	return q.answer(plainHosts(q.usable(addrs), k.name))
}

// answer packs what was found.
func (q *query) answer(hosts []host) (answer, error) {
	a := answer{hosts: sortHosts(hosts[:min(len(hosts), maxHosts)]), ttl: max(q.ttl, 0), targets: q.found}
	if q.partial != nil {
		return a, fmt.Errorf("%w: %w", errPartial, q.partial)
	}
	return a, nil
}

func plainHosts(addrs []netip.Addr, name string) []host {
	hosts := make([]host, len(addrs))
	for i, a := range addrs {
		hosts[i] = host{addr: a, name: strings.TrimSuffix(name, ".")}
	}
	return hosts
}

// addresses looks up both families of a name. If one fails, its addresses of
// last time are taken; if both do, so does the lookup.
func (q *query) addresses(name string) ([]netip.Addr, error) { return q.take(name, q.both(name)) }

// reply is what was found of one family of a name.
type reply struct {
	addrs []netip.Addr
	ttl   time.Duration
	err   error
}

// both asks for both families of a name; it changes nothing of the query.
func (q *query) both(name string) [2]reply {
	ask := func(qtype uint16) reply {
		addrs, ttl, err := q.family(name, qtype)
		return reply{addrs, ttl, err}
	}
	six := make(chan reply, 1)
	go func() { six <- ask(mdns.TypeAAAA) }()
	return [2]reply{ask(mdns.TypeA), <-six}
}

// take notes what both has brought.
func (q *query) take(name string, replies [2]reply) ([]netip.Addr, error) {
	var all []netip.Addr
	var failure, denial error
	for i, r := range replies {
		t := target{name, [2]uint16{mdns.TypeA, mdns.TypeAAAA}[i]}
		switch {
		case r.err == nil:
			q.found[t] = r.addrs
			q.least(r.ttl)
		case errors.Is(r.err, errDenied):
			denial = r.err
			if r.ttl > 0 { // without an SOA record it says nothing about time
				q.least(r.ttl)
			}
		default:
			failure = r.err
			r.addrs = q.last.targets[t]
			q.found[t] = r.addrs
		}
		all = append(all, r.addrs...)
	}
	switch {
	case failure != nil && (replies[0].err == nil || replies[1].err == nil):
		q.partial = failure
		return all, nil
	case failure != nil:
		return nil, failure
	case len(all) == 0:
		return nil, denial
	}
	return all, nil
}

func (q *query) least(ttl time.Duration) {
	if q.ttl < 0 || ttl < q.ttl {
		q.ttl = ttl
	}
}

// services looks up the SRV records of a name and the addresses of their targets.
func (q *query) services(name string) (answer, error) {
	reply, err := q.ask(name, mdns.TypeSRV)
	if err != nil {
		return answer{}, err
	}
	records, ttl, err := readSRV(reply, name)
	q.least(ttl)
	if err != nil {
		return answer{ttl: q.ttl}, err
	}
	given := make(map[string][]netip.Addr) // that came along
	for _, r := range records {
		if addrs, ttl := readAddresses(reply.Extra, r.target); len(addrs) > 0 {
			q.least(ttl)
			q.found[target{r.target, mdns.TypeA}], given[r.target] = addrs, addrs
		}
	}
	asked := q.targets(records, given)
	priority, weight := rank(records)
	var hosts []host
	var failure error
	for i, r := range records {
		addrs, along := given[r.target]
		if !along {
			if addrs, err = q.targetAddresses(r.target, asked[r.target]); err != nil {
				failure = fmt.Errorf("target %s: %w", r.target, err)
			}
		}
		for _, h := range plainHosts(q.usable(addrs), r.target) {
			h.port, h.priority, h.weight = r.port, priority[i], weight[i]
			hosts = append(hosts, h)
		}
	}
	if len(hosts) == 0 && failure != nil {
		return answer{}, failure
	}
	if failure != nil {
		q.partial = failure
	}
	return q.answer(hosts)
}

// targets asks for the addresses of SRV targets that did not come along.
func (q *query) targets(records []srvRecord, given map[string][]netip.Addr) map[string][2]reply {
	var names []string
	for _, r := range records {
		if _, along := given[r.target]; !along {
			names = append(names, r.target)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	replies := make([][2]reply, len(names))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(len(names), maxTogether) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(names)); i = next.Add(1) - 1 {
				replies[i] = q.both(names[i])
			}
		})
	}
	workers.Wait()
	out := make(map[string][2]reply, len(names))
	for i, name := range names {
		out[name] = replies[i]
	}
	return out
}

// targetAddresses notes the replies to an SRV target; one that fails keeps what it had.
func (q *query) targetAddresses(name string, replies [2]reply) ([]netip.Addr, error) {
	addrs, err := q.take(name, replies)
	if err != nil && !errors.Is(err, errDenied) {
		t4, t6 := target{name, mdns.TypeA}, target{name, mdns.TypeAAAA}
		q.found[t4], q.found[t6] = q.last.targets[t4], q.last.targets[t6]
		addrs = slices.Concat(q.found[t4], q.found[t6])
	}
	return addrs, err
}

// usable leaves out what this machine has no route to, unless that is all.
func (q *query) usable(addrs []netip.Addr) []netip.Addr {
	var list []netip.Addr
	for _, a := range addrs {
		if q.reachable(a) {
			list = append(list, a)
		}
	}
	if len(list) == 0 {
		return addrs
	}
	return list
}

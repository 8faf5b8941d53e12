package dns

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// host is one address that a name stands for.
type host struct {
	addr     netip.Addr
	port     uint16 // SRV only
	weight   uint32 // SRV only
	priority int    // SRV only: 0 for the lowest value of the answer, then 1 …
	name     string // the name that has the address
}

// answer is what a lookup found.
type answer struct {
	hosts []host // ordered, without duplicates
	ttl   time.Duration
	// targets holds the addresses of each name that was looked up, so that one
	// that fails next time keeps them.
	targets map[target][]netip.Addr
}

// target is one family of one name.
type target struct {
	name  string
	qtype uint16
}

func (h host) endpoint(d ir.DNSName) ir.Endpoint {
	e := ir.Endpoint{Weight: d.Weight, Zone: d.Zone, Priority: d.Priority, Hostname: h.name}
	port := d.Port
	if d.SRV {
		port = h.port
		e.Weight = h.weight
		e.Priority += h.priority
	}
	e.Address = netip.AddrPortFrom(h.addr, port).String()
	return e
}

// sortHosts puts hosts into an order that does not depend on the resolver's
// rotation: by priority, family, address and port.
func sortHosts(hosts []host) []host {
	slices.SortFunc(hosts, func(a, b host) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), a.addr.Compare(b.addr), cmp.Compare(a.port, b.port),
			cmp.Compare(b.weight, a.weight), cmp.Compare(a.name, b.name))
	})
	return slices.CompactFunc(hosts, func(a, b host) bool { return a.addr == b.addr && a.port == b.port })
}

// srvRecord is one SRV record.
type srvRecord struct {
	target           string
	port             uint16
	priority, weight uint16
}

// rank turns the records' priorities into 0, 1, 2 … and their weights into ones
// where none is zero. RFC 2782: a weight of 0 beside greater ones has "a very
// small chance"; here that is a hundredth of a weight of 1.
func rank(records []srvRecord) (priority []int, weight []uint32) {
	var levels []uint16
	some := map[uint16]bool{} // priorities that have a weight above zero
	none := map[uint16]bool{} // priorities that have a weight of zero
	for _, r := range records {
		levels = append(levels, r.priority)
		if r.weight > 0 {
			some[r.priority] = true
		} else {
			none[r.priority] = true
		}
	}
	slices.Sort(levels)
	levels = slices.Compact(levels)
	for _, r := range records {
		p, _ := slices.BinarySearch(levels, r.priority)
		priority = append(priority, p)
		switch {
		case r.weight == 0:
			weight = append(weight, 1)
		case some[r.priority] && none[r.priority]:
			weight = append(weight, uint32(r.weight)*100)
		default:
			weight = append(weight, uint32(r.weight))
		}
	}
	return priority, weight
}

package nameserver

import (
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Bounds of what is remembered.
const (
	maxCached    = 4096      // replies
	maxCachedLen = 2 << 10   // bytes of one, packed
	maxTTL       = time.Hour // of positive replies
	maxNegative  = time.Minute
)

// cacheKey is what a reply depends on.
type cacheKey struct {
	name        string
	kind, class uint16
	dnssec, cd  bool
	// edns and stream make replies longer.
	edns, stream bool
}

func keyOf(q *dns.Msg, stream bool) cacheKey {
	question := q.Question[0]
	k := cacheKey{name: strings.ToLower(question.Name), kind: question.Qtype, class: question.Qclass, cd: q.CheckingDisabled, stream: stream}
	if opt := q.IsEdns0(); opt != nil {
		k.edns, k.dnssec = true, opt.Do()
	}
	return k
}

// cache remembers replies of resolvers for as long as they say.
type cache struct {
	mu   sync.Mutex
	kept map[cacheKey]cached // guarded by mu
}

type cached struct {
	packed      []byte
	since, till time.Time
}

func (c *cache) init() { c.kept = map[cacheKey]cached{} }

// get is a reply to q, nil if none is remembered. Its TTLs are what is left of them.
func (c *cache) get(key cacheKey, q *dns.Msg, now time.Time) *dns.Msg {
	c.mu.Lock()
	found, ok := c.kept[key]
	if ok && !now.Before(found.till) {
		delete(c.kept, key)
		ok = false
	}
	c.mu.Unlock()
	if !ok {
		return nil
	}
	reply := new(dns.Msg)
	if reply.Unpack(found.packed) != nil {
		return nil
	}
	reply.Id, reply.Question = q.Id, q.Question
	age := uint32(now.Sub(found.since) / time.Second)
	eachRecord(reply, func(h *dns.RR_Header) { h.Ttl -= min(age, h.Ttl) })
	return reply
}

func (c *cache) put(key cacheKey, reply *dns.Msg, now time.Time) {
	ttl := lifetime(reply)
	if ttl <= 0 || reply.Truncated {
		return
	}
	packed, err := reply.Pack()
	if err != nil || len(packed) > maxCachedLen {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for other := range c.kept { // any one makes room
		if len(c.kept) < maxCached {
			break
		}
		delete(c.kept, other)
	}
	c.kept[key] = cached{packed, now, now.Add(ttl)}
}

// lifetime is how long a reply may be remembered: the least of its TTLs, and for
// one that says that there is nothing what its SOA says (RFC 2308 §5).
func lifetime(reply *dns.Msg) time.Duration {
	if reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError {
		return 0
	}
	if len(reply.Answer) == 0 || reply.Rcode == dns.RcodeNameError {
		for _, rr := range reply.Ns {
			if soa, ok := rr.(*dns.SOA); ok {
				return min(time.Duration(min(soa.Minttl, soa.Hdr.Ttl))*time.Second, maxNegative)
			}
		}
		return 0
	}
	least := maxTTL
	eachRecord(reply, func(h *dns.RR_Header) { least = min(least, time.Duration(h.Ttl)*time.Second) })
	return least
}

// eachRecord calls f for the records that have a TTL; that of EDNS is something else.
func eachRecord(m *dns.Msg, f func(*dns.RR_Header)) {
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			if h := rr.Header(); h.Rrtype != dns.TypeOPT {
				f(h)
			}
		}
	}
}

// Package flow gathers who speaks to whom: what a proxy before a workload sees of
// requests and connections, by source, destination, method and shape of the path, with
// what policies made of it. It is bounded whatever comes, allocates nothing for what it
// has seen before, and never blocks traffic. It starts no goroutines; the data plane
// records, and who reports takes.
package flow

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// Bounds of what a Recorder has. A flow is of about 1 KiB at most, so all of them are of
// 2 MiB.
const (
	MaxFlows = 2048
	// MaxOfPair is how many flows one source has with one port of a service. What is
	// beyond is counted as one flow, with Overflow.
	MaxOfPair = 96
)

// Protocol is what was spoken.
type Protocol uint8

const (
	HTTP Protocol = iota + 1
	GRPC
	TCP
)

func (p Protocol) String() string {
	switch p {
	case HTTP:
		return "HTTP"
	case GRPC:
		return "gRPC"
	case TCP:
		return "TCP"
	}
	return "unknown"
}

// Verdict is what policies made of it.
type Verdict uint8

const (
	Allowed Verdict = iota + 1
	// WouldDeny is allowed, and a dry policy would have refused it.
	WouldDeny
	Denied
)

func (v Verdict) String() string {
	switch v {
	case Allowed:
		return "allowed"
	case WouldDeny:
		return "would deny"
	case Denied:
		return "denied"
	}
	return "unknown"
}

// Seen is one request or connection.
type Seen struct {
	// Source is the SPIFFE ID that the client has proved; empty for none.
	Source string
	// Namespace, Service and Port are the destination.
	Namespace, Service string
	Port               uint16
	Protocol           Protocol
	// Method and Path are the request's; of a call of gRPC the path alone counts.
	Method, Path []byte
	Verdict      Verdict
	// Policy is the one that refused it, "namespace/name".
	Policy string
	// From is a number that tells addresses of clients apart.
	From uint64
	At   time.Time
	// Failed is set where the answer was an error of the server.
	Failed   bool
	Duration time.Duration
}

// Key is what tells flows apart.
type Key struct {
	Source             string
	Namespace, Service string
	Port               uint16
	Protocol           Protocol
	// Method is of HTTP, Path a shape or, of gRPC, exact.
	Method, Path string
	Verdict      Verdict
	Policy       string
	// Overflow: methods and paths are more than could be kept, and are left out.
	Overflow bool
}

// Count is how much of a flow was seen.
type Count struct {
	Count, Failed uint64
	First, Last   time.Time
	// Duration is the sum of all.
	Duration time.Duration
	// Addresses has a bit for each of 63 groups of clients' addresses.
	Addresses uint64
}

// Flow is what was seen of one kind.
type Flow struct {
	Key
	Count
}

// Add takes up what was counted elsewhere.
func (c *Count) Add(o *Count) {
	if c.Count == 0 || o.First.Before(c.First) {
		c.First = o.First
	}
	if o.Last.After(c.Last) {
		c.Last = o.Last
	}
	c.Count += o.Count
	c.Failed += o.Failed
	c.Duration += o.Duration
	c.Addresses |= o.Addresses
}

// Recorder gathers flows. Make it with New.
type Recorder struct {
	seed  maphash.Seed
	parts [8]part
}

// part has the flows of some sources.
type part struct {
	mu    sync.Mutex // guards what follows
	flows map[string]*Flow
	pairs map[pair]int
	_     [64]byte // of its own cache line
}

// pair is a source and a destination.
type pair struct {
	source, namespace, service string
	port                       uint16
}

// New makes a Recorder.
func New() *Recorder {
	r := &Recorder{seed: maphash.MakeSeed()}
	for i := range r.parts {
		r.parts[i].clear()
	}
	return r
}

func (p *part) clear() { p.flows, p.pairs = map[string]*Flow{}, map[pair]int{} }

// Record counts what was seen. Any goroutine may call it.
func (r *Recorder) Record(s *Seen) {
	var scratch [1024]byte
	key, of, method, path := s.appendKey(scratch[:0])
	p := &r.parts[maphash.Bytes(r.seed, key[:of])%uint64(len(r.parts))]
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.flows[string(key)]
	if f == nil {
		f = p.add(s, key, method, path)
	}
	one := Count{Count: 1, First: s.At, Last: s.At, Duration: s.Duration, Addresses: 1 << (s.From % 63)}
	if s.Failed {
		one.Failed = 1
	}
	f.Count.Add(&one)
}

// appendKey appends what tells the flow apart, of which the first bytes are of the pair,
// and says where in it method and path are.
func (s *Seen) appendKey(b []byte) (key []byte, pair int, method, path []byte) {
	text := func(t string) { b = append(append(b, t...), 0) }
	text(s.Source)
	text(s.Namespace)
	text(s.Service)
	b = append(b, byte(s.Port>>8), byte(s.Port))
	pair = len(b)
	b = append(b, byte(s.Protocol), byte(s.Verdict))
	text(s.Policy)
	if s.Protocol == HTTP {
		method = s.Method[:min(len(s.Method), MaxMethod)]
		b = append(b, method...)
	}
	b = append(b, 0)
	at := len(b)
	switch {
	case s.Protocol == HTTP:
		b = AppendShape(b, s.Path)
	case s.Protocol == GRPC && len(s.Path) <= maxCall:
		b = append(b, s.Path...)
	}
	return b, pair, method, b[at:]
}

// add makes a flow, or finds the one that stands for all that are too many. p.mu is held.
func (p *part) add(s *Seen, key, method, path []byte) *Flow {
	f := &Flow{Key: Key{
		Source: s.Source, Namespace: s.Namespace, Service: s.Service, Port: s.Port, Protocol: s.Protocol, Verdict: s.Verdict, Policy: s.Policy,
	}}
	of := pair{s.Source, s.Namespace, s.Service, s.Port}
	full := len(p.flows) >= MaxFlows/len(Recorder{}.parts)
	if full || p.pairs[of] >= MaxOfPair {
		f.Overflow = true
		if full {
			f.Source, f.Policy = "", "" // whoever it is
		}
		few := Seen{Source: f.Source, Namespace: s.Namespace, Service: s.Service, Port: s.Port, Protocol: s.Protocol, Verdict: s.Verdict, Policy: f.Policy}
		var scratch [1024]byte
		key, _, _, _ = few.appendKey(scratch[:0])
		key = append(key, "overflow"...)
		if had := p.flows[string(key)]; had != nil {
			return had
		}
	} else {
		f.Method, f.Path = string(method), string(path)
		p.pairs[of]++
	}
	p.flows[string(key)] = f
	return f
}

// Take returns what was gathered since the last call, in no order, and begins anew.
func (r *Recorder) Take() []*Flow {
	var out []*Flow
	for i := range r.parts {
		p := &r.parts[i]
		p.mu.Lock()
		flows := p.flows
		if len(flows) == 0 {
			p.mu.Unlock()
			continue // what is there goes on being filled
		}
		p.clear()
		p.mu.Unlock()
		for _, f := range flows {
			out = append(out, f)
		}
	}
	return out
}

// From is a number that tells addresses apart, the same in all proxies.
func From(a netip.Addr) uint64 {
	b := a.Unmap().As16()
	h := uint64(14695981039346656037) // FNV-1a
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

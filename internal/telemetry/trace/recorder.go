package trace

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/gridway/gridway/internal/telemetry/stripe"
)

// Bounds of a Recorder's memory, in bytes.
const (
	MinMemory      = 256 << 10
	MaxMemory      = 4 << 30
	DefaultMemory  = 16 << 20 // of a gateway
	DefaultSidecar = 4 << 20

	// A lane has at least so much; with less, processors share one.
	minLane = 256 << 10
	// Chunks of a ring, so that what is given up at once is little.
	chunksOfRing = 16
	minChunk     = maxRecord + maxSite + 2*recordHeader
)

// deniedPerSecond bounds how many refusals of policies are kept in a second, by lane:
// whoever floods a proxy with requests that it refuses is not to flush its errors out.
const deniedPerSecond = 16

// Recorder remembers exchanges in memory of fixed size. All leave a record in the first
// ring of the processor that carried them; those that are notable leave one in the
// second, too, and so live longer. Make it with New. Any goroutine may use it; recording
// waits for no reader.
type Recorder struct {
	lanes   []lane
	stripes *stripe.Chooser
}

// lane is one processor's rings.
type lane struct {
	mu      sync.Mutex // guards all below
	recent  ring
	notable ring
	scratch []byte
	// denied counts refusals that were kept in the second.
	second int64
	denied int
	// of Stats
	recorded, kept, lost uint64
	_                    [64]byte
}

// New makes a Recorder that takes so many bytes of memory, within MinMemory and MaxMemory.
func New(memory int) *Recorder {
	memory = min(max(memory, MinMemory), MaxMemory)
	stripes := stripe.New()
	for stripes.Len() > 1 && memory/stripes.Len() < minLane {
		stripes = stripe.NewN(stripes.Len() / 2)
	}
	r := &Recorder{stripes: stripes, lanes: make([]lane, stripes.Len())}
	ofRing := memory/len(r.lanes)/2 - int(unsafe.Sizeof(sites{}))
	size := max(ofRing/chunksOfRing, minChunk)
	for i := range r.lanes {
		n := ring{size: size, most: max(2, ofRing/size)}
		r.lanes[i].recent, r.lanes[i].notable = n, n
	}
	return r
}

// Record remembers x.
func (r *Recorder) Record(x *Exchange) {
	s := x.site()
	n := r.lane()
	n.scratch = encode(n.scratch, x)
	n.recorded++
	n.lost += uint64(n.recent.put(n.scratch, &s))
	if x.Sampled || x.Slow || x.Failed || x.Denied && n.keepDenied(x.Entry.Start.Unix()) {
		n.kept++
		n.notable.put(n.scratch, &s)
	}
	n.mu.Unlock()
}

// lane returns a locked lane: the processor's own, or the next that nobody uses.
func (r *Recorder) lane() *lane {
	first := r.stripes.Choose()
	for i := range r.lanes {
		n := &r.lanes[(first+i)&(len(r.lanes)-1)]
		if n.mu.TryLock() {
			return n
		}
	}
	n := &r.lanes[first]
	n.mu.Lock()
	return n
}

func (n *lane) keepDenied(second int64) bool {
	if n.second != second {
		n.second, n.denied = second, 0
	}
	n.denied++
	return n.denied <= deniedPerSecond
}

// Stats are counts since the start, and what the rings take now.
type Stats struct {
	// Recorded are all, Notable those that live longer. Lost were given up for newer ones.
	Recorded, Notable, Lost uint64
	// Bytes are taken, of Limit.
	Bytes, Limit int
}

// Stats returns the counts so far.
func (r *Recorder) Stats() Stats {
	var s Stats
	for i := range r.lanes {
		n := &r.lanes[i]
		n.mu.Lock()
		s.Recorded, s.Notable, s.Lost = s.Recorded+n.recorded, s.Notable+n.kept, s.Lost+n.lost
		s.Bytes += n.recent.bytes() + n.notable.bytes()
		s.Limit += (n.recent.most + n.notable.most) * n.recent.size
		n.mu.Unlock()
	}
	return s
}

// Find returns the records that q asks for, the newest first. It looks at all that there
// is: some milliseconds for the default memory, in which traffic goes on.
func (r *Recorder) Find(q *Query) []*Record {
	limit := q.limit()
	var found []*Record
	seen := map[seenKey]bool{}
	look := func(chunk, b []byte) {
		h, ok := readHead(b)
		if !ok || !q.wantsHead(&h, b) || seen[seenKey{h.span, h.start}] {
			return
		}
		x, ok := decode(chunk, b)
		if !ok || !q.wants(x) {
			return
		}
		seen[seenKey{h.span, h.start}] = true
		found = append(found, x)
		if len(found) >= 2*limit+64 {
			newest(found)
			found = found[:limit]
		}
	}
	var scratch []byte
	for i := range r.lanes {
		n := &r.lanes[i]
		scratch = n.read(&n.notable, scratch, look)
		if !q.Notable {
			scratch = n.read(&n.recent, scratch, look)
		}
	}
	newest(found)
	return found[:min(len(found), limit)]
}

type seenKey struct {
	span  uint64
	start int64
}

func newest(list []*Record) {
	slices.SortStableFunc(list, func(a, b *Record) int { return cmp.Compare(b.Start.UnixNano(), a.Start.UnixNano()) })
}

// read calls look for each record of a ring. It holds the lock only while it copies a
// chunk: a few microseconds.
func (n *lane) read(of *ring, scratch []byte, look func(chunk, record []byte)) []byte {
	n.mu.Lock()
	at := of.first
	n.mu.Unlock()
	for {
		n.mu.Lock()
		at = max(at, of.first)
		if at-of.first >= uint64(len(of.chunks)) {
			n.mu.Unlock()
			return scratch
		}
		scratch = append(scratch[:0], of.chunks[at-of.first]...)
		n.mu.Unlock()
		for b := range each(scratch) {
			look(scratch, b)
		}
		at++
	}
}

// Query says which records are looked for. All that it names must hold.
type Query struct {
	// TraceID is 32 hexadecimal digits, RequestID as the header has it.
	TraceID   string `json:"traceID,omitempty"`
	RequestID string `json:"requestID,omitempty"`
	// Slow is the shortest duration; zero is any.
	Slow time.Duration `json:"slow,omitempty"`
	// Errors are failures and refusals alone.
	Errors bool `json:"errors,omitempty"`
	// Service is the namespace and name of a Service, "shop/cart", or the name alone:
	// what was asked for or, by a SPIFFE ID, who has asked.
	Service string `json:"service,omitempty"`
	// Route is "KIND/NAMESPACE/NAME", a part of that behind a slash, or the name.
	Route string `json:"route,omitempty"`
	// Since is the earliest start; zero is any.
	Since time.Time `json:"since,omitzero"`
	// Notable leaves out what was neither sampled nor slow, failed or refused.
	Notable bool `json:"notable,omitempty"`
	// Edge leaves out what sidecars and node proxies have carried.
	Edge bool `json:"edge,omitempty"`
	// Limit is how many at most, 1 to MaxFound; zero is MaxFound.
	Limit int `json:"limit,omitempty"`
}

// MaxFound is how many records one question can have for an answer.
const MaxFound = 1000

func (q *Query) limit() int {
	if q.Limit <= 0 || q.Limit > MaxFound {
		return MaxFound
	}
	return q.Limit
}

// wantsHead tells what can be told without decoding.
func (q *Query) wantsHead(h *head, b []byte) bool {
	if q.TraceID != "" {
		if id, ok := ParseID(q.TraceID); !ok || id != h.trace {
			return false
		}
	}
	if q.RequestID != "" && string(requestID(b)) != q.RequestID {
		return false
	}
	if q.Edge && h.side != Edge {
		return false
	}
	if q.Errors && h.flags&(flagFailed|flagDenied) == 0 {
		return false
	}
	return h.duration >= int64(q.Slow) && (q.Since.IsZero() || h.start >= q.Since.UnixNano())
}

func (q *Query) wants(x *Record) bool {
	return (q.Route == "" || namesPart(x.Route, q.Route)) &&
		(q.Service == "" || namesPart(x.Of, q.Service) || namesPart(x.Cluster, q.Service) || identityNames(x.PeerIdentity, q.Service))
}

// namesPart tells whether name is a part of the path full, with a slash or nothing on
// either side.
func namesPart(full, name string) bool {
	for at := 0; at+len(name) <= len(full); at++ {
		i := strings.Index(full[at:], name)
		if i < 0 {
			return false
		}
		at += i
		end := at + len(name)
		if (at == 0 || full[at-1] == '/') && (end == len(full) || full[end] == '/') {
			return true
		}
	}
	return false
}

// identityNames tells whether a SPIFFE ID, spiffe://DOMAIN/ns/NAMESPACE/sa/NAME, is of a
// service "NAMESPACE/NAME" or "NAME".
func identityNames(id, service string) bool {
	if namespace, name, both := strings.Cut(service, "/"); both {
		return namesPart(id, "ns/"+namespace+"/sa/"+name)
	}
	return namesPart(id, "sa/"+service)
}

package metric

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gridway/gridway/internal/wire/grpc"
)

const (
	// maxCalls bounds the methods of gRPC that have series of their own, and
	// maxCallName the length of what names one.
	maxCalls    = 1000
	maxCallName = 256
	// otherCalls labels what has no series of its own.
	otherCalls = "other"
)

// Calls counts the calls of gRPC by service, method and status. Clients choose
// the names, so that only those count by themselves of which the caller says
// that they are known; all others are counted together. Beyond 1,000, those that
// are known are, too.
type Calls struct {
	mu      sync.Mutex // for writers
	byPath  atomic.Pointer[map[string]*calls]
	unknown calls
	beyond  calls
	room    *places
	late    distinct // those that are beyond
}

func (c *Calls) begin(r *Registry) {
	c.room = &r.kinds.call
	c.unknown = calls{service: otherCalls, method: otherCalls}
	c.beyond = calls{service: overflow, method: overflow}
	c.unknown.codes.cells.stripes, c.beyond.codes.cells.stripes = r.stripes, r.stripes
}

type calls struct {
	service, method string
	codes           events
}

// Calls returns the counters of calls.
func (r *Registry) Calls() *Calls { return &r.calls }

// Observe records a call at its end. Service and method are empty, or
// "/service/method" is its path. Known says that the names may get series.
func (c *Calls) Observe(service, method []byte, code grpc.Code, known bool) {
	c.find(service, method, known).codes.add(int(min(code, grpc.Codes-1)))
}

func (c *Calls) find(service, method []byte, known bool) *calls {
	var key [maxCallName]byte
	if len(service) == 0 || len(service)+1+len(method) > len(key) {
		return &c.unknown
	}
	path := append(append(append(key[:0], service...), '/'), method...)
	if m := c.byPath.Load(); m != nil {
		if one := (*m)[string(path)]; one != nil {
			return one
		}
	}
	if !known || !nameable(path) {
		return &c.unknown
	}
	if one := c.add(service, method, path); one != nil {
		return one
	}
	c.late.add(path)
	return &c.beyond
}

// nameable tells whether a name can be a label without surprises.
func nameable(path []byte) bool {
	for _, b := range path {
		if b <= ' ' || b >= 0x7f || b == '"' || b == '\\' {
			return false
		}
	}
	return true
}

// add makes counters for a method, and returns nil if there are too many.
func (c *Calls) add(service, method, path []byte) *calls {
	if c.room.taken.Load() >= c.room.limit {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var all map[string]*calls
	if m := c.byPath.Load(); m != nil {
		if one := (*m)[string(path)]; one != nil {
			return one
		}
		all = *m
	}
	if !c.room.take() {
		return nil
	}
	one := &calls{service: string(service), method: string(method)}
	one.codes.cells.stripes = c.unknown.codes.cells.stripes
	all = maps.Clone(all)
	if all == nil {
		all = map[string]*calls{}
	}
	all[string(path)] = one
	c.byPath.Store(&all)
	return one
}

var callFamily = define("gridway_grpc_calls_total", counter,
	"Calls of gRPC by service, method and status; those of methods that no route names and no endpoint knows under \"other\", and those beyond 1,000 under \"overflow\".", "service", "method", "status")

func (e *emitter) calls(c *Calls) {
	c.room.folded.Store(c.late.count())
	var list []*calls
	if m := c.byPath.Load(); m != nil {
		list = slices.SortedFunc(maps.Values(*m), func(a, b *calls) int {
			return cmp.Or(cmp.Compare(a.service, b.service), cmp.Compare(a.method, b.method))
		})
	}
	for _, one := range list {
		e.callCodes(one)
	}
	e.callCodes(&c.unknown)
	e.callCodes(&c.beyond)
}

func (e *emitter) callCodes(c *calls) {
	if !c.codes.cells.used() {
		return
	}
	for code, n := range c.codes.totals() {
		if n > 0 {
			e.count(&callFamily, n, c.service, c.method, grpc.Code(code).String())
		}
	}
}

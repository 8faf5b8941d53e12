package trace

import (
	"math/rand/v2"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Options of Propagate. With the zero value a valid context is passed on as it
// came, an invalid one is removed, and none is made.
type Options struct {
	// Make starts a trace where there is none.
	Make bool
	// SampleEvery marks one in so many of the traces made here as sampled; zero
	// marks none. Services behind that follow their parent record just those,
	// which is why Make is a choice.
	SampleEvery uint32
}

// Propagate checks the trace context of a request and leaves in h what is to be
// sent upstream. The proxy records no span of its own, so a valid traceparent
// goes on unchanged (§3.4 allows that), with its tracestate if that is valid
// too. An invalid traceparent, or more than one, takes the tracestate with it
// (§4.3). B3 and other headers are not touched. What is made lives in the arena.
func Propagate(h *httpmsg.Header, arena *httpmsg.Arena, opt Options) Context {
	parents := h.Count(httpmsg.NameTraceparent)
	if parents == 1 {
		if c, ok := Parse(h.Get(httpmsg.NameTraceparent)); ok {
			if h.Has(httpmsg.NameTracestate) && !validState(h) {
				h.Del(httpmsg.NameTracestate)
			}
			return c
		}
	}
	if parents > 0 {
		h.Del(httpmsg.NameTraceparent)
	}
	if h.Has(httpmsg.NameTracestate) {
		h.Del(httpmsg.NameTracestate)
	}
	if !opt.Make {
		return Context{}
	}
	var flags byte
	if opt.SampleEvery > 0 && rand.Uint32N(opt.SampleEvery) == 0 {
		flags = 1
	}
	v := Append(arena.Alloc(traceparentLen)[:0], nonzero(), nonzero(), nonzero(), flags)
	h.AddID(httpmsg.NameTraceparent, v)
	return Context{TraceID: v[3:35], ParentID: v[36:52], Flags: flags}
}

// nonzero draws from the runtime's ChaCha8 generator: unpredictable, and
// without a lock between processors.
func nonzero() uint64 {
	for {
		if n := rand.Uint64(); n != 0 {
			return n
		}
	}
}

package http3

import (
	"github.com/quic-go/quic-go"

	"github.com/gridway/gridway/internal/wire/head"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// priorities are those of a connection's open streams, which the library follows
// (RFC 9218): the lower urgency first, of equals those that are incremental in
// turns, and the others in the order of their numbers. Where a client says
// nothing, that is urgency 3 in turns.
type priorities struct {
	open map[quic.StreamID]*quic.Stream
	// early were told before their streams came, the last few.
	early [8]priority
	n     int
}

type priority struct {
	id          quic.StreamID
	urgency     uint8
	incremental bool
	set         bool
}

// begin notes a stream. It is true if its priority was told before, which its
// request's own does not change (RFC 9218 §7).
func (p *priorities) begin(str *quic.Stream) (told bool) {
	if p.open == nil {
		p.open = map[quic.StreamID]*quic.Stream{}
	}
	id := str.StreamID()
	p.open[id] = str
	if p.n == 0 {
		return false
	}
	for i := range p.early {
		if e := &p.early[i]; e.set && e.id == id {
			str.SetPriority(int8(e.urgency), e.incremental)
			e.set = false
			return true
		}
	}
	return false
}

func (p *priorities) end(str *quic.Stream) { delete(p.open, str.StreamID()) }

// prioritize follows what the client has said on its control stream.
func (c *Conn) prioritize(id uint64, urgency uint8, incremental bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := &c.priorities
	v := priority{quic.StreamID(id), urgency, incremental, true}
	if str := p.open[v.id]; str != nil {
		str.SetPriority(int8(urgency), incremental)
		return
	}
	if id < c.next {
		return // it is over
	}
	for i := range p.early {
		if p.early[i].set && p.early[i].id == v.id {
			p.early[i] = v
			return
		}
	}
	p.early[p.n%len(p.early)] = v
	p.n++
}

// prioritize follows what the request says.
func (s *stream) prioritize(h *httpmsg.Header) {
	if !s.told && h.Has(httpmsg.NamePriority) {
		urgency, incremental := head.ParsePriority(h.Get(httpmsg.NamePriority))
		s.str.SetPriority(int8(urgency), incremental)
	}
}

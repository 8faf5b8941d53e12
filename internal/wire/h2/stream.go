package h2

import "github.com/gridway/gridway/internal/wire/httpmsg"

// Stream is one exchange. The driver keeps it from the event or call that made
// it until it calls Release; only then it is used again for another.
type Stream struct {
	id uint32
	// User is the driver's own.
	User any

	// Where a client's stream has its responses decoded to.
	resp  *httpmsg.Response
	arena *httpmsg.Arena

	// localEnd, remoteEnd: no more is sent, or comes. closed: the stream is
	// gone from the connection.
	localEnd, remoteEnd, closed, released bool
	headSeen                              bool // the final head has come
	headSent                              bool
	head                                  bool // the request's method is HEAD
	connect                               bool // the request's method is CONNECT
	interim                               int

	heard uint32 // Conn.heard when a client opened it

	left int64 // content that Content-Length still announces; -1 if it did not

	// Flow control. owed is what has come and was not consumed, credit what was
	// consumed and not told the peer yet.
	recvWindow, sendWindow int64
	owed, credit           int64
	// unread is what was sent and not given back to the stream's window. parked: it
	// waits for its share of the connection's, least at least; see share.go.
	unread int64
	parked bool
	least  int64

	// What the scheduler keeps: see sched.go.
	urgency     uint8
	sequential  bool
	wants       bool // content waits to be sent
	granted     bool // Writable has returned it
	queued      bool
	next, prev  *Stream
	waitingFrom int64 // since when the peer has taken nothing; 0: not looked at yet
}

// ID is the stream's number on the connection.
func (s *Stream) ID() uint32 { return s.id }

// Closed tells whether nothing can be sent any more.
func (s *Stream) Closed() bool { return s.closed }

// RemoteEnd tells whether the peer has sent all that it will.
func (s *Stream) RemoteEnd() bool { return s.remoteEnd }

// LocalEnd tells whether all was sent.
func (s *Stream) LocalEnd() bool { return s.localEnd }

// Unread is how many bytes of content have come and were not consumed.
func (s *Stream) Unread() int { return int(s.owed) }

// streamTable finds streams by their number: open addressing, no memory per stream.
type streamTable struct {
	slots []*Stream // a power of two, at most half full
	n     int
}

// slot scatters numbers, which follow one another: side by side they would be
// one long run, all of which remove has to look at.
func (t *streamTable) slot(id uint32) int {
	return int((id * 0x9e3779b1) >> 8 & uint32(len(t.slots)-1))
}

func (t *streamTable) get(id uint32) *Stream {
	if t.n == 0 {
		return nil
	}
	for i := t.slot(id); t.slots[i] != nil; i = (i + 1) & (len(t.slots) - 1) {
		if t.slots[i].id == id {
			return t.slots[i]
		}
	}
	return nil
}

func (t *streamTable) add(s *Stream) {
	if 2*(t.n+1) > len(t.slots) {
		old := t.slots
		t.slots = make([]*Stream, max(16, 2*len(old)))
		for _, o := range old {
			if o != nil {
				t.put(o)
			}
		}
	}
	t.put(s)
	t.n++
}

func (t *streamTable) put(s *Stream) {
	i := t.slot(s.id)
	for t.slots[i] != nil {
		i = (i + 1) & (len(t.slots) - 1)
	}
	t.slots[i] = s
}

// remove closes the gap, so that searches need no marks of what was removed.
func (t *streamTable) remove(id uint32) {
	mask := len(t.slots) - 1
	i := t.slot(id)
	for t.slots[i] == nil || t.slots[i].id != id {
		if t.slots[i] == nil {
			return
		}
		i = (i + 1) & mask
	}
	t.n--
	for j := (i + 1) & mask; t.slots[j] != nil; j = (j + 1) & mask {
		home := t.slot(t.slots[j].id)
		if (j-home)&mask >= (j-i)&mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = nil
}

// recent remembers the numbers of some streams, the last ones.
type recent struct {
	ids  [64]uint32
	n    int
	past uint32 // the highest number that was forgotten
}

func (r *recent) add(id uint32) {
	at := &r.ids[r.n%len(r.ids)]
	r.past = max(r.past, *at)
	*at = id
	r.n++
}

// mayHave tells whether a number is among those added; it says yes to what is too
// old to know.
func (r *recent) mayHave(id uint32) bool {
	if id <= r.past {
		return true
	}
	for _, v := range r.ids {
		if v == id {
			return true
		}
	}
	return false
}

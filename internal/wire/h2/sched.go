package h2

// The scheduler holds the streams that have content to send and a window of
// their own to send it. What waits for its own window is not in it, and keeps
// nobody waiting. Of those of the highest urgency (RFC 9218 §10) sequential ones
// go one after the other, in the order in which they came; the others, and those
// of clients that say nothing of priorities, take turns, one frame each. Both
// sorts alternate; and now and then the lowest urgency has a turn, so that
// nobody starves.

// lowTurn is every how many turns the lowest urgency goes first.
const lowTurn = 16

type schedule struct {
	levels [urgencies]level
	used   uint8 // bits of levels that are not empty
	turns  uint32
}

type level struct {
	sequential, shared list
	lastShared         bool
}

// list is a doubly linked list through the streams.
type list struct{ first, last *Stream }

func (l *list) push(s *Stream) {
	s.prev, s.next = l.last, nil
	if l.last != nil {
		l.last.next = s
	} else {
		l.first = s
	}
	l.last = s
}

// insert keeps the list in the order of stream numbers.
func (l *list) insert(s *Stream) {
	after := l.last
	for after != nil && after.id > s.id {
		after = after.prev
	}
	if after == l.last {
		l.push(s)
		return
	}
	s.prev = after
	if after != nil {
		s.next, after.next = after.next, s
	} else {
		s.next, l.first = l.first, s
	}
	s.next.prev = s
}

func (l *list) remove(s *Stream) {
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		l.first = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	} else {
		l.last = s.prev
	}
	s.next, s.prev = nil, nil
}

func (q *schedule) add(s *Stream) {
	if s.queued {
		return
	}
	s.queued = true
	l := &q.levels[s.urgency]
	if s.sequential {
		l.sequential.insert(s)
	} else {
		l.shared.push(s)
	}
	q.used |= 1 << s.urgency
}

func (q *schedule) remove(s *Stream) {
	if !s.queued {
		return
	}
	s.queued = false
	l := &q.levels[s.urgency]
	if s.sequential {
		l.sequential.remove(s)
	} else {
		l.shared.remove(s)
	}
	if l.sequential.first == nil && l.shared.first == nil {
		q.used &^= 1 << s.urgency
	}
}

// take removes the stream whose turn it is; nil if none waits.
func (q *schedule) take() *Stream {
	if q.used == 0 {
		return nil
	}
	q.turns++
	u := 0
	if q.turns%lowTurn == 0 {
		for u = urgencies - 1; q.used&(1<<u) == 0; u-- {
		}
	} else {
		for q.used&(1<<u) == 0 {
			u++
		}
	}
	l := &q.levels[u]
	s := l.shared.first
	if s == nil || l.lastShared && l.sequential.first != nil {
		s = l.sequential.first
	}
	l.lastShared = s == l.shared.first
	q.remove(s)
	return s
}

// prioritize changes a stream's priority.
func (q *schedule) prioritize(s *Stream, v priorityValue) {
	queued := s.queued
	q.remove(s)
	s.urgency, s.sequential = v.urgency, v.sequential
	if queued {
		q.add(s)
	}
}

package loop

// queue is work in the order in which it came: a ring that grows.
type queue struct {
	ring []work
	head int
	size int
}

func (q *queue) len() int { return q.size }

func (q *queue) push(w work) {
	if q.size == len(q.ring) {
		q.grow()
	}
	q.ring[(q.head+q.size)&(len(q.ring)-1)] = w
	q.size++
}

// pop takes the oldest; there must be one.
func (q *queue) pop() work {
	w := q.ring[q.head]
	q.ring[q.head] = work{}
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.size--
	return w
}

// grow doubles the ring, whose size is a power of two.
func (q *queue) grow() {
	bigger := make([]work, max(16, 2*len(q.ring)))
	for i := range q.size {
		bigger[i] = q.ring[(q.head+i)&(len(q.ring)-1)]
	}
	q.ring, q.head = bigger, 0
}

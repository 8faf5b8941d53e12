package loop

// timer is the deadline of one side of a socket. Moving a deadline to a later
// time, which is what most do, leaves the timer where it is: when it fires too
// early it is put back.
type timer struct {
	side     *side
	deadline int64 // 0 = none
	when     int64 // when it fires, not after deadline
	place    int   // in the heap, counted from 1; 0 = it is not in there
}

// heap is a binary heap of timers, the next one first. The loop's lock guards
// it and its timers.
type heap []*timer

// first is when the next timer fires, 0 without one.
func (h heap) first() int64 {
	if len(h) == 0 {
		return 0
	}
	return h[0].when
}

// arm sees to it that t fires at its deadline or before. It is true if t is now
// the next one.
func (h *heap) arm(t *timer) bool {
	if t.deadline == 0 || t.place != 0 && t.when <= t.deadline {
		return false
	}
	t.when = t.deadline
	if t.place == 0 {
		*h = append(*h, t)
		t.place = len(*h)
	}
	h.up(t)
	return t.place == 1
}

// remove takes t out, if it is in there.
func (h *heap) remove(t *timer) {
	if t.place == 0 {
		return
	}
	list := *h
	last := list[len(list)-1]
	list[len(list)-1] = nil
	*h = list[:len(list)-1]
	if last != t {
		h.set(t.place, last)
		h.up(last)
		h.down(last)
	}
	t.place = 0
}

// expire takes out what is due, marks its side and appends that to fired.
func (h *heap) expire(fired []*side) []*side {
	if len(*h) == 0 {
		return fired
	}
	now := Now()
	for len(*h) > 0 && (*h)[0].when <= now {
		t := (*h)[0]
		switch {
		case t.deadline > now:
			t.when = t.deadline
			h.down(t)
			continue
		case t.deadline != 0:
			t.side.expired.Store(true)
			fired = append(fired, t.side)
		}
		h.remove(t)
	}
	return fired
}

func (h heap) set(place int, t *timer) {
	h[place-1] = t
	t.place = place
}

func (h heap) up(t *timer) {
	for t.place > 1 {
		parent := h[t.place/2-1]
		if parent.when <= t.when {
			return
		}
		place := t.place
		h.set(parent.place, t)
		h.set(place, parent)
	}
}

func (h heap) down(t *timer) {
	for {
		child := 2 * t.place
		if child > len(h) {
			return
		}
		if child < len(h) && h[child].when < h[child-1].when {
			child++
		}
		c := h[child-1]
		if t.when <= c.when {
			return
		}
		place := t.place
		h.set(child, t)
		h.set(place, c)
	}
}

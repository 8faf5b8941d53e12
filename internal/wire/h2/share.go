package h2

// Some servers, Go's and Node's among them, let one stream have all of a connection's
// window, and give it back only when the stream's content was read. One upload that its
// handler does not read would then stall all others on the connection. So a stream
// leaves some of the window to others, there or to come: what it has on its way
// that was not given back may be so many times what is free. However many streams
// stall, something is left, and each that goes on gets back what it used.
const (
	sharePart = 7
	// shareFrom is the window from which on it is shared: of less nothing useful
	// would be left.
	shareFrom = 32 << 10
)

// share is how much of the connection's window a stream may have now, at most want.
// If that is too little for a frame it is parked until more is free.
func (c *Conn) share(s *Stream, want int64) int64 {
	if !c.client || c.unshared || c.sendWindow+c.unread < shareFrom {
		return want
	}
	// While much is free a stream waits for whole frames: many short ones are dear.
	least := min(want, max(minFrame, min(c.sendWindow/8, minMaxFrame)))
	n := c.part(s, c.sendWindow)
	if n >= least {
		return min(n, want)
	}
	if !s.parked {
		if c.parked.first == nil {
			c.hungry = 0
		}
		s.parked, s.least = true, least
		c.parked.push(s)
	}
	return 0
}

// part is a stream's share of so much.
func (c *Conn) part(s *Stream, free int64) int64 {
	// What was not given back to the stream may have been to the connection.
	held := min(s.unread, c.unread)
	return (sharePart*free - held) / (sharePart + 1)
}

// leavePark takes a stream from those that wait for a share.
func (c *Conn) leavePark(s *Stream) {
	if s.parked {
		s.parked = false
		c.parked.remove(s)
	}
}

// unpark lets those of them go on for whom there is enough now, in the order in
// which they came, and no more than that.
func (c *Conn) unpark() {
	free := c.sendWindow
	for s := c.parked.first; s != nil && free > 0; {
		next := s.next
		if c.unshared || c.part(s, free) >= s.least {
			free -= s.least
			c.resume(s)
		}
		s = next
	}
}

// relent is for servers that give nothing back before nearly all was used: where
// all that could be sent waits for a share, and nothing has come for a second, they
// get what there is. If that makes them go on it is how they are. It is called
// every second while streams wait.
func (c *Conn) relent() {
	c.unpark() // whose turn it was may not have used it
	switch {
	case c.unshared:
		c.unshared = c.hungry == 0
		return
	case c.parked.first == nil:
		return
	case c.hungry == 0:
		c.hungry = c.now
		return
	case c.now-c.hungry < stallLook:
		return
	}
	for _, s := range c.streams.slots {
		if s != nil && !s.localEnd && !s.parked {
			return // it may have something to send yet
		}
	}
	c.unshared = true
	c.unpark()
}

// Tight tells whether so much of the connection's window is used that a client's
// new stream could soon have to wait for what others get back.
func (c *Conn) Tight() bool { return c.sendWindow < minMaxFrame }

package h2

// Some servers, Go's among them, let one stream have all of a connection's window,
// and give it back only when the stream's content was read. One upload that its
// handler does not read would then stall all others on the connection. So a stream
// leaves some of the window to others, there or to come: what it has on its way
// that was not given back may be so many times what is free. However many streams
// stall, something is left, and each that goes on gets back what it used.
//
// Servers open the connection's window again when half of it was used, or sooner;
// nobody waits for a share of it for ever as long as that is less than 7 of 8.
const (
	sharePart = 7
	// shareFrom is the window from which on it is shared: of less nothing useful
	// would be left.
	shareFrom = 32 << 10
)

// share is how much of the connection's window a stream may have now, at most want.
// If that is too little for a frame it is parked until more is free.
func (c *Conn) share(s *Stream, want int64) int64 {
	if !c.client || c.sendWindow+c.unread < shareFrom {
		return want
	}
	// What was not given back to the stream may have been to the connection.
	held := min(s.unread, c.unread)
	n := (sharePart*c.sendWindow - held) / (sharePart + 1)
	if n >= min(want, minFrame) {
		return min(n, want)
	}
	if !s.parked {
		s.parked = true
		c.parked++
	}
	return 0
}

// unpark lets streams that wait for a share look again.
func (c *Conn) unpark() {
	if c.parked == 0 {
		return
	}
	for _, s := range c.streams.slots {
		if s != nil && s.parked {
			c.resume(s)
		}
	}
}

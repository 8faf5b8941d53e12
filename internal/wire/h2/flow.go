package h2

// Flow control (RFC 9113 §5.2, §6.9).

// recvWindowUpdate lets more be sent.
func (c *Conn) recvWindowUpdate(h FrameHeader, p []byte, ev *Event) *Error {
	n, e := ParseWindowUpdate(h, p)
	if e != nil {
		return e
	}
	if e := c.spendUpdate(); e != nil {
		return e
	}
	if h.StreamID == 0 {
		switch c.sendWindow += int64(n); {
		case n == 0:
			return errWindowZero
		case c.sendWindow > maxWindow:
			return errWindowOverflow
		}
		c.unread = max(c.unread-int64(n), 0)
		c.hungry = 0
		c.unpark()
		return nil
	}
	if c.idle(h.StreamID) {
		return errIdleStream
	}
	s := c.streams.get(h.StreamID)
	if s == nil {
		return nil // §5.1: it may have been sent before the end was seen
	}
	switch s.sendWindow += int64(n); {
	case n == 0:
		return c.failStream(s.id, errWindowZero, ev)
	case s.sendWindow > maxWindow:
		return c.failStream(s.id, errWindowOverflow, ev)
	}
	s.unread = max(s.unread-int64(n), 0)
	c.resume(s)
	return nil
}

// shiftWindows applies a change of SETTINGS_INITIAL_WINDOW_SIZE, which may make
// windows negative (§6.9.2).
func (c *Conn) shiftWindows(delta int64) *Error {
	for _, s := range c.streams.slots {
		if s == nil {
			continue
		}
		if s.sendWindow += delta; s.sendWindow > maxWindow {
			return errWindowSetting
		}
		if s.sendWindow <= 0 {
			c.sched.remove(s)
		} else {
			c.resume(s)
		}
	}
	return nil
}

// resume puts a stream that waits for its own window into the schedule.
func (c *Conn) resume(s *Stream) {
	c.leavePark(s)
	if s.wants && s.sendWindow > 0 {
		c.sched.add(s)
	}
}

// Consume gives n bytes of content back: the peer may send as many more.
func (c *Conn) Consume(s *Stream, n int) {
	if s.closed || n <= 0 {
		return // closing has given all back
	}
	credit := min(int64(n), s.owed)
	s.owed -= credit
	c.creditConn(credit)
	if s.remoteEnd {
		return
	}
	if s.credit += credit; s.credit >= int64(c.cfg.StreamWindow)/2 {
		// Before SETTINGS are acknowledged a window can be smaller than announced.
		n := s.credit
		s.credit = 0
		s.recvWindow += n
		c.room(FrameHeaderLen + 4)
		c.setOut(AppendWindowUpdate(c.outBytes(), s.id, uint32(n)))
	}
}

func (c *Conn) creditConn(n int64) {
	if c.credit += n; c.credit >= int64(c.cfg.ConnWindow)/4 || c.recvWindow < defaultWindow/2 && c.credit >= defaultWindow/4 {
		n := c.credit
		c.credit = 0
		c.recvWindow += n
		c.room(FrameHeaderLen + 4)
		c.setOut(AppendWindowUpdate(c.outBytes(), 0, uint32(n)))
	}
}

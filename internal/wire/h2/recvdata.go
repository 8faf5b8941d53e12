package h2

// dataFrame is the DATA frame that is being read. Its content is handed out as
// it comes.
type dataFrame struct {
	active bool
	stream *Stream // nil if nobody wants it
	left   int     // content
	pad    int     // padding after it
	end    bool
}

// beginData reads the header of a DATA frame, and the length of its padding.
func (c *Conn) beginData(h FrameHeader, in []byte, ev *Event) (int, *Error) {
	n, pad := FrameHeaderLen, 0
	if h.Flags.Has(FlagPadded) {
		if h.Length == 0 {
			return 0, errFrameSize
		}
		if len(in) == n {
			c.need = n + 1
			return 0, nil
		}
		pad = int(in[n])
		n++
		if pad >= int(h.Length) {
			return 0, errPadding
		}
	}
	if h.StreamID == 0 {
		return 0, errNoStream
	}
	if c.idle(h.StreamID) {
		return 0, errIdleStream
	}
	c.hear()
	// RFC 9113 §6.9.1: the whole payload counts, even of what is discarded.
	if c.recvWindow -= int64(h.Length); c.recvWindow < 0 {
		return 0, errWindowExceeded
	}
	c.data = dataFrame{
		active: true, left: int(h.Length) - (n - FrameHeaderLen) - pad, pad: pad,
		end: h.Flags.Has(FlagEndStream),
	}
	if c.data.left == 0 && !c.data.end {
		if e := c.spend(1); e != nil {
			return 0, e
		}
	}
	return n, c.checkData(h, ev)
}

// checkData decides whether a stream takes the frame.
func (c *Conn) checkData(h FrameHeader, ev *Event) *Error {
	s := c.streams.get(h.StreamID)
	if s == nil {
		c.creditConn(int64(h.Length))
		if c.resets.mayHave(h.StreamID) {
			// It was on its way. Long frames cost their sender more than us.
			if c.owedFrames.late(int64(h.Length)) || h.Length >= minFrame {
				return nil
			}
			return c.spendLate()
		}
		return c.failStream(h.StreamID, errClosedStream, ev)
	}
	content := int64(c.data.left)
	s.owed += int64(h.Length)
	s.recvWindow -= int64(h.Length)
	switch {
	case s.remoteEnd:
		return c.failStream(h.StreamID, errClosedStream, ev)
	case c.client && !s.headSeen:
		return c.failStream(h.StreamID, errDataFirst, ev)
	case s.recvWindow < 0:
		return c.failStream(h.StreamID, errWindowExceeded, ev)
	case s.left >= 0 && (content > s.left || c.data.end && content < s.left), s.head && content > 0:
		return c.failStream(h.StreamID, errLengthMismatch, ev)
	}
	if s.left >= 0 {
		s.left -= content
	}
	c.data.stream = s
	if content > 0 {
		c.controlBudget.earn(2)
	}
	if padding := int64(h.Length) - content; padding > 0 {
		c.Consume(s, int(padding))
	}
	return nil
}

// readData hands out what has come of the frame. The end of the stream is told
// with the last of the content.
func (c *Conn) readData(in []byte, ev *Event) int {
	d := &c.data
	n := min(len(in), d.left)
	d.left -= n
	if s := d.stream; s != nil && (n > 0 || d.left == 0) {
		if n > 0 || d.end {
			ev.Kind, ev.Stream, ev.Data = EventData, s, in[:n:n]
		}
		if d.left == 0 {
			d.stream = nil
			if ev.End = d.end; d.end {
				c.endRemote(s)
			}
		}
	}
	if d.left == 0 {
		pad := min(len(in)-n, d.pad)
		d.pad -= pad
		n += pad
		d.active = d.pad > 0
	}
	c.need = 1
	return n
}

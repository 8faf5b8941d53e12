package h2

import "github.com/gridway/gridway/internal/wire/head"

// The frames that carry no message.

func (c *Conn) recvReset(h FrameHeader, p []byte, ev *Event) *Error {
	code, e := ParseRSTStream(h, p)
	if e != nil {
		return e
	}
	if c.idle(h.StreamID) {
		return errIdleStream
	}
	if !c.client && !c.resetBudget.spend(1, c.now) {
		return errRapidReset
	}
	s := c.streams.get(h.StreamID)
	if s == nil {
		return c.spendLate()
	}
	if c.cfg.OnReset != nil {
		c.cfg.OnReset(code, false, "")
	}
	c.closeStream(s)
	*ev = Event{Kind: EventReset, Request: ev.Request, Stream: s, Code: code, End: true, Unprocessed: code == RefusedStream}
	return nil
}

// failStream resets a stream for an error of the peer. The driver hears of it if
// it knows the stream.
func (c *Conn) failStream(id uint32, e *Error, ev *Event) *Error {
	// Errors that provoke resets are resets (CVE-2025-8671).
	if !c.client && !c.resetBudget.spend(1, c.now) {
		return errRapidReset
	}
	s := c.streams.get(id)
	c.sendReset(id, e.Code, e.Reason)
	if s != nil {
		c.closeStream(s)
		*ev = Event{Kind: EventReset, Request: ev.Request, Stream: s, Code: e.Code, Err: e, End: true}
	}
	return nil
}

func (c *Conn) recvSettings(h FrameHeader, p []byte, ev *Event) *Error {
	if e := CheckSettings(h, p); e != nil {
		return e
	}
	if h.Flags.Has(FlagAck) {
		return c.settingsAcknowledged()
	}
	first := !c.started
	c.started = true
	// A change of the window touches every stream.
	if e := c.spend(4 + int64(len(p)/64)); e != nil {
		return e
	}
	before := c.peer
	for len(p) > 0 {
		id, value, rest := NextSetting(p)
		if e := c.peer.set(id, value, c.client, first); e != nil {
			return e
		}
		if id == SettingHeaderTableSize { // of several the smallest counts too (RFC 7541 §4.2)
			c.enc.SetTableSize(value)
		}
		p = rest
	}
	if delta := int64(c.peer.InitialWindowSize) - int64(before.InitialWindowSize); delta != 0 {
		if e := c.shiftWindows(delta); e != nil {
			return e
		}
	}
	c.control(AppendSettingsAck)
	if first || c.peer != before {
		ev.Kind = EventSettings
	}
	return nil
}

// settingsAcknowledged makes ours apply (RFC 9113 §6.5.3). Only one frame of
// them is ever sent.
func (c *Conn) settingsAcknowledged() *Error {
	if c.acks == 0 {
		return errUnaskedAck
	}
	c.acks--
	c.timers.ack = 0
	c.dec.SetTableSize(uint32(c.cfg.HeaderTableSize))
	delta := int64(c.cfg.StreamWindow) - int64(c.local.InitialWindowSize)
	c.local.InitialWindowSize = uint32(c.cfg.StreamWindow)
	for _, s := range c.streams.slots {
		if s != nil {
			s.recvWindow += delta
		}
	}
	return nil
}

func (c *Conn) recvPing(h FrameHeader, p []byte, ev *Event) *Error {
	data, e := ParsePing(h, p)
	if e != nil {
		return e
	}
	if h.Flags.Has(FlagAck) {
		return c.pong(data, ev)
	}
	if e := c.spend(1); e != nil {
		return e
	}
	c.control(func(b []byte) []byte { return AppendPing(b, data, true) })
	return nil
}

func (c *Conn) recvGoAway(h FrameHeader, p []byte, ev *Event) *Error {
	last, code, _, e := ParseGoAway(h, p)
	if e != nil {
		return e
	}
	if e := c.spend(4); e != nil {
		return e
	}
	if c.gone && last > c.goneLast {
		last = c.goneLast // RFC 9113 §6.8: it must not grow
	}
	c.gone, c.goneLast, c.goneCode = true, last, code
	c.sweep = c.client
	*ev = Event{Kind: EventGoAway, Request: ev.Request, Code: code, LastStream: last}
	return nil
}

func (c *Conn) recvPriority(h FrameHeader, p []byte, ev *Event) *Error {
	prio, e := ParsePriority(h, p)
	if e == nil && prio.StreamDep == h.StreamID {
		e = errSelfDependency
	}
	switch {
	case e == nil:
		return c.spend(1)
	case h.StreamID == 0 || c.idle(h.StreamID):
		return e // nothing can be reset that was not opened
	}
	return c.failStream(h.StreamID, e, ev)
}

func (c *Conn) recvPriorityUpdate(h FrameHeader, p []byte) *Error {
	id, field, e := ParsePriorityUpdate(h, p)
	if e != nil {
		return e
	}
	if c.client || id&1 == 0 {
		return errPriorityUpdate
	}
	if e := c.spend(1); e != nil {
		return e
	}
	urgency, incremental := head.ParsePriority(field)
	v := priorityValue{urgency, !incremental}
	if s := c.streams.get(id); s != nil {
		c.sched.prioritize(s, v)
	} else if c.idle(id) {
		c.early.add(id, v)
	}
	return nil
}

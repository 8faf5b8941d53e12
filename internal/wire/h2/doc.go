// Package h2 is HTTP/2 (RFC 9113) without I/O: a Conn is either side of a
// connection as a state machine over byte slices, with the time passed in. It
// allocates nothing per request in steady state, and its memory is bounded by
// its Config whatever a peer sends: rapid resets, floods of frames that carry
// nothing, endless or swelling header blocks, windows that never open and
// replies that nobody reads end the stream or the connection, with the error
// code that the RFC has for it. It owns no goroutines and is not safe for use by
// several at once: a driver with goroutines holds a lock around each call. It
// imports hpack, httpmsg, syntax, bufpool and the standard library only; the
// drivers of both sides import it.
//
// How a driver reads:
//
//	for {
//		n, err := c.Next(in, now, &ev) // in: what was read and is not used yet
//		in = in[n:]
//		… handle ev; an error ends the connection, after Take …
//		if ev.Kind == h2.EventNone { … read more, room for c.Need() bytes … }
//	}
//
// and writes, after each batch of events and calls of its own:
//
//	for s := c.Writable(); s != nil; s = c.Writable() { … SendData(s, …) goes on … }
//	if b := c.Take(); b != nil { … write b.B …; b.Release() }
//
// Content is not buffered here. What comes is handed out as part of the driver's
// own bytes, and each byte must be given back by Consume before the peer may
// send another: back-pressure goes from end to end. What is to be sent is taken
// as far as windows and the output buffer allow; SendData says how much that is,
// and Writable later which stream is next.
package h2

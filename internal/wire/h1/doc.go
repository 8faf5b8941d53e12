// Package h1 is the HTTP/1.1 codec (RFC 9110, RFC 9112) without I/O: functions
// and small state machines over byte slices, for both sides of a proxy. It
// allocates nothing in steady state and keeps slices of what it is given: a
// parsed message is valid as long as its buffer is. Where the RFC lets a
// recipient be lenient and leniency can make two parsers disagree, it refuses.
// It owns no goroutines and imports httpmsg, syntax and the standard library only; the
// pipeline, health checks and mirrors import it.
//
// How a driver reads a request:
//
//	n, err := h1.ParseRequestHead(buf, &req, &limits) // the usual case: all is there
//	if n == 0 && err == nil {                         // not all: wait for the end
//		var s h1.Scanner
//		for s.HeadEnd(buf) < 0 { … read more, bounded by limits.HeaderBytes … }
//		n, err = h1.ParseRequestHead(buf, &req, &limits)
//	}
package h1

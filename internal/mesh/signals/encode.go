package signals

import (
	"encoding/binary"

	"github.com/gridway/gridway/internal/telemetry/latency"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

// Bits of the first byte beside those of classes.
const (
	// otherErrors is set where errors are not those of class 5 alone.
	otherErrors = 1 << signal.Classes
	// datagrams is set where there are some.
	datagrams = otherErrors << 1
)

// appendCounts appends counts as few bytes: about 25 for some seconds of an edge. Of
// durations microseconds are kept.
//
//	byte     which classes there are, one bit for each; otherErrors; datagrams
//	uvarint  for each of these, and errors
//	uvarint  microseconds, in, out; datagrams in and out, if there are any
//	uvarint  buckets that are not empty, and for each: how many are skipped, and its count
func appendCounts(b []byte, c *signal.Counts) []byte {
	at := len(b)
	b = append(b, 0)
	for i, n := range c.Classes {
		if n > 0 {
			b[at] |= 1 << i
			b = binary.AppendUvarint(b, n)
		}
	}
	if c.Errors != c.Classes[5] {
		b[at] |= otherErrors
		b = binary.AppendUvarint(b, c.Errors)
	}
	b = binary.AppendUvarint(b, c.Nanos/1000)
	b = binary.AppendUvarint(b, c.In)
	b = binary.AppendUvarint(b, c.Out)
	if c.InDatagrams|c.OutDatagrams != 0 {
		b[at] |= datagrams
		b = binary.AppendUvarint(b, c.InDatagrams)
		b = binary.AppendUvarint(b, c.OutDatagrams)
	}
	filled := uint64(0)
	for _, n := range c.Latency {
		if n > 0 {
			filled++
		}
	}
	b = binary.AppendUvarint(b, filled)
	next := 0
	for i, n := range c.Latency {
		if n > 0 {
			b = binary.AppendUvarint(b, uint64(i-next))
			b = binary.AppendUvarint(b, n)
			next = i + 1
		}
	}
	return b
}

// addCounts adds what appendCounts has written to c, and returns what follows. ok is false
// for anything else; c may have got a part of it then.
func addCounts(c *signal.Counts, b []byte) (rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, false
	}
	has := b[0]
	b, ok = b[1:], true
	next := func() uint64 {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			b, ok = nil, false
			return 0
		}
		b = b[size:]
		return n
	}
	var five uint64
	for i := range c.Classes {
		if has&(1<<i) != 0 {
			n := next()
			c.Classes[i] += n
			if i == 5 {
				five = n
			}
		}
	}
	if has&otherErrors != 0 {
		five = next()
	}
	c.Errors += five
	c.Nanos += next() * 1000
	c.In += next()
	c.Out += next()
	if has&datagrams != 0 {
		c.InDatagrams += next()
		c.OutDatagrams += next()
	}
	at := uint64(0)
	for filled := next(); ok && filled > 0; filled-- {
		at += next()
		if at >= latency.Buckets {
			return nil, false
		}
		c.Latency[at] += next()
		at++
	}
	return b, ok
}

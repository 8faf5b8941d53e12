package h1

import "github.com/gridway/gridway/internal/wire/httpmsg"

// readTrailer parses the trailer section at the start of in and returns its
// length, or 0 if it is not complete.
func (c *ChunkReader) readTrailer(in []byte, trailer *httpmsg.Header) (int, *Error) {
	if in[0] == '\r' {
		if len(in) == 1 {
			return 0, nil
		}
		if in[1] != '\n' {
			return 0, errBareCR
		}
		c.state = chunkDone
		return 2, nil
	}
	if in[0] == '\n' {
		return 0, errBareLF
	}
	end := c.trailer.HeadEnd(in)
	if end < 0 && len(in) < maxTrailerBytes {
		return 0, nil
	}
	if end < 0 || end > maxTrailerBytes {
		return 0, errTrailerTooLong
	}
	if trailer == nil {
		trailer = new(httpmsg.Header)
	}
	trailer.Reset()
	n, e := parseFields(in[:end], 0, trailer, maxTrailerCount, nil)
	if e != nil {
		return 0, e
	}
	if n != end {
		return 0, errTrailerSyntax
	}
	trailer.DropForbiddenTrailers()
	c.state = chunkDone
	return end, nil
}

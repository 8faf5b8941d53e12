package h1

import (
	"strconv"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// ChunkReader takes the chunked transfer coding off a body (RFC 9112 §7.1). The
// zero value is ready; it is for one body.
type ChunkReader struct {
	size     int64 // of the chunk, or what is left of its data
	state    chunkState
	digits   uint8
	ext      int // bytes of extensions of this chunk
	extState extState
	excess   int // bytes of extensions that data has not made up for
	trailer  Scanner
}

type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkExtension
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	chunkTrailer
	chunkDone
)

const (
	// maxChunkDigits leaves no room for an overflow of int64.
	maxChunkDigits = 15
	// maxExtension is the size of one chunk's extensions in bytes. Nobody needs
	// them; they are checked and dropped.
	maxExtension = 256
	// maxExcess is how many bytes of extensions a body may have beyond its bytes
	// of data, so that nobody sends much that costs work and says nothing.
	maxExcess = 16 << 10
	// maxTrailerBytes and maxTrailerCount bound the trailer section. The driver's
	// buffer must hold maxTrailerBytes.
	maxTrailerBytes = 8 << 10
	maxTrailerCount = 64
)

// Reset makes the reader ready for another body.
func (c *ChunkReader) Reset() { *c = ChunkReader{} }

// Announced is how many bytes of data the chunk that has begun still has: its
// sender has said so, though nothing of them may have come.
func (c *ChunkReader) Announced() int64 {
	switch c.state {
	case chunkExtension, chunkSizeLF, chunkData:
		return c.size
	}
	return 0
}

// Next consumes n bytes of in, and returns data, a slice of in, when it comes to
// some; more may then follow in what is left. done is true once the body has
// ended; data is empty then. n == 0 means that more must arrive: only a trailer
// section is waited for, everything else is consumed as it comes. What was not
// consumed must be given again, at the start of in.
//
// The trailer's fields are slices of in too. Fields that must not be in trailers
// (RFC 9110 §6.5.1) are dropped; all are if trailer is nil. An error is an *Error.
func (c *ChunkReader) Next(in []byte, trailer *httpmsg.Header) (data []byte, n int, done bool, err error) {
	for n < len(in) {
		var e *Error
		switch c.state {
		case chunkSize:
			n, e = c.readSize(in, n)
		case chunkExtension:
			n, e = c.skipExtension(in, n)
		case chunkSizeLF:
			if in[n] != '\n' {
				return nil, 0, false, errBareCR
			}
			n++
			c.digits, c.ext = 0, 0
			c.state = chunkData
			if c.size == 0 {
				c.state = chunkTrailer
				c.trailer = Scanner{started: true}
			}
		case chunkData:
			data, n = c.takeData(in, n)
			return data, n, false, nil
		case chunkDataCR:
			if in[n] != '\r' {
				return nil, 0, false, errChunkEnd
			}
			n++
			c.state = chunkDataLF
		case chunkDataLF:
			if in[n] != '\n' {
				return nil, 0, false, errChunkEnd
			}
			n++
			c.state = chunkSize
		case chunkTrailer:
			var end int
			if end, e = c.readTrailer(in[n:], trailer); e == nil {
				return nil, n + end, c.state == chunkDone, nil
			}
		case chunkDone:
			return nil, n, true, nil
		}
		if e != nil {
			return nil, 0, false, e
		}
	}
	return nil, n, c.state == chunkDone, nil
}

// takeData returns what in[n:] has of the chunk, and consumes the CRLF after it
// if that is there, so that the next call starts with a size.
func (c *ChunkReader) takeData(in []byte, n int) ([]byte, int) {
	end := len(in)
	if int64(end-n) > c.size {
		end = n + int(c.size)
	}
	data := in[n:end:end]
	c.size -= int64(len(data))
	c.excess = max(0, c.excess-len(data))
	if c.size > 0 {
		return data, end
	}
	c.state = chunkDataCR
	if end+1 < len(in) && in[end] == '\r' && in[end+1] == '\n' {
		c.state = chunkSize
		end += 2
	}
	return data, end
}

func (c *ChunkReader) readSize(in []byte, n int) (int, *Error) {
	if c.digits == 0 {
		c.size = 0
	}
	for ; n < len(in); n++ {
		b := in[n]
		d := hexDigit[b]
		if d > 15 {
			switch {
			case c.digits == 0:
				return 0, errChunkSize
			case b == '\r':
				c.state = chunkSizeLF
				return n + 1, nil
			case b == ';' || b == ' ' || b == '\t':
				c.state = chunkExtension
				c.extState = extSpace
				return n, nil
			case b == '\n':
				return 0, errBareLF
			}
			return 0, errChunkSize
		}
		if c.digits++; c.digits > maxChunkDigits {
			return 0, errChunkOverflow
		}
		c.size = c.size<<4 | int64(d)
	}
	return n, nil
}

var hexDigit = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range byte(10) {
		t['0'+i] = i
	}
	for i := range byte(6) {
		t['a'+i], t['A'+i] = 10+i, 10+i
	}
	return t
}()

// AppendChunkSize appends the line in front of n bytes of data, which CRLF must
// follow. n must be more than zero: a chunk of zero is the last.
func AppendChunkSize(dst []byte, n int) []byte {
	dst = strconv.AppendUint(dst, uint64(n), 16)
	return append(dst, "\r\n"...)
}

// AppendLastChunk appends the end of a chunked body; trailer may be nil. Fields
// that must not be in trailers are left out.
func AppendLastChunk(dst []byte, trailer *httpmsg.Header) []byte {
	dst = append(dst, "0\r\n"...)
	if trailer != nil {
		for i := range trailer.Len() {
			f := trailer.At(i)
			if httpmsg.TrailerForbidden(f.ID) {
				continue
			}
			dst = append(dst, f.Name...)
			dst = append(dst, ": "...)
			dst = append(dst, f.Value...)
			dst = append(dst, "\r\n"...)
		}
	}
	return append(dst, "\r\n"...)
}

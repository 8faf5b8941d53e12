package decompress

import (
	"fmt"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// coding is a content coding that can be undone.
type coding uint8

const (
	none coding = iota
	gzipCoding
	deflateCoding
	brCoding
	zstdCoding
	codings
)

func lookupCoding(name []byte) coding {
	switch {
	case httpmsg.EqualFold(name, "gzip"), httpmsg.EqualFold(name, "x-gzip"):
		return gzipCoding
	case httpmsg.EqualFold(name, "deflate"):
		return deflateCoding
	case httpmsg.EqualFold(name, "br"):
		return brCoding
	case httpmsg.EqualFold(name, "zstd"):
		return zstdCoding
	}
	return none
}

// zstdWindow is the most that RFC 9659 lets an encoder ask for.
const zstdWindow = 8 << 20

// decoders are kept between bodies.
var decoders [codings]sync.Pool

// open returns a decoder that reads source, whose first bytes it may read.
func (c coding) open(source io.Reader) (io.Reader, error) {
	kept := decoders[c].Get()
	switch c {
	case gzipCoding:
		if d, ok := kept.(*gzip.Reader); ok {
			return d, d.Reset(source)
		}
		return gzip.NewReader(source)
	case deflateCoding:
		if d, ok := kept.(io.Reader); ok {
			return d, d.(zlib.Resetter).Reset(source, nil)
		}
		return zlib.NewReader(source)
	case brCoding:
		if d, ok := kept.(*brotli.Reader); ok {
			return d, d.Reset(source)
		}
		return brotli.NewReader(source), nil
	default:
		if d, ok := kept.(*zstd.Decoder); ok {
			return d, d.Reset(source)
		}
		return zstd.NewReader(source, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindow))
	}
}

func (c coding) release(d io.Reader) {
	if z, ok := d.(*zstd.Decoder); ok && z.Reset(nil) != nil {
		return
	}
	decoders[c].Put(d)
}

// limits of what a body may become.
type limits struct {
	ratio int64 // decoded bytes per coded byte
	bytes int64 // zero is no limit
}

// ratioFrom is the size in bytes up to which the ratio does not count: short
// texts of zeros are no bombs.
const ratioFrom = 1 << 20

// reader is a body on its way through a decoder.
type reader struct {
	source  counter
	coding  coding
	decoder io.Reader
	limits  limits
	out     int64
	err     error
}

func newReader(source io.Reader, c coding, l limits) *reader {
	return &reader{source: counter{source: source}, coding: c, limits: l}
}

// Read returns decoded bytes, never more than the limits allow.
func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.decoder == nil {
		d, err := r.coding.open(&r.source)
		if err != nil {
			r.err = r.explain(err)
			return 0, r.err
		}
		r.decoder = d
	}
	if room := r.room(); int64(len(p)) > room {
		p = p[:room]
	}
	n, err := r.decoder.Read(p)
	r.out += int64(n)
	if r.limits.bytes > 0 && r.out > r.limits.bytes || r.out > r.allowed() {
		r.err = filter.ErrDecompressionLimit
		return 0, r.err
	}
	if err != nil {
		r.err = r.explain(err)
	}
	return n, r.err
}

// allowed is how many bytes the ratio allows for what was read so far.
func (r *reader) allowed() int64 { return max(ratioFrom, r.source.n*r.limits.ratio) }

// room is how many bytes may come before a limit is certainly passed.
func (r *reader) room() int64 {
	room := int64(1 << 30)
	if r.limits.bytes > 0 {
		room = r.limits.bytes - r.out + 1
	}
	return max(room, 1)
}

// explain tells an error of the source, which is passed on, from one of the coding.
func (r *reader) explain(err error) error {
	switch {
	case r.source.err != nil && r.source.err != io.EOF:
		return r.source.err
	case err == io.EOF && r.decoder != nil:
		return io.EOF
	case err == io.EOF && r.source.n == 0:
		return io.EOF // an empty body, as some clients send it with a coding
	}
	return fmt.Errorf("%w: %w", filter.ErrContentCoding, err)
}

// Close gives the decoder back.
func (r *reader) Close() error {
	if r.decoder != nil {
		r.coding.release(r.decoder)
		r.decoder = nil
	}
	if r.err == nil {
		r.err = io.ErrClosedPipe
	}
	if c, ok := r.source.source.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// counter counts the coded bytes and remembers how the source ended.
type counter struct {
	source io.Reader
	n      int64
	err    error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.source.Read(p)
	c.n += int64(n)
	if err != nil {
		c.err = err
	}
	return n, err
}

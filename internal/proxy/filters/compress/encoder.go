package compress

import (
	"bytes"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// encoder is what the three libraries have in common.
type encoder interface {
	io.Writer
	Flush() error
	Close() error
	Reset(io.Writer)
}

// worker is an encoder with its buffers.
type worker struct {
	encoder encoder
	in      []byte
	out     bytes.Buffer
}

const (
	readSize = 16 << 10
	// keepOut bounds, in bytes, the output buffer that an idle worker holds on to.
	keepOut = 256 << 10
	// zstdWindow is far below the 8 MiB that RFC 9659 allows, because every
	// concurrent response needs one.
	zstdWindow = 512 << 10
)

// levels is one more than the highest level of any coding.
const levels = 12

// workers are kept between responses, by coding and level.
var workers [codings][levels]sync.Pool

// level brings a configured level into the coding's own range; zero takes one
// that suits responses made on the fly.
func (c coding) level(configured int) int {
	switch c {
	case gzipCoding:
		if configured <= 0 {
			return 5
		}
		return min(configured, gzip.BestCompression)
	case brCoding:
		if configured <= 0 {
			return 4
		}
		return min(configured, brotli.BestCompression)
	default:
		if configured <= 0 {
			return int(zstd.SpeedDefault)
		}
		return int(zstd.EncoderLevelFromZstd(configured))
	}
}

func (c coding) worker(level int) *worker {
	if w, ok := workers[c][level].Get().(*worker); ok {
		w.encoder.Reset(&w.out)
		return w
	}
	w := &worker{in: make([]byte, readSize)}
	switch c {
	case gzipCoding:
		w.encoder, _ = gzip.NewWriterLevel(&w.out, level) // fails for a level out of range only
	case brCoding:
		w.encoder = brotli.NewWriterLevel(&w.out, level)
	default:
		w.encoder, _ = zstd.NewWriter(&w.out, // fails for options out of range only
			zstd.WithEncoderLevel(zstd.EncoderLevel(level)), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true), zstd.WithZeroFrames(true))
	}
	return w
}

func (c coding) release(level int, w *worker) {
	w.encoder.Reset(io.Discard)
	if w.out.Cap() > keepOut {
		w.out = bytes.Buffer{}
	}
	w.out.Reset()
	workers[c][level].Put(w)
}

// reader is a body on its way through an encoder.
type reader struct {
	source io.Reader
	coding coding
	level  int
	worker *worker
	// stream: what was read is passed on at once, at some cost in size.
	stream bool
	err    error // of the source, or of the encoder
}

// Read returns encoded bytes. It asks the source only when it has none.
func (r *reader) Read(p []byte) (int, error) {
	for r.worker != nil && r.worker.out.Len() == 0 && r.err == nil {
		r.fill()
	}
	if r.worker != nil && r.worker.out.Len() > 0 {
		return r.worker.out.Read(p)
	}
	if r.worker == nil && r.err == nil {
		return 0, io.ErrClosedPipe
	}
	return 0, r.err
}

// fill encodes what one read of the source gives. A body that the source cuts
// short is not ended properly, so that the client can tell.
func (r *reader) fill() {
	w := r.worker
	n, err := r.source.Read(w.in)
	if n > 0 {
		if _, werr := w.encoder.Write(w.in[:n]); werr != nil {
			r.err = werr
			return
		}
		if r.stream && err == nil {
			if r.err = w.encoder.Flush(); r.err != nil {
				return
			}
		}
	}
	if err == io.EOF {
		if cerr := w.encoder.Close(); cerr != nil {
			err = cerr
		}
	}
	r.err = err
}

// Close gives the encoder back.
func (r *reader) Close() error {
	if r.worker != nil {
		r.coding.release(r.level, r.worker)
		r.worker = nil
	}
	if c, ok := r.source.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

package transcode

import (
	"encoding/binary"
	"io"
)

// messagePiece is what is taken for a message before its bytes have come.
const messagePiece = 32 << 10

// frames reads the messages of a stream of gRPC one by one. Its memory is that of one.
type frames struct {
	source io.Reader
	// most bounds a message. coded: they may be compressed.
	most  int64
	coded bool

	prefix [prefixSize]byte
	have   int    // of the prefix
	in     []byte // what was read of the message
	size   int    // that it will have
}

// next is the next message, and whether it is compressed; it is the caller's. After
// an error that is not the end it goes on where it was.
func (f *frames) next() (message []byte, coded bool, err error) {
	for f.have < prefixSize {
		n, err := f.source.Read(f.prefix[f.have:])
		f.have += n
		if f.have == prefixSize {
			break
		}
		if err == io.EOF && f.have > 0 {
			return nil, false, errCut
		}
		if err != nil {
			return nil, false, err
		}
	}
	if f.in == nil {
		size := binary.BigEndian.Uint32(f.prefix[1:])
		switch {
		case f.prefix[0] > 1 || f.prefix[0] == 1 && !f.coded:
			return nil, false, errCompressed
		case int64(size) > f.most:
			return nil, false, errTooLong
		}
		f.size = int(size)
		f.in = make([]byte, 0, min(f.size, messagePiece)+1)
	}
	for len(f.in) < f.size {
		if len(f.in) == cap(f.in) {
			grown := make([]byte, len(f.in), min(2*cap(f.in), f.size))
			copy(grown, f.in)
			f.in = grown
		}
		n, err := f.source.Read(f.in[len(f.in):min(cap(f.in), f.size)])
		f.in = f.in[:len(f.in)+n]
		if len(f.in) == f.size {
			break
		}
		if err == io.EOF {
			return nil, false, errCut
		}
		if err != nil {
			return nil, false, err
		}
	}
	message = f.in
	f.have, f.in = 0, nil
	return message, f.prefix[0] == 1, nil
}

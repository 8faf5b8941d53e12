package trace

import "encoding/binary"

// ring keeps the newest records in chunks, the oldest of which is given up for a new one.
// Chunks are made when they are first needed, so that a proxy that is idle has none. It
// is guarded by its lane's lock.
type ring struct {
	chunks [][]byte // the oldest first
	counts []int    // of records, by chunk
	size   int      // of a chunk
	most   int      // chunks
	first  uint64   // number of chunks[0]
}

// recordHeader is the length before each record.
const recordHeader = 4

// put adds a record. It tells how many records were given up for it.
func (r *ring) put(b []byte) (lost int) {
	need := recordHeader + len(b)
	if need > r.size {
		return 1
	}
	n := len(r.chunks)
	if n == 0 || cap(r.chunks[n-1])-len(r.chunks[n-1]) < need {
		lost = r.turn()
		n = len(r.chunks)
	}
	r.counts[n-1]++
	c := binary.LittleEndian.AppendUint32(r.chunks[n-1], uint32(len(b)))
	r.chunks[n-1] = append(c, b...)
	return lost
}

// turn begins a chunk.
func (r *ring) turn() (lost int) {
	if len(r.chunks) < r.most {
		r.chunks, r.counts = append(r.chunks, make([]byte, 0, r.size)), append(r.counts, 0)
		return 0
	}
	last, oldest := len(r.chunks)-1, r.chunks[0]
	lost = r.counts[0]
	copy(r.chunks, r.chunks[1:])
	copy(r.counts, r.counts[1:])
	r.chunks[last], r.counts[last] = oldest[:0], 0
	r.first++
	return lost
}

// bytes is what chunks take.
func (r *ring) bytes() int { return len(r.chunks) * r.size }

// each yields the records of a chunk, the oldest first.
func each(chunk []byte) func(func(record []byte) bool) {
	return func(yield func([]byte) bool) {
		for len(chunk) >= recordHeader {
			n := int(binary.LittleEndian.Uint32(chunk)) + recordHeader
			if n > len(chunk) || !yield(chunk[recordHeader:n:n]) {
				return
			}
			chunk = chunk[n:]
		}
	}
}

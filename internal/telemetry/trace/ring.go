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
	sites  *sites   // of the last chunk
}

// recordHeader is the length before each record. With siteMark it is that of a site.
const (
	recordHeader = 4
	siteMark     = 1 << 31
)

// put adds a record that is of a site. It tells how many records were given up for it.
func (r *ring) put(b []byte, s *site) (lost int) {
	if recordHeader+len(b) > r.size-recordHeader-maxSite {
		return 1
	}
	n := len(r.chunks)
	if n == 0 || cap(r.chunks[n-1])-len(r.chunks[n-1]) < 2*recordHeader+maxSite+len(b) {
		lost = r.turn()
		n = len(r.chunks)
	}
	r.counts[n-1]++
	c := r.chunks[n-1]
	known := &r.sites[r.sites.slot(s)]
	if known.ref == 0 || !known.same(s) {
		known.site, known.ref = *s, uint32(len(c)+1)
		c = appendSite(c, s)
	}
	binary.LittleEndian.PutUint32(b[atSite:], known.ref)
	c = binary.LittleEndian.AppendUint32(c, uint32(len(b)))
	r.chunks[n-1] = append(c, b...)
	return lost
}

// turn begins a chunk.
func (r *ring) turn() (lost int) {
	if r.sites == nil {
		r.sites = new(sites)
	}
	*r.sites = sites{}
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

// appendSite appends a site to a chunk.
func appendSite(c []byte, s *site) []byte {
	from := len(c)
	c = s.append(append(c, 0, 0, 0, 0))
	binary.LittleEndian.PutUint32(c[from:], uint32(len(c)-from-recordHeader)|siteMark)
	return c
}

// siteAt is the site that records of a chunk refer to so.
func siteAt(chunk []byte, ref uint32) ([]byte, bool) {
	from := uint64(ref) - 1 + recordHeader
	if from > uint64(len(chunk)) {
		return nil, false
	}
	n := binary.LittleEndian.Uint32(chunk[from-recordHeader:])
	to := from + uint64(n&^siteMark)
	if n&siteMark == 0 || to > uint64(len(chunk)) {
		return nil, false
	}
	return chunk[from:to], true
}

// each yields the records of a chunk, the oldest first.
func each(chunk []byte) func(func(record []byte) bool) {
	return func(yield func([]byte) bool) {
		for len(chunk) >= recordHeader {
			mark := binary.LittleEndian.Uint32(chunk)
			n := uint64(mark&^siteMark) + recordHeader
			if n > uint64(len(chunk)) || mark&siteMark == 0 && !yield(chunk[recordHeader:n:n]) {
				return
			}
			chunk = chunk[n:]
		}
	}
}

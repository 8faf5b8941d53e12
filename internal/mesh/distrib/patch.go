package distrib

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// minPatched is from how many bytes on a resource is sent as a change of the one before:
// a listener has an entry for each route, and one route changes.
const minPatched = 4 << 10

// patchOf says how many bytes at the beginning and at the end of a resource are those of
// the one before. It is false if there would be nothing to gain, or if what was before is
// not known any more.
func patchOf(base, next *Resource) (prefix, suffix int, ok bool) {
	if base == nil || base.Body == nil || len(next.Body) < minPatched {
		return 0, 0, false
	}
	prefix = common(base.Body, next.Body)
	// What is both at the beginning and at the end counts once.
	rest := min(len(base.Body), len(next.Body)) - prefix
	suffix = commonEnd(base.Body[len(base.Body)-rest:], next.Body[len(next.Body)-rest:])
	return prefix, suffix, prefix+suffix >= len(next.Body)/2 && len(next.Body)-prefix-suffix <= partBytes
}

// stride is how many bytes are compared at a time.
const stride = 4 << 10

// common is how long the beginning is that two texts have in common.
func common(a, b []byte) (n int) {
	most := min(len(a), len(b))
	for n+stride <= most && bytes.Equal(a[n:n+stride], b[n:n+stride]) {
		n += stride
	}
	for n < most && a[n] == b[n] {
		n++
	}
	return n
}

// commonEnd is the same of the end. The texts are of one length.
func commonEnd(a, b []byte) (n int) {
	most := len(a)
	for n+stride <= most && bytes.Equal(a[most-n-stride:most-n], b[most-n-stride:most-n]) {
		n += stride
	}
	for n < most && a[most-1-n] == b[most-1-n] {
		n++
	}
	return n
}

var errOtherResource = errors.New("it changes a resource that is not there")

// patched makes the body of a resource that came as a change.
func (x *connection) patched(r *meshpb.Resource) ([]byte, error) {
	k := Key{r.GetKind(), r.GetName()}
	base, err := x.bodyOf(k, r.GetBase())
	if err != nil {
		return nil, err
	}
	return applyPatch(base, r)
}

// applyPatch is what a change makes of a body.
func applyPatch(base []byte, r *meshpb.Resource) ([]byte, error) {
	prefix, suffix := r.GetPrefix(), r.GetSuffix()
	if prefix > uint64(len(base)) || suffix > uint64(len(base))-prefix {
		return nil, fmt.Errorf("it keeps %d and %d bytes of %d", prefix, suffix, len(base))
	}
	size := prefix + uint64(len(r.GetBody())) + suffix
	if size > MaxResourceBytes {
		return nil, fmt.Errorf("it makes %d bytes, and %d are allowed", size, MaxResourceBytes)
	}
	out := make([]byte, 0, size)
	out = append(out, base[:prefix]...)
	out = append(out, r.GetBody()...)
	return append(out, base[uint64(len(base))-suffix:]...), nil
}

// bodyOf is the body of a resource that is held, from memory or from disk.
func (x *connection) bodyOf(k Key, hash uint64) ([]byte, error) {
	h := x.held[k]
	switch {
	case h == nil || h.hash != hash:
		return nil, errOtherResource
	case h.body != nil:
		return h.body, nil
	case x.cache == nil:
		return nil, errOtherResource
	}
	return x.cache.body(k, hash)
}

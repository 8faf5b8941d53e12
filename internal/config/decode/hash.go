package decode

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/gridway/gridway/internal/config/store"
)

// hashOf digests what an object says, in whatever order and layout it was
// written, with defaults filled in and without its status.
func hashOf(k store.Key, v map[string]any) uint64 {
	h := hasher{d: xxhash.New()}
	for _, s := range [...]string{k.Group, k.Kind, k.Namespace, k.Name} {
		h.text(s)
	}
	for _, name := range h.sorted(v) {
		if name == "apiVersion" || name == "kind" {
			continue
		}
		h.text(name)
		h.value(v[name])
	}
	return h.d.Sum64()
}

type hasher struct {
	d       *xxhash.Digest
	scratch [9]byte
	names   []string
}

func (h *hasher) sorted(m map[string]any) []string {
	start := len(h.names)
	for name := range m {
		h.names = append(h.names, name)
	}
	names := h.names[start:len(h.names):len(h.names)]
	slices.Sort(names)
	return names
}

func (h *hasher) number(tag byte, n uint64) {
	h.scratch[0] = tag
	binary.LittleEndian.PutUint64(h.scratch[1:], n)
	_, _ = h.d.Write(h.scratch[:]) // a Digest never fails
}

func (h *hasher) text(s string) {
	h.number('s', uint64(len(s)))
	_, _ = h.d.WriteString(s)
}

func (h *hasher) value(v any) {
	switch v := v.(type) {
	case map[string]any:
		h.number('m', uint64(len(v)))
		mark := len(h.names)
		for _, name := range h.sorted(v) {
			h.text(name)
			h.value(v[name])
		}
		h.names = h.names[:mark]
	case []any:
		h.number('l', uint64(len(v)))
		for _, e := range v {
			h.value(e)
		}
	case string:
		h.text(v)
	case int64:
		h.number('i', uint64(v))
	case float64:
		h.number('f', math.Float64bits(v))
	case bool:
		n := uint64(0)
		if v {
			n = 1
		}
		h.number('b', n)
	default:
		h.number('n', 0)
	}
}

package view

import (
	"hash/maphash"
	"slices"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
)

// common is what proxies have in common of one content, made once for all of them: of a
// thousand proxies most use services that others use, and many are before workloads of one
// service and use the same. Nothing in it is of workloads, which come and go. It is used
// while Views.mu is held; what is in it nobody changes.
type common struct {
	seed maphash.Seed
	// outbounds are ports of services for clients of a namespace.
	outbounds map[outboundKey]*outboundPart
	// listeners are those of outbound traffic that two proxies and more have alike, by what
	// their services are called. Nil is that one proxy has had such a one.
	listeners map[uint64]*ir.Listener
	// encoded are these listeners as they are sent; nil is not yet.
	encoded map[*ir.Listener]*distrib.Resource
	// kept counts what is in both: sections of listeners, and each as one more.
	kept int
}

// maxKept bounds what is kept of listeners, of which a proxy makes another one with each
// service that it learns of: some 50 MiB as they are sent. Beyond it all begins anew.
const maxKept = 1 << 17

func newCommon() common {
	return common{
		seed: maphash.MakeSeed(), outbounds: map[outboundKey]*outboundPart{}, listeners: map[uint64]*ir.Listener{}, encoded: map[*ir.Listener]*distrib.Resource{},
	}
}

type outboundKey struct {
	port      *ir.MeshPort
	namespace string
}

type outboundPart struct {
	bag     *bag
	section *ir.Section
}

// sharedListener is l, or one that is the same and that other proxies have, too.
func (w *proxyScope) sharedListener(l *ir.Listener) *ir.Listener {
	if w.apart {
		return l
	}
	c := &w.content.common
	var h maphash.Hash
	h.SetSeed(c.seed)
	_, _ = h.WriteString(l.Name)
	for _, s := range l.Sections {
		_ = h.WriteByte(0)
		_, _ = h.WriteString(s.Name)
	}
	key := h.Sum64()
	if c.kept > maxKept {
		clear(c.listeners)
		clear(c.encoded)
		c.kept = 0
	}
	switch other, known := c.listeners[key]; {
	case !known:
		c.listeners[key] = nil
		c.kept++
	case other == nil:
		c.listeners[key], c.encoded[l] = l, nil
		c.kept += len(l.Sections)
	case alike(other, l):
		return other
	}
	return l
}

// alike compares listeners of outbound traffic, whose sections are those of content.
func alike(a, b *ir.Listener) bool {
	return a.Name == b.Name && a.Captured == b.Captured && a.Egress == b.Egress && a.ClusterDomain == b.ClusterDomain && slices.Equal(a.Sections, b.Sections)
}

// encodeShared encodes a listener that proxies share once for all of them; nil is that
// they do not.
func (c *common) encodeShared(l *ir.Listener) (*distrib.Resource, error) {
	r, shared := c.encoded[l]
	if !shared || r != nil {
		return r, nil
	}
	list, err := distrib.Split(&ir.Config{Listeners: []*ir.Listener{l}})
	if err != nil || len(list) != 1 {
		return nil, err
	}
	c.encoded[l] = &list[0]
	return &list[0], nil
}

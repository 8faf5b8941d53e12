package trace

import (
	"encoding/binary"
	"unsafe"
)

// site is what the records of one rule, cluster and pair of neighbours have in common:
// texts that come from the configuration, and so are the same again and again. A chunk
// has each site once, before the first record that is of it, and records say where.
type site struct {
	listener, ofKind, ofNamespace, ofName, route, rule, file, cluster string
	peerIdentity, endpointIdentity                                    string
	line, column                                                      int
	revision                                                          uint64
}

func (x *Exchange) site() site {
	e := x.Entry
	return site{
		e.Listener, x.OfKind, x.OfNamespace, x.OfName, e.Route, e.Rule, x.Place.File, e.Cluster,
		e.PeerIdentity, e.EndpointIdentity, x.Place.Line, x.Place.Column, e.Revision,
	}
}

// same tells whether both have their texts in the same memory, as those of one
// configuration have: that is quicker than to compare them, and a wrong no costs some
// bytes. Identities are of connections and endpoints, which have a text each.
func (s *site) same(o *site) bool {
	return at(s.rule) == at(o.rule) && len(s.rule) == len(o.rule) &&
		at(s.cluster) == at(o.cluster) && len(s.cluster) == len(o.cluster) &&
		at(s.listener) == at(o.listener) && len(s.listener) == len(o.listener) &&
		at(s.route) == at(o.route) && len(s.route) == len(o.route) &&
		at(s.ofName) == at(o.ofName) && len(s.ofName) == len(o.ofName) &&
		at(s.ofNamespace) == at(o.ofNamespace) && len(s.ofNamespace) == len(o.ofNamespace) &&
		at(s.ofKind) == at(o.ofKind) && len(s.ofKind) == len(o.ofKind) &&
		at(s.file) == at(o.file) && len(s.file) == len(o.file) &&
		s.line == o.line && s.column == o.column && s.revision == o.revision &&
		s.peerIdentity == o.peerIdentity && s.endpointIdentity == o.endpointIdentity
}

func at(s string) *byte { return unsafe.StringData(s) }

// append appends what records of it refer to.
func (s *site) append(b []byte) []byte {
	w := writer{b}
	w.text(s.listener)
	w.text(s.ofKind)
	w.text(s.ofNamespace)
	w.text(s.ofName)
	w.text(s.route)
	w.text(s.rule)
	w.place(&Place{File: s.file, Line: s.line, Column: s.column})
	w.text(s.cluster)
	w.text(s.peerIdentity)
	w.text(s.endpointIdentity)
	w.number(s.revision)
	return w.b
}

// maxSite is more than append takes.
const maxSite = 10*(maxText+2) + 4*binary.MaxVarintLen64

// site reads what append has written.
func (r *reader) site(x *Record) {
	x.Listener = r.text()
	kind, namespace, name := r.text(), r.text(), r.text()
	if name != "" {
		x.Of = kind + "/" + namespace + "/" + name
	}
	x.Route, x.Rule, x.Place = r.text(), r.text(), r.place()
	x.Cluster, x.PeerIdentity, x.EndpointIdentity = r.text(), r.text(), r.text()
	x.Revision = r.number()
}

// sites are those that were written last into one chunk. They keep their texts alive,
// so that other texts cannot have the same memory.
type sites [32]struct {
	site
	ref uint32 // where it is in the chunk, plus 1; 0 is nowhere
}

// slot is the place of s.
func (m *sites) slot(s *site) uint32 {
	const golden = 0x9e3779b97f4a7c15
	h := address(s.rule) ^ address(s.cluster)<<1 ^ address(s.listener)<<2 ^ tail(s.endpointIdentity) ^ tail(s.peerIdentity)<<1
	return uint32((h * golden) >> 59) // 32 of them
}

// tail is the end of an identity, where identities differ most.
func tail(s string) (n uint64) {
	for i := max(0, len(s)-8); i < len(s); i++ {
		n = n<<8 | uint64(s[i])
	}
	return n
}

func address(s string) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.StringData(s)))) }

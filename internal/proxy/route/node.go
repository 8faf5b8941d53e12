package route

import (
	"bytes"
	"hash/maphash"
)

// node is a place in the tree of path segments. Chains of nodes with one child
// and no routes are one node with a label of several segments. It fills a cache
// line of 64 bytes and holds all that a lookup on its way needs, the label too
// if it is as short as most: with many routes, memory is what a lookup waits for.
type node struct {
	// short is the label, the segments from the parent to here without the slash
	// in front, if it fits.
	short [20]byte
	// labelLen is the label's length, labelAt its place in the tree's text.
	labelLen, labelAt uint32

	// kid is the child if mask is zero, and otherwise the first slot of a table
	// of children; a negative mask means none.
	kid, mask int32

	// The entries of exact paths, regular expressions and prefixes follow each
	// other, beginning with first.
	first, exactEnd, regexEnd, prefixEnd int32
	// upPrefix and upRegex are the nearest ancestors with prefixes and with
	// regular expressions, or noNode.
	upPrefix, upRegex int32

	// plain tells of which spans the first entry has no conditions.
	plain uint32
}

const noNode = -1

const (
	plainExact uint32 = 1 << iota
	plainPrefix
)

// span is a range of entries.
type span struct{ start, end int32 }

func (s span) empty() bool { return s.start == s.end }

func (n *node) exact() span  { return span{n.first, n.exactEnd} }
func (n *node) regex() span  { return span{n.exactEnd, n.regexEnd} }
func (n *node) prefix() span { return span{n.regexEnd, n.prefixEnd} }

// slot holds no pointers, so that the collector does not scan large tables.
type slot struct {
	hash uint32
	node int32 // index + 1; zero is a free slot
}

func (t *tree) hash(segment []byte) uint32 {
	return uint32(maphash.Bytes(t.seed, segment))
}

// walk goes down as far as the path leads. exact is the node for the whole path
// or noNode; prefix and regex are the deepest nodes on the way that hold some.
func (t *tree) walk(path []byte) (exact, prefix, regex int32) {
	at, pos := int32(0), 0
	prefix, regex = noNode, noNode
	for {
		n := &t.nodes[at]
		if n.regexEnd != n.prefixEnd {
			prefix = at
		}
		if n.exactEnd != n.regexEnd {
			regex = at
		}
		if pos >= len(path) || path[pos] != '/' {
			if pos == len(path) {
				return at, prefix, regex
			}
			return noNode, prefix, regex
		}
		next, length := t.child(n, path[pos+1:])
		if next == noNode {
			return noNode, prefix, regex
		}
		at, pos = next, pos+1+length
	}
}

// child returns the child whose label the rest of a path starts with, and the
// length of the label.
func (t *tree) child(n *node, rest []byte) (next int32, length int) {
	if n.mask <= 0 {
		if n.mask < 0 || !t.leads(&t.nodes[n.kid], rest) {
			return noNode, 0
		}
		return n.kid, int(t.nodes[n.kid].labelLen)
	}
	segment := rest
	if i := bytes.IndexByte(rest, '/'); i >= 0 {
		segment = rest[:i]
	}
	hash := t.hash(segment)
	slots := t.slots[n.kid : n.kid+n.mask+1]
	for i := int32(hash) & n.mask; ; i = (i + 1) & n.mask {
		s := slots[i]
		if s.node == 0 {
			return noNode, 0
		}
		if s.hash != hash {
			continue
		}
		if kid := &t.nodes[s.node-1]; t.leads(kid, rest) {
			return s.node - 1, int(kid.labelLen)
		}
		// Another segment may have the same hash.
	}
}

// leads tells whether a path goes on with the label of a node.
func (t *tree) leads(n *node, rest []byte) bool {
	size := int(n.labelLen)
	if len(rest) < size || len(rest) > size && rest[size] != '/' {
		return false
	}
	if size <= len(n.short) {
		return string(n.short[:size]) == string(rest[:size])
	}
	return t.text[n.labelAt:n.labelAt+n.labelLen] == string(rest[:size])
}

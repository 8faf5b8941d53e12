package route

import (
	"bytes"
	"hash/maphash"
)

// node is a place in the tree of path segments. Chains of nodes with one child
// and no routes are one node with a label of several segments. It fills a cache
// line of 64 bytes: with many routes, memory is what a lookup waits for.
type node struct {
	// label is the segments from the parent to here, without the slash in front.
	label string
	kids  kids

	exact, prefix, regex span
	// upPrefix and upRegex are the nearest ancestors with prefixes and with
	// regular expressions, or noNode.
	upPrefix, upRegex int32
}

const noNode = -1

// span is a range of entries.
type span struct{ start, end int32 }

func (s span) empty() bool { return s.start == s.end }

// kids are the children of a node: one, or a hash table by the first segment of
// their labels, with open addressing over a power of two.
type kids struct {
	start, mask int32 // of the tree's slots
	only        int32 // the child, if there is just one
	count       int32
}

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
		if !n.prefix.empty() {
			prefix = at
		}
		if !n.regex.empty() {
			regex = at
		}
		if pos >= len(path) || path[pos] != '/' {
			if pos == len(path) {
				return at, prefix, regex
			}
			return noNode, prefix, regex
		}
		next, length := t.child(&n.kids, path[pos+1:])
		if next == noNode {
			return noNode, prefix, regex
		}
		at, pos = next, pos+1+length
	}
}

// child returns the child whose label the rest of a path starts with, and the
// length of the label.
func (t *tree) child(k *kids, rest []byte) (next int32, length int) {
	if k.count <= 1 {
		if k.count == 0 || !startsWith(rest, t.nodes[k.only].label) {
			return noNode, 0
		}
		return k.only, len(t.nodes[k.only].label)
	}
	segment := rest
	if i := bytes.IndexByte(rest, '/'); i >= 0 {
		segment = rest[:i]
	}
	hash := t.hash(segment)
	slots := t.slots[k.start : k.start+k.mask+1]
	for i := int32(hash) & k.mask; ; i = (i + 1) & k.mask {
		s := slots[i]
		if s.node == 0 {
			return noNode, 0
		}
		if s.hash != hash {
			continue
		}
		label := t.nodes[s.node-1].label
		if startsWith(rest, label) {
			return s.node - 1, len(label)
		}
		// Another segment may have the same hash.
	}
}

// startsWith compares whole segments.
func startsWith(path []byte, label string) bool {
	return len(path) >= len(label) && string(path[:len(label)]) == label &&
		(len(path) == len(label) || path[len(label)] == '/')
}

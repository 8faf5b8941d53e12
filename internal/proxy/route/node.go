package route

import (
	"bytes"
	"hash/maphash"
	"strings"
)

// node is a place in the tree of path segments. Chains of nodes with one child
// and no routes are one node with a label of several segments.
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

// kids finds children by the hash of the first segment of their labels. It is
// open addressing over a power of two, at most half full; the slots hold no
// pointers, so that the collector does not scan large tables.
type kids struct {
	slots []slot
	count int32
}

type slot struct {
	hash uint32
	node int32 // index + 1; zero is a free slot
}

func (k *kids) find(nodes []node, hash uint32, segment []byte) int32 {
	if len(k.slots) == 0 {
		return noNode
	}
	mask := uint32(len(k.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := k.slots[i]
		if s.node == 0 {
			return noNode
		}
		if s.hash == hash && startsWithSegment(nodes[s.node-1].label, segment) {
			return s.node - 1
		}
	}
}

func startsWithSegment(label string, segment []byte) bool {
	return len(label) >= len(segment) && label[:len(segment)] == string(segment) &&
		(len(label) == len(segment) || label[len(segment)] == '/')
}

func (k *kids) add(hash uint32, n int32) {
	if int(k.count+1)*2 > len(k.slots) {
		old := k.slots
		k.slots = make([]slot, max(2, 2*len(old)))
		for _, s := range old {
			if s.node != 0 {
				k.put(s)
			}
		}
	}
	k.put(slot{hash, n + 1})
	k.count++
}

func (k *kids) put(s slot) {
	mask := uint32(len(k.slots) - 1)
	i := s.hash & mask
	for k.slots[i].node != 0 {
		i = (i + 1) & mask
	}
	k.slots[i] = s
}

// replace makes the slot of child old name child n, which begins with the same segment.
func (k *kids) replace(hash uint32, old, n int32) {
	mask := uint32(len(k.slots) - 1)
	i := hash & mask
	for k.slots[i].node != old+1 {
		i = (i + 1) & mask
	}
	k.slots[i].node = n + 1
}

func (t *tree) hash(segment []byte) uint32 {
	return uint32(maphash.Bytes(t.seed, segment))
}

func firstSegment(s string) string {
	if i := strings.IndexByte(s, '/'); i >= 0 {
		return s[:i]
	}
	return s
}

// insert returns the node for the segments of key, which is a path without the
// slash in front. ok is false for the root, which has no segments at all;
// the key "" with ok is the one empty segment of the path "/".
func (t *tree) insert(key string, ok bool) int32 {
	at := int32(0)
	for ok {
		first := []byte(firstSegment(key))
		hash := t.hash(first)
		child := t.nodes[at].kids.find(t.nodes, hash, first)
		if child == noNode {
			child = t.newNode(key)
			t.nodes[at].kids.add(hash, child)
			return child
		}
		label := t.nodes[child].label
		common := commonSegments(label, key)
		if common < len(label) {
			child = t.split(at, child, hash, common)
		}
		at = child
		if ok = common < len(key); ok {
			key = key[common+1:]
		}
	}
	return at
}

// split puts a node between at and its child, for the first n bytes of the label.
func (t *tree) split(at, child int32, hash uint32, n int) int32 {
	label := t.nodes[child].label
	middle := t.newNode(label[:n])
	t.nodes[at].kids.replace(hash, child, middle)
	rest := label[n+1:]
	t.nodes[child].label = rest
	t.nodes[middle].kids.add(t.hash([]byte(firstSegment(rest))), child)
	return middle
}

func (t *tree) newNode(label string) int32 {
	t.nodes = append(t.nodes, node{label: label, upPrefix: noNode, upRegex: noNode})
	return int32(len(t.nodes) - 1)
}

// commonSegments returns how many bytes of whole segments both texts start with.
func commonSegments(a, b string) int {
	n, last := min(len(a), len(b)), 0
	for i := 0; i < n && a[i] == b[i]; i++ {
		if a[i] == '/' {
			last = i
		}
		if i == n-1 && (len(a) == n || a[n] == '/') && (len(b) == n || b[n] == '/') {
			last = n
		}
	}
	return last
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
		rest := path[pos+1:]
		segment := rest
		if i := bytes.IndexByte(rest, '/'); i >= 0 {
			segment = rest[:i]
		}
		next := n.kids.find(t.nodes, t.hash(segment), segment)
		if next == noNode {
			return noNode, prefix, regex
		}
		label := t.nodes[next].label
		if len(label) > len(segment) && !startsWithLabel(rest, label) {
			return noNode, prefix, regex
		}
		at, pos = next, pos+1+len(label)
	}
}

func startsWithLabel(rest []byte, label string) bool {
	return len(rest) >= len(label) && string(rest[:len(label)]) == label &&
		(len(rest) == len(label) || rest[len(label)] == '/')
}

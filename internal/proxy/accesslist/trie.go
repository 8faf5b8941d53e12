package accesslist

import (
	"slices"
)

// trie finds many texts in one pass (Aho and Corasick, 1975), without regard to
// the case of ASCII letters. The zero trie has none.
type trie struct {
	nodes []node
	// first are the children of the root, which most bytes lead to; 0 is none.
	first [256]uint32
}

// node is where some texts are after some bytes; that with number 0 is the root.
type node struct {
	edges []edge // in the order of their bytes
	// fail is the node of the longest end of this one's text that is another's.
	fail uint32
	// found: a text ends here; exact: one that has to be all there is.
	found, exact bool
	// ends: fail, or a node behind it, says something.
	ends        bool
	expressions []uint16
}

type edge struct {
	by byte
	to uint32
}

// add returns the node of a text, valid until the next call.
func (t *trie) add(text string) *node {
	if t.nodes == nil {
		t.nodes = make([]node, 1)
	}
	at := uint32(0)
	for _, b := range []byte(text) {
		b = lower(b)
		next := t.child(at, b)
		if next == 0 {
			next = uint32(len(t.nodes))
			t.nodes = append(t.nodes, node{})
			edges := t.nodes[at].edges
			i, _ := slices.BinarySearchFunc(edges, b, func(e edge, b byte) int { return int(e.by) - int(b) })
			t.nodes[at].edges = slices.Insert(edges, i, edge{b, next})
			if at == 0 {
				t.first[b] = next
				if 'a' <= b && b <= 'z' {
					t.first[b-'a'+'A'] = next
				}
			}
		}
		at = next
	}
	return &t.nodes[at]
}

func (t *trie) child(at uint32, by byte) uint32 {
	if at == 0 {
		return t.first[by]
	}
	for _, e := range t.nodes[at].edges {
		if e.by >= by {
			if e.by == by {
				return e.to
			}
			break
		}
	}
	return 0
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		b += 'a' - 'A'
	}
	return b
}

// link finds where to go on when no child fits, the nearest nodes first.
func (t *trie) link() {
	if t.nodes == nil {
		return
	}
	queue := []uint32{0}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, e := range t.nodes[at].edges {
			n := &t.nodes[e.to]
			if at != 0 {
				n.fail = t.step(t.nodes[at].fail, e.by)
			}
			f := &t.nodes[n.fail]
			n.found = n.found || f.found
			n.ends = f.ends || f.expressions != nil
			queue = append(queue, e.to)
		}
	}
}

func (t *trie) step(at uint32, by byte) uint32 {
	for {
		if next := t.child(at, by); next != 0 || at == 0 {
			return next
		}
		at = t.nodes[at].fail
	}
}

// scan looks for the texts anywhere, and notes which expressions are to be tried.
func (t *trie) scan(text []byte, try *[maxTried / 64]uint64) (some, found bool) {
	if t.nodes == nil {
		return false, false
	}
	at := uint32(0)
	for _, b := range text {
		at = t.step(at, lower(b))
		if at == 0 {
			continue
		}
		n := &t.nodes[at]
		if n.found {
			return false, true
		}
		for n.ends || n.expressions != nil {
			for _, e := range n.expressions {
				try[e/64] |= 1 << (e % 64)
				some = true
			}
			if !n.ends {
				break
			}
			n = &t.nodes[n.fail]
		}
	}
	return some, false
}

// begins tells whether the text begins with one of the texts, or is an exact one.
func (t *trie) begins(text []byte) bool {
	if t.nodes == nil {
		return false
	}
	at := uint32(0)
	for _, b := range text {
		if at = t.child(at, lower(b)); at == 0 {
			return false
		}
		if t.nodes[at].found {
			return true
		}
	}
	return t.nodes[at].exact
}

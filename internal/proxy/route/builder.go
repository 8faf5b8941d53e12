package route

import "strings"

// builder grows a tree out of drafts, and packs it once the sizes are known.
type builder struct {
	*tree
	drafts []draft
	tables []table // of the children of each draft
}

// draft is a node while the tree grows.
type draft struct {
	label                string
	exact, regex, prefix span
	upPrefix, upRegex    int32
}

// table is the children of one node, at most half full.
type table struct {
	slots []slot
	count int32
}

func (b *builder) newNode(label string) int32 {
	b.drafts = append(b.drafts, draft{label: label, upPrefix: noNode, upRegex: noNode})
	b.tables = append(b.tables, table{})
	return int32(len(b.drafts) - 1)
}

// insert returns the node for the segments of key, which is a path without the
// slash in front: "" is the one empty segment of the path "/".
func (b *builder) insert(key string) int32 {
	at := int32(0)
	for {
		first := firstSegment(key)
		hash := b.hash([]byte(first))
		child := b.find(at, hash, first)
		if child == noNode {
			child = b.newNode(key)
			b.tables[at].add(slot{hash, child + 1})
			return child
		}
		label := b.drafts[child].label
		common := commonSegments(label, key)
		if common < len(label) {
			child = b.split(at, child, hash, common)
		}
		if common == len(key) {
			return child
		}
		at, key = child, key[common+1:]
	}
}

func (b *builder) find(at int32, hash uint32, first string) int32 {
	t := &b.tables[at]
	if t.count == 0 {
		return noNode
	}
	mask := uint32(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := t.slots[i]
		if s.node == 0 {
			return noNode
		}
		if s.hash == hash && firstSegment(b.drafts[s.node-1].label) == first {
			return s.node - 1
		}
	}
}

// split puts a node between at and its child, for the first n bytes of the label.
func (b *builder) split(at, child int32, hash uint32, n int) int32 {
	label := b.drafts[child].label
	middle := b.newNode(label[:n])
	b.tables[at].replace(hash, child+1, middle+1)
	rest := label[n+1:]
	b.drafts[child].label = rest
	b.tables[middle].add(slot{b.hash([]byte(firstSegment(rest))), child + 1})
	return middle
}

func (t *table) add(s slot) {
	if int(t.count+1)*2 > len(t.slots) {
		old := t.slots
		t.slots = make([]slot, max(2, 2*len(old)))
		for _, s := range old {
			if s.node != 0 {
				t.put(s)
			}
		}
	}
	t.put(s)
	t.count++
}

func (t *table) put(s slot) {
	mask := uint32(len(t.slots) - 1)
	i := s.hash & mask
	for t.slots[i].node != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = s
}

func (t *table) replace(hash uint32, old, new int32) {
	mask := uint32(len(t.slots) - 1)
	i := hash & mask
	for t.slots[i].node != old {
		i = (i + 1) & mask
	}
	t.slots[i].node = new
}

// finish packs the drafts and their tables into the tree, and tells each node
// its nearest ancestors with something to fall back to.
func (b *builder) finish() {
	b.link(0, noNode, noNode)
	slots, text := 0, 0
	for i := range b.tables {
		if t := &b.tables[i]; t.count > 1 {
			slots += len(t.slots)
		}
		if n := len(b.drafts[i].label); n > len(node{}.short) {
			text += n
		}
	}
	b.slots = make([]slot, 0, slots)
	b.nodes = make([]node, len(b.drafts))
	var long strings.Builder
	long.Grow(text)
	for i := range b.drafts {
		d, n, t := &b.drafts[i], &b.nodes[i], &b.tables[i]
		n.labelLen, n.upPrefix, n.upRegex = uint32(len(d.label)), d.upPrefix, d.upRegex
		if len(d.label) <= len(n.short) {
			copy(n.short[:], d.label)
		} else {
			n.labelAt = uint32(long.Len())
			long.WriteString(d.label)
		}
		n.first, n.exactEnd, n.regexEnd, n.prefixEnd = d.exact.start, d.exact.end, d.regex.end, d.prefix.end
		if !d.exact.empty() && b.entries[d.exact.start].cond == nil {
			n.plain |= plainExact
		}
		if !d.prefix.empty() && b.entries[d.prefix.start].cond == nil {
			n.plain |= plainPrefix
		}
		switch t.count {
		case 0:
			n.mask = -1
		case 1:
			for _, s := range t.slots {
				n.kid = max(n.kid, s.node-1)
			}
		default:
			n.kid, n.mask = int32(len(b.slots)), int32(len(t.slots)-1)
			b.slots = append(b.slots, t.slots...)
		}
	}
	b.text = long.String()
}

func (b *builder) link(at, prefix, regex int32) {
	n := &b.drafts[at]
	n.upPrefix, n.upRegex = prefix, regex
	if !n.prefix.empty() {
		prefix = at
	}
	if !n.regex.empty() {
		regex = at
	}
	for _, s := range b.tables[at].slots {
		if s.node != 0 {
			b.link(s.node-1, prefix, regex)
		}
	}
}

func firstSegment(s string) string {
	if i := strings.IndexByte(s, '/'); i >= 0 {
		return s[:i]
	}
	return s
}

// commonSegments returns how many bytes of whole segments both texts start
// with. Their first segments are known to be equal.
func commonSegments(a, b string) int {
	n, last := min(len(a), len(b)), 0
	for i := range n {
		if a[i] != b[i] {
			return last
		}
		if a[i] == '/' {
			last = i
		}
	}
	if (len(a) == n || a[n] == '/') && (len(b) == n || b[n] == '/') {
		return n
	}
	return last
}

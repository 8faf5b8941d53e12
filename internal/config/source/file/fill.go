package file

import (
	"bytes"

	"github.com/cespare/xxhash/v2"

	"github.com/gridway/gridway/internal/config/decode"
	"github.com/gridway/gridway/internal/config/store"
)

// Of a file within these bounds the text is kept: comparing it with the next
// one takes a small part of what cutting and hashing that takes.
const (
	minText = 64 << 10
	maxText = 16 << 20
)

// fill cuts a file into documents, takes those that are known from the old
// state, and returns the others.
func (s *fileState) fill(path string, data []byte, old *fileState) []job {
	if old == nil {
		old = &fileState{}
	}
	first, after, middle := unchanged(data, old)
	s.docs = make([]document, 0, len(old.docs)+1)
	s.docs = append(s.docs, old.docs[:first]...)
	grown := len(data) - len(old.text)
	var known map[uint64]*document // the old documents by hash, made when order alone does not help
	var todo []int
	for _, c := range split(data[middle.start:middle.end], after-first+1) {
		i := len(s.docs)
		d := document{hash: xxhash.Sum64(c.text), start: middle.start + c.start, length: len(c.text), line: middle.line + c.line - 1}
		same := func(o *document) bool { return o != nil && o.hash == d.hash && o.length == d.length }
		var o *document
		if i < len(old.docs) {
			o = &old.docs[i]
		}
		if !same(o) && len(old.docs) > 0 {
			if known == nil {
				known = make(map[uint64]*document, len(old.docs))
				for j := range old.docs {
					known[old.docs[j].hash] = &old.docs[j]
				}
			}
			o = known[d.hash]
		}
		if !same(o) || !d.take(o) {
			todo = append(todo, i)
		}
		s.docs = append(s.docs, d)
	}
	if after < len(old.docs) {
		line := middle.line + bytes.Count(data[middle.start:middle.end], []byte{'\n'})
		shift := line - old.docs[after].line
		for i := after; i < len(old.docs); i++ {
			o := &old.docs[i]
			d := *o
			d.start, d.line = o.start+grown, o.line+shift
			if shift != 0 && !d.take(o) {
				todo = append(todo, len(s.docs))
			}
			s.docs = append(s.docs, d)
		}
	}
	jobs := make([]job, len(todo))
	for n, i := range todo {
		d := &s.docs[i]
		jobs[n] = job{to: d, doc: decode.Document{File: path, Line: d.line, Text: data[d.start : d.start+d.length]}}
	}
	return jobs
}

// part is a part of a file, and the line on which it begins.
type part struct{ start, end, line int }

// unchanged finds the documents at the beginning and at the end of a file that
// are those of the old state: the first ones, and those from after on. Middle
// is the rest, which has to be cut into documents.
func unchanged(data []byte, old *fileState) (first, after int, middle part) {
	middle = part{0, len(data), 1}
	if old.text == nil || len(old.docs) == 0 {
		return 0, len(old.docs), middle
	}
	head := commonPrefix(data, old.text)
	// A document ends before a marker, so that must be the same too.
	const marker = len("---\n")
	for first < len(old.docs) && old.docs[first].start+old.docs[first].length+marker <= head {
		first++
	}
	if first > 0 {
		last := &old.docs[first-1]
		middle.start = last.start + last.length
		middle.line = last.line + bytes.Count(data[last.start:middle.start], []byte{'\n'})
	}
	tail := commonSuffix(data[middle.start:], old.text[middle.start:])
	// Two markers in a row leave nothing of what was before them, not even a
	// directive.
	for after = len(old.docs); after > first+1; after-- {
		if o := &old.docs[after-2]; o.start <= len(old.text)-tail || !isMarker(old.text[o.start:], '-') || !isMarker(old.text[old.docs[after-1].start:], '-') {
			break
		}
	}
	if after < len(old.docs) {
		middle.end = old.docs[after].start + len(data) - len(old.text)
	}
	return first, after, middle
}

func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	const block = 4096
	i := 0
	for i+block <= n && bytes.Equal(a[i:i+block], b[i:i+block]) {
		i += block
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

func commonSuffix(a, b []byte) int {
	n := min(len(a), len(b))
	const block = 4096
	i := 0
	for i+block <= n && bytes.Equal(a[len(a)-i-block:len(a)-i], b[len(b)-i-block:len(b)-i]) {
		i += block
	}
	for i < n && a[len(a)-1-i] == b[len(b)-1-i] {
		i++
	}
	return i
}

// take makes the document what the old one was. One with problems that has
// moved is decoded again, since its messages name lines.
func (d *document) take(old *document) bool {
	if d.line == old.line {
		d.result, d.base, d.named = old.result, old.base, old.named
		return true
	}
	if len(old.result.Problems) > 0 || old.base != nil {
		return false
	}
	objects := make([]*store.Object, len(old.result.Objects))
	for i, o := range old.result.Objects {
		objects[i] = decode.Shift(o, d.line-old.line)
	}
	d.result = &decode.Result{Objects: objects}
	return true
}

package file

import (
	"bytes"

	"github.com/gridway/gridway/internal/config/decode"
)

// chunk is the text of one document of a file.
type chunk struct {
	text  []byte
	start int // in the text that was cut
	line  int // of that text, from 1
}

// split cuts a YAML stream into documents without parsing it: a line that
// begins with --- starts a new one and ... ends one wherever it stands, block
// scalars included (YAML 1.2 §9.1.2). Documents with nothing but blank lines
// and comments are left out; directives stay with the document they precede.
// Expected is about how many documents there are.
func split(data []byte, expected int) []chunk {
	out := make([]chunk, 0, expected)
	start, startLine := 0, 1
	directives := false
	flush := func(end int) {
		if text := data[start:end]; !isBlank(text) {
			out = append(out, chunk{text: text, start: start, line: startLine})
		}
	}
	for pos, line := 0, 1; pos < len(data); {
		switch {
		case isMarker(data[pos:], '-'):
			if !directives {
				flush(pos)
				start, startLine = pos, line
			}
			directives = false
		case isMarker(data[pos:], '.'):
			flush(pos)
			start = nextLine(data, pos)
			startLine = line + 1
			directives = false
		case data[pos] == '%' && isBlank(data[start:pos]):
			directives = true
		}
		next, lines := nextCandidate(data, pos)
		pos, line = next, line+lines
	}
	flush(len(data))
	return out
}

// nextCandidate returns the start of the next line that begins like a marker
// or a directive, and how many lines were passed.
func nextCandidate(data []byte, pos int) (next, lines int) {
	for {
		i := bytes.IndexByte(data[pos:], '\n')
		if i < 0 || pos+i+1 == len(data) {
			return len(data), lines
		}
		pos += i + 1
		lines++
		if c := data[pos]; c == '-' || c == '.' || c == '%' {
			return pos, lines
		}
	}
}

// isMarker reports whether a line begins with three of c and then ends or goes
// on after white space.
func isMarker(line []byte, c byte) bool {
	if len(line) < 3 || line[0] != c || line[1] != c || line[2] != c {
		return false
	}
	return len(line) == 3 || line[3] == ' ' || line[3] == '\t' || line[3] == '\n' || line[3] == '\r'
}

// nextLine returns the start of the line after pos.
func nextLine(data []byte, pos int) int {
	if i := bytes.IndexByte(data[pos:], '\n'); i >= 0 {
		return pos + i + 1
	}
	return len(data)
}

// isBlank reports whether a document has nothing in it: blank lines, comments
// and a bare marker only.
func isBlank(text []byte) bool {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if isMarker(text, '-') {
		text = text[3:]
	}
	for len(text) > 0 {
		line := text
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = nil
		}
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return true
}

// Documents cuts a YAML stream into its documents, which name the file in their
// places.
func Documents(name string, data []byte) []decode.Document {
	var out []decode.Document
	for _, c := range split(data, 1) {
		out = append(out, decode.Document{File: name, Line: c.line, Text: c.text})
	}
	return out
}

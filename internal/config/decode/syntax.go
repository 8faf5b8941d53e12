package decode

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"

	"github.com/gridway/gridway/internal/config/store"
)

var errUTF16 = errors.New("yaml: this is UTF-16; save the file as UTF-8")

var errNotYAML = errors.New("yaml: this is not YAML")

// trailingError is about text behind the end of a document.
type trailingError struct{ line int }

func (e *trailingError) Error() string {
	return "something follows behind the end of the object"
}

// tooDeep is about a document whose levels nobody has counted on.
func (p *plainParser) tooDeep(doc Document) store.Problem {
	return store.Problem{
		Severity: store.Error, Code: "TooLarge",
		Position: store.Position{File: doc.File, Line: doc.Line + p.line - 1, Column: p.column() + 1},
		Message:  fmt.Sprintf("nested more than %d levels deep", maxNesting),
		Remedy:   "nothing in this document is read; no object has so many levels",
	}
}

// lineOf finds the line in an error of the YAML parser.
var lineOf = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

func lineIn(err error) int {
	if m := lineOf.FindStringSubmatch(err.Error()); m != nil {
		n, _ := strconv.Atoi(m[1])
		return n
	}
	return 0
}

// syntaxProblem describes text that is not YAML. The parser in use is the
// faster of two; the other one knows the column, so it is asked when the text
// is wrong.
func syntaxProblem(doc Document, err error) store.Problem {
	p := store.Problem{
		Severity: store.Error, Code: "SyntaxError", Position: store.Position{File: doc.File, Line: doc.Line, Column: 1},
		Remedy: "nothing in this document can be read until it is valid YAML",
	}
	if trailing := (*trailingError)(nil); errors.As(err, &trailing) {
		p.Position.Line = doc.Line + trailing.line - 1
		p.Message, p.Remedy = err.Error(), "separate objects by a line with ---, or put them into the items of a List"
		return p
	}
	message := err.Error()
	if m := lineOf.FindStringSubmatch(message); m != nil {
		message = m[2]
		if line, err := strconv.Atoi(m[1]); err == nil {
			p.Position.Line = doc.Line + line - 1
		}
	}
	if errors.Is(err, errUTF16) {
		p.Message, p.Remedy = strings.TrimPrefix(message, "yaml: "), ""
		return p
	}
	if better := secondOpinion(doc.Text); better != nil {
		message = better.GetMessage()
		if t := better.GetToken(); t != nil && t.Position != nil {
			p.Position.Line = doc.Line + t.Position.Line - 1
			p.Position.Column = t.Position.Column
		}
	}
	p.Message = "not valid YAML: " + strings.TrimSpace(message)
	if at := culprit(doc.Text, message); at >= 0 {
		p.Position.Line = doc.Line + bytes.Count(doc.Text[:at], []byte("\n"))
		p.Position.Column = utf8.RuneCount(doc.Text[bytes.LastIndexByte(doc.Text[:at], '\n')+1:at]) + 1
	}
	switch {
	case !utf8.Valid(doc.Text):
		p.Remedy = "configuration is text in UTF-8; is this another kind of file?"
	case strings.Contains(string(doc.Text), "{{"):
		p.Remedy = "this looks like a template: render it first"
	case strings.Contains(message, "'\t'") || strings.Contains(message, "cannot start any token") && strings.Contains(string(doc.Text), "\t"):
		p.Remedy = "indent with spaces; YAML does not allow tabs there"
	}
	return p
}

var unknownAnchor = regexp.MustCompile(`^unknown anchor '([^']+)' referenced`)

// culprit finds what the parser complains about without saying where: bytes
// that are no text, and aliases of nothing. It is negative if it is not found.
func culprit(text []byte, message string) int {
	if !utf8.Valid(text) {
		for i := 0; ; {
			r, size := utf8.DecodeRune(text[i:])
			if r == utf8.RuneError && size <= 1 {
				return i
			}
			i += size
		}
	}
	if m := unknownAnchor.FindStringSubmatch(message); m != nil {
		at := regexp.MustCompile(`(?:^|[\s,\[{:-])(\*` + regexp.QuoteMeta(m[1]) + `)(?:$|[\s,\]}])`).FindSubmatchIndex(text)
		if at == nil {
			return -1
		}
		return at[2]
	}
	if strings.Contains(message, "control characters are not allowed") {
		return bytes.IndexFunc(text, func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f })
	}
	return -1
}

func secondOpinion(text []byte) (found yaml.Error) {
	defer func() {
		if r := recover(); r != nil {
			found = nil
		}
	}()
	// The second parser takes time with the square of the depth, and its answer
	// is a nicety.
	if len(text) > 64<<10 {
		return nil
	}
	_, err := parser.ParseBytes(text, 0)
	var y yaml.Error
	if errors.As(err, &y) {
		return y
	}
	return nil
}

// plural writes a number with its noun.
func plural(n int64, noun string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, noun)
	}
	if strings.HasSuffix(noun, "y") {
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(noun, "y"))
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

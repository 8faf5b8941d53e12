// Package decode turns what a user wrote into typed objects: it parses one
// YAML or JSON document, checks it against the schema of its kind, fills in
// defaults, and remembers where each field stands. It finds every problem of a
// document, not the first only.
//
// The package owns no goroutines and keeps no state; decoding is a pure
// function of the text. Sources import it; the data plane may not.
package decode

import (
	"bytes"
	"errors"
	"io"

	"go.yaml.in/yaml/v3"

	"github.com/gridway/gridway/internal/config/store"
)

// Bounds on one document. They keep aliases from making a small text large.
const (
	maxDepth    = 64
	maxValues   = 2_000_000
	maxProblems = 200
)

// Document is the text of one YAML document, which may be JSON.
type Document struct {
	// File is what positions name.
	File string
	// Line is the line of the file, from 1, on which Text begins.
	Line int
	Text []byte
}

// Result is what a document holds.
type Result struct {
	Objects  []*store.Object
	Problems []store.Problem
	// Broken are the objects that could be told apart but have errors.
	Broken []store.Key
	// StandIns take the place of those of them that have no good version and must
	// not be taken for absent.
	StandIns []*store.Object
	// Unidentified is true if something with errors could not be told apart:
	// which objects the document holds is then not known.
	Unidentified bool
}

// Decode reads a document. An empty one, or one with comments only, gives an
// empty result.
func Decode(doc Document) Result {
	p := plainParsers.Get().(*plainParser)
	defer p.release()
	root := p.parse(doc.Text)
	if p.deep {
		return Result{Problems: []store.Problem{p.tooDeep(doc)}, Unidentified: true}
	}
	if root == nil {
		var document yaml.Node
		if err := unmarshal(doc.Text, &document); err != nil {
			return Result{Problems: []store.Problem{syntaxProblem(doc, err)}, Unidentified: true}
		}
		if len(document.Content) == 0 {
			return Result{}
		}
		root = document.Content[0]
	}
	w := &walker{doc: doc, places: p.places}
	var r Result
	w.documentRoot(root, &r)
	p.places = w.places[:0]
	if len(w.problems) >= maxProblems {
		w.problems = append(w.problems, store.Problem{
			Severity: store.Error, Code: "TooManyProblems", Object: w.key, Position: w.position(root),
			Message: "this document has more problems, which are not listed",
		})
	}
	r.Problems = append(w.problems, r.Problems...)
	return r
}

// unmarshal parses the text. The parser is known to panic on some malformed
// input; such input is then a syntax error like any other.
func unmarshal(text []byte, root *yaml.Node) (err error) {
	// The parser would take UTF-16, but files are cut into documents as UTF-8:
	// all but the first document would be lost.
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
		return errUTF16
	}
	defer func() {
		if r := recover(); r != nil {
			err = errNotYAML
		}
	}()
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if !mayEndEarly(text) {
		return yaml.Unmarshal(text, root)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(root); err != nil {
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	var second yaml.Node
	next := d.Decode(&second)
	if errors.Is(next, io.EOF) || next == nil && isEmpty(&second) {
		return nil
	}
	line := second.Line
	if next != nil {
		line = lineIn(next) + 1 // the library counts from 0 here
	}
	return &trailingError{line: line}
}

// mayEndEarly tells whether a document may end before its text does, which the
// library would not tell: behind a closing brace, as in lines of JSON, and
// behind a line of three dots.
func mayEndEarly(text []byte) bool {
	if bytes.HasPrefix(text, []byte("...")) || bytes.Contains(text, []byte("\n...")) {
		return true
	}
	rest := bytes.TrimPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("---"))
	for {
		rest = bytes.TrimLeft(rest, " \t\r\n")
		if !bytes.HasPrefix(rest, []byte("#")) {
			return bytes.HasPrefix(rest, []byte("{")) || bytes.HasPrefix(rest, []byte("["))
		}
		_, rest, _ = bytes.Cut(rest, []byte("\n"))
	}
}

func isEmpty(document *yaml.Node) bool {
	return len(document.Content) == 0 || isNull(document.Content[0])
}

package objectsdb

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/decode"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/config/source/managed"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/manage/objects"
)

// sent is what somebody wants to have: objects with places in what was sent, and the text
// that each is kept as.
type sent struct {
	objects  []*managed.Object
	problems []store.Problem // warnings and notes
}

// parse reads objects in YAML or JSON. All that is wrong is told at once, with its line
// and column in text.
func parse(text []byte) (*sent, error) {
	if len(text) > objects.MaxChange {
		return nil, fmt.Errorf("the text has %d bytes, at most %d may be sent at once: %w", len(text), objects.MaxChange, objects.ErrTooMuch)
	}
	p := parser{seen: map[store.Key]store.Position{}}
	for _, doc := range file.Documents("", text) {
		p.document(doc)
		if len(p.objects) > objects.MaxChanged {
			return nil, fmt.Errorf("there are more than %d objects: %w", objects.MaxChanged, objects.ErrTooMuch)
		}
	}
	if len(p.errors) > 0 {
		return nil, invalid(p.errors)
	}
	if len(p.objects) == 0 {
		return nil, objects.Invalid("NoObject", "send one or more objects in YAML, with lines of --- between them, or in JSON", "there is no object in what was sent")
	}
	return &p.sent, nil
}

type parser struct {
	sent
	errors []store.Problem
	seen   map[store.Key]store.Position
}

func (p *parser) refuse(o *store.Object, field, code, message, remedy string) {
	p.errors = append(p.errors, store.Problem{
		Severity: store.Error, Code: code, Object: o.Key, Field: field, Position: o.Locate(field), Message: message, Remedy: remedy,
	})
}

func (p *parser) document(doc decode.Document) {
	if p.hidden(doc) {
		return
	}
	r := decode.Decode(doc)
	wrong := false
	for _, x := range r.Problems {
		if x.Severity == store.Error {
			p.errors, wrong = append(p.errors, x), true
		} else {
			p.problems = append(p.problems, x)
		}
	}
	if wrong || len(r.Objects) == 0 {
		return
	}
	texts, err := textsOf(doc, r.Objects)
	if err != nil {
		p.errors = append(p.errors, store.Problem{
			Severity: store.Error, Code: "InvalidObject", Object: r.Objects[0].Key, Position: r.Objects[0].Locate(""),
			Message: err.Error(), Remedy: "send it as a document of its own",
		})
		return
	}
	for i, o := range r.Objects {
		p.object(o, texts[i])
	}
}

const annotations = "metadata.annotations"

func (p *parser) object(o *store.Object, text string) {
	if at, twice := p.seen[o.Key]; twice {
		p.refuse(o, "metadata.name", "DuplicateObject", fmt.Sprintf("is given twice, first at line %d", at.Line), "take one of them out")
		return
	}
	p.seen[o.Key] = o.Locate("metadata.name")
	switch {
	case o.Key.Group == v1alpha1.GroupName && o.Key.Kind == v1alpha1.KindConsumer:
		p.refuse(o, "kind", "WrongKind", "consumers have commands of their own: a rollback must not bring a key back that was revoked",
			`"gridway consumer create -f" and "gridway consumer import" take it, or POST /v1/consumers`)
	case file.NamesFiles(o):
		p.refuse(o, annotations, "FilesNotAllowed", fmt.Sprintf("the annotation %s reads files of the gateway's machine, which only an object in a file of the gateway may", file.FilesAnnotation),
			"put the data itself into the object, or the object into a file of the gateway")
	case len(text) > objects.MaxObject:
		p.refuse(o, "", "TooLarge", fmt.Sprintf("has %d bytes; at most %d are kept of an object", len(text), objects.MaxObject), "split it, or put it into a file of the gateway")
	default:
		mine := *o
		mine.Source = managed.Name
		p.objects = append(p.objects, &managed.Object{Object: &mine, Text: text})
	}
}

// hidden refuses what was shown in the place of a secret: somebody has sent back what was
// shown to them.
func (p *parser) hidden(doc decode.Document) (found bool) {
	mark := strings.TrimSuffix(ir.Hidden, ")")
	if !bytes.Contains(doc.Text, []byte(mark)) {
		return false
	}
	var root yaml.Node
	if yaml.Unmarshal(doc.Text, &root) != nil {
		return false // then decode does not take it either
	}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode && strings.HasPrefix(n.Value, mark) && (n.Value == ir.Hidden || strings.HasSuffix(n.Value, ", changed)")) {
			found = true
			p.errors = append(p.errors, store.Problem{
				Severity: store.Error, Code: "HiddenValue", Position: store.Position{Line: doc.Line + n.Line - 1, Column: n.Column},
				Message: fmt.Sprintf("%s stands for a value that was not shown", n.Value), Remedy: "write the value itself, or leave the object out to keep it as it is",
			})
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(&root)
	return found
}

// textsOf are the texts that the objects of a document are kept as: the document's own if
// there is one, else each item of a list anew.
func textsOf(doc decode.Document, list []*store.Object) ([]string, error) {
	byKey := map[store.Key]string{}
	texts, err := candidates(doc.Text)
	if err != nil {
		return nil, err
	}
	for _, text := range texts {
		if r := decode.Decode(decode.Document{Line: 1, Text: []byte(text)}); len(r.Objects) == 1 {
			byKey[r.Objects[0].Key] = text
		}
	}
	out := make([]string, len(list))
	for i, o := range list {
		// What is kept must read as what was judged.
		reads := func(text string) bool {
			again, _ := managed.Decode(o.Key, text)
			return again != nil && !again.Broken && again.Hash == o.Hash
		}
		if out[i] = byKey[o.Key]; !reads(out[i]) {
			return nil, fmt.Errorf("it cannot be kept as it is written")
		}
		if plain := asWritten(out[i]); plain != out[i] && reads(plain) {
			out[i] = plain
		}
	}
	return out, nil
}

// candidates are the texts of the objects in a document.
func candidates(text []byte) ([]string, error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	var root struct {
		Kind  string      `yaml:"kind"`
		Items []yaml.Node `yaml:"items"`
	}
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, err
	}
	if strings.HasSuffix(root.Kind, "List") && root.Items != nil {
		var out []string
		for i := range root.Items {
			one, err := rewritten(&root.Items[i])
			if err != nil {
				return nil, err
			}
			out = append(out, one)
		}
		return out, nil
	}
	first, rest, _ := bytes.Cut(text, []byte("\n"))
	if after, ok := bytes.CutPrefix(first, []byte("---")); ok {
		if after = bytes.TrimSpace(after); len(after) == 0 || after[0] == '#' {
			text = rest
		}
	}
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '{' { // JSON is hard to read, and to compare
		var n yaml.Node
		if err := yaml.Unmarshal(trimmed, &n); err != nil {
			return nil, err
		}
		one, err := rewritten(n.Content[0])
		return []string{one}, err
	}
	return []string{strings.TrimRight(string(text), " \t\r\n") + "\n"}, nil
}

// rewritten is a value in YAML of the plain form, without aliases.
func rewritten(n *yaml.Node) (string, error) {
	var v any
	if err := n.Decode(&v); err != nil {
		return "", err
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(v); err != nil {
		return "", err
	}
	return b.String(), e.Close()
}

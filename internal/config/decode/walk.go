package decode

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gridway/gridway/internal/config/schema"
	"github.com/gridway/gridway/internal/config/store"
)

// walker goes through one document beside its schema, and collects values,
// places and problems.
type walker struct {
	doc      Document
	key      store.Key // of the object, once its name is known
	kind     string
	path     []byte
	places   []place
	problems []store.Problem
	depth    int
	values   int
	errors   int  // counts every error, listed or not
	secret   bool // values must not be shown
}

func (w *walker) report(p store.Problem) {
	if p.Severity == "" {
		p.Severity = store.Error
	}
	if p.Severity == store.Error {
		w.errors++
	}
	if len(w.problems) >= maxProblems {
		return
	}
	p.Object = w.key
	if p.Field == "" {
		p.Field = string(w.path)
	}
	w.problems = append(w.problems, p)
}

// push adds a step to the path and returns what pop needs to take it off.
func (w *walker) push(name string) int {
	mark := len(w.path)
	if strings.ContainsAny(name, "./[]") {
		w.path = append(append(append(w.path, '['), name...), ']')
		return mark
	}
	if mark > 0 {
		w.path = append(w.path, '.')
	}
	w.path = append(w.path, name...)
	return mark
}

func (w *walker) pushIndex(i int) int {
	mark := len(w.path)
	w.path = append(strconv.AppendInt(append(w.path, '['), int64(i), 10), ']')
	return mark
}

func (w *walker) pop(mark int) { w.path = w.path[:mark] }

// value reads one node. With an error in it, or nothing to keep, ok is false.
func (w *walker) value(n *yaml.Node, s *schema.Node) (v any, ok bool) {
	w.values++
	if w.depth++; w.depth > maxDepth || w.values > maxValues {
		if w.values <= maxValues+1 {
			w.report(store.Problem{Code: "TooLarge", Position: w.position(n), Message: "nested too deeply, or too large through aliases"})
			w.values = maxValues + 1
		}
		w.depth--
		return nil, false
	}
	defer func() { w.depth-- }()
	if n.Kind == yaml.AliasNode {
		return w.value(n.Alias, s)
	}
	errorsBefore := w.errors
	switch s.Type {
	case schema.Any:
		return nil, false
	case schema.Object:
		if n.Kind != yaml.MappingNode {
			return w.wrongType(n, s)
		}
		v = w.object(n, s)
	case schema.Array:
		if n.Kind != yaml.SequenceNode {
			return w.wrongType(n, s)
		}
		v = w.list(n, s)
	default:
		if n.Kind != yaml.ScalarNode {
			return w.wrongType(n, s)
		}
		if v, ok = w.scalar(n, s); !ok {
			return nil, false
		}
	}
	if w.errors != errorsBefore {
		return nil, false
	}
	w.rules(n, s, v)
	return v, w.errors == errorsBefore
}

func (w *walker) object(n *yaml.Node, s *schema.Node) map[string]any {
	content := w.merged(n)
	out := make(map[string]any, len(content)/2)
	seen := make(map[string]*yaml.Node, len(content)/2)
	for i := 0; i+1 < len(content); i += 2 {
		name, value := content[i], content[i+1]
		if name.Kind == yaml.AliasNode {
			name = name.Alias
		}
		if name.Kind != yaml.ScalarNode {
			w.report(store.Problem{Code: "WrongType", Position: w.position(name), Message: "a field name must be a plain word"})
			continue
		}
		mark := w.push(name.Value)
		if first, twice := seen[name.Value]; twice && first.Value == name.Value {
			w.report(store.Problem{
				Code: "DuplicateKey", Position: w.position(name),
				Message: fmt.Sprintf("field %q is given twice, first at %v", name.Value, w.position(first)), Remedy: "take one of them out",
			})
			w.pop(mark)
			continue
		}
		seen[name.Value] = name
		if meant := w.field(name, value, s, out); meant != "" && seen[meant] == nil {
			seen[meant] = name // a misspelt field is not missing as well
		}
		w.pop(mark)
	}
	if s.Properties != nil {
		for _, r := range s.Required {
			if _, present := out[r]; present || seen[r] != nil {
				continue
			}
			if p := s.Properties[r]; p != nil && p.Default != nil {
				continue
			}
			mark := w.push(r)
			w.report(store.Problem{Code: "MissingField", Position: w.position(n), Message: fmt.Sprintf("required field %q is missing", r)})
			w.pop(mark)
		}
		s.ApplyDefaults(out)
	}
	w.count(n, s, len(content)/2, "field", "fields")
	return out
}

// field reads one field of an object into out. A null counts as left out, as
// it does in Kubernetes. For an unknown field it returns the one that was
// probably meant.
func (w *walker) field(name, value *yaml.Node, s *schema.Node, out map[string]any) (meant string) {
	child := s.Properties[name.Value]
	if child == nil {
		child = s.Additional
	}
	if child == nil {
		return w.unknownField(name, s)
	}
	place := w.enter(name.Value, name, value)
	defer w.leave(place)
	if isNull(value) && s.Properties[name.Value] != nil {
		if slices.Contains(s.Required, name.Value) && child.Default == nil {
			w.report(store.Problem{Code: "MissingField", Position: w.position(value), Message: fmt.Sprintf("required field %q has no value", name.Value)})
		}
		return ""
	}
	if w.kind == "Secret" && (name.Value == "data" || name.Value == "stringData") {
		w.secret = true
		defer func() { w.secret = false }()
	}
	if v, ok := w.value(value, child); ok {
		out[name.Value] = v
	}
	return ""
}

func isNull(n *yaml.Node) bool {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n.Kind == yaml.ScalarNode && n.Tag == "!!null"
}

func (w *walker) list(n *yaml.Node, s *schema.Node) []any {
	out := make([]any, 0, len(n.Content))
	items := s.Items
	if items == nil {
		return out
	}
	for i, item := range n.Content {
		mark := w.pushIndex(i)
		place := w.enter("", nil, item)
		if v, ok := w.value(item, items); ok {
			out = append(out, v)
		} else {
			out = append(out, nil)
		}
		w.leave(place)
		w.pop(mark)
	}
	w.count(n, s, len(n.Content), "item", "items")
	w.unique(n, s, out)
	return out
}

// unique reports items of a set that are equal, and items of a map with equal keys.
func (w *walker) unique(n *yaml.Node, s *schema.Node, items []any) {
	if s.ListType != "set" && s.ListType != "map" || len(items) < 2 {
		return
	}
	seen := make(map[string]int, len(items))
	for i, item := range items {
		if item == nil {
			continue
		}
		id, what := fmt.Sprint(item), "the value"
		if s.ListType == "map" {
			var keys []string
			fields, _ := item.(map[string]any)
			for _, k := range s.ListKeys {
				keys = append(keys, fmt.Sprintf("%s %v", k, quoted(fields[k])))
			}
			id = strings.Join(keys, ", ")
			what = id
		} else {
			what += " " + quoted(item)
		}
		first, twice := seen[id]
		if !twice {
			seen[id] = i
			continue
		}
		mark := w.pushIndex(i)
		w.report(store.Problem{
			Code: "DuplicateEntry", Position: w.position(n.Content[i]),
			Message: fmt.Sprintf("%s is given twice, first in item %d at %v", what, first, w.position(n.Content[first])),
			Remedy:  "take one of them out",
		})
		w.pop(mark)
	}
}

func quoted(v any) string {
	if s, ok := v.(string); ok {
		return strconv.Quote(s)
	}
	return fmt.Sprint(v)
}

// count checks how many fields or items there are.
func (w *walker) count(n *yaml.Node, s *schema.Node, have int, one, many string) {
	switch {
	case s.MinLength != nil && int64(have) < *s.MinLength:
		noun := many
		if *s.MinLength == 1 {
			noun = one
		}
		w.report(store.Problem{Code: "TooFew", Position: w.position(n), Message: fmt.Sprintf("needs at least %d %s, has %d", *s.MinLength, noun, have)})
	case s.MaxLength != nil && int64(have) > *s.MaxLength:
		w.report(store.Problem{Code: "TooMany", Position: w.position(n), Message: fmt.Sprintf("has %d %s, the most is %d", have, many, *s.MaxLength)})
	}
}

// rules checks the conditions over a value that is fine by itself.
func (w *walker) rules(n *yaml.Node, s *schema.Node, v any) {
	for _, r := range s.Rules {
		// A rule that names a field which is not there does not hold, as in
		// Kubernetes.
		ok, err := r.Check(v)
		if ok && err == nil {
			continue
		}
		p := store.Problem{Code: "InvalidCombination", Position: w.position(n), Message: r.Message}
		switch {
		case p.Message == "" && err != nil:
			p.Message = fmt.Sprintf("cannot be checked: %v", err)
		case p.Message == "":
			p.Message = "breaks the rule " + r.Source
		}
		if n.Kind == yaml.ScalarNode {
			p.Code = "InvalidValue"
			p.Message = fmt.Sprintf("%s: %s", w.shown(n.Value), p.Message)
		}
		if r.FieldPath != "" {
			p.Field = string(w.path) + r.FieldPath
			if at := fieldNode(n, strings.TrimPrefix(r.FieldPath, ".")); at != nil {
				p.Position = w.position(at)
			}
		}
		w.report(p)
	}
}

// fieldNode finds the value of a field as it is written, or nil.
func fieldNode(n *yaml.Node, name string) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n == nil {
		return nil
	}
	for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

// merged returns the fields of a mapping with merge keys (<<) resolved: what
// the mapping says itself wins over what it merges in.
func (w *walker) merged(n *yaml.Node) []*yaml.Node {
	has := func(k *yaml.Node) bool { return k.Tag == "!!merge" }
	plain := true
	for i := 0; i < len(n.Content); i += 2 {
		plain = plain && !has(n.Content[i])
	}
	if plain {
		return n.Content
	}
	var own, from []*yaml.Node
	names := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if has(n.Content[i]) {
			from = append(from, n.Content[i+1])
			continue
		}
		own = append(own, n.Content[i], n.Content[i+1])
		names[n.Content[i].Value] = true
	}
	for depth := 0; len(from) > 0 && depth < maxDepth; depth++ {
		source := from[0]
		from = from[1:]
		if source.Kind == yaml.AliasNode {
			source = source.Alias
		}
		switch source.Kind {
		case yaml.SequenceNode:
			from = append(slices.Clone(source.Content), from...)
		case yaml.MappingNode:
			for i := 0; i+1 < len(source.Content); i += 2 {
				if has(source.Content[i]) {
					from = append(from, source.Content[i+1])
				} else if name := source.Content[i].Value; !names[name] {
					names[name] = true
					own = append(own, source.Content[i], source.Content[i+1])
				}
			}
		default:
			w.report(store.Problem{Code: "WrongType", Position: w.position(source), Message: "<< needs an object or a list of objects"})
		}
	}
	return own
}

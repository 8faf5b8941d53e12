package decode

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gridway/gridway/internal/config/store"
)

// regexes reports the regular expressions of an object that are none. Compile
// judges those of objects that are valid otherwise; an object that is broken
// never gets there, and its other errors should not hide these. Aliases are not
// followed: what they stand for is looked at where it is written.
func (w *walker) regexes(n *yaml.Node) {
	switch n.Kind {
	case yaml.SequenceNode:
		for i, item := range n.Content {
			mark := w.pushIndex(i)
			w.regexes(item)
			w.pop(mark)
		}
	case yaml.MappingNode:
		if t := fieldNode(n, "type"); t != nil && t.Value == "RegularExpression" {
			w.regex(fieldNode(n, "value"))
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			mark := w.push(n.Content[i].Value)
			w.regexes(n.Content[i+1])
			w.pop(mark)
		}
	}
}

func (w *walker) regex(value *yaml.Node) {
	if value == nil || value.Kind != yaml.ScalarNode {
		return
	}
	if _, err := regexp.Compile(value.Value); err != nil {
		mark := w.push("value")
		w.report(store.Problem{
			Code: "InvalidRegularExpression", Position: w.position(value),
			Message: strings.TrimPrefix(err.Error(), "error parsing regexp: "), Remedy: "the syntax is RE2's",
		})
		w.pop(mark)
	}
}

package schema

import (
	"encoding/json"
	"fmt"
)

// Encode writes a bundle in the form that Parse reads. Equal bundles give equal bytes.
func Encode(b *Bundle) ([]byte, error) {
	e := encoder{patterns: map[string]int{}, rules: map[encodedRule]int{}, nodes: map[string]int{}}
	for _, k := range b.Kinds {
		root, err := e.node(k.Root)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", k.APIVersion(), k.Kind, err)
		}
		e.out.Kinds = append(e.out.Kinds, encodedKind{
			Group: k.Group, Version: k.Version, Kind: k.Kind, Plural: k.Plural,
			Namespaced: k.Namespaced, Deprecated: k.Deprecated, Root: root,
		})
	}
	return json.Marshal(&e.out)
}

type encoder struct {
	out      encodedBundle
	patterns map[string]int
	rules    map[encodedRule]int
	nodes    map[string]int // by their own encoding
}

func (e *encoder) node(n *Node) (int, error) {
	out := encodedNode{
		Type: n.Type, Required: n.Required, ListType: n.ListType, ListKeys: n.ListKeys,
		Enum: n.Enum, Format: n.Format, Minimum: n.Minimum, Maximum: n.Maximum,
		MinLength: n.MinLength, MaxLength: n.MaxLength,
	}
	child := func(c *Node) (*int, error) {
		if c == nil {
			return nil, nil
		}
		i, err := e.node(c)
		return &i, err
	}
	var err error
	if n.Properties != nil {
		out.Properties = make(map[string]int, len(n.Properties))
		for _, name := range sortedKeys(n.Properties) {
			if out.Properties[name], err = e.node(n.Properties[name]); err != nil {
				return 0, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if out.Additional, err = child(n.Additional); err != nil {
		return 0, err
	}
	if out.Items, err = child(n.Items); err != nil {
		return 0, err
	}
	if n.Pattern != nil {
		i := intern(e.patterns, &e.out.Patterns, n.Pattern.Source)
		out.Pattern = &i
	}
	for _, r := range n.Rules {
		out.Rules = append(out.Rules, intern(e.rules, &e.out.Rules, encodedRule{r.Source, r.Message, r.FieldPath}))
	}
	if n.Default != nil {
		if out.Default, err = json.Marshal(n.Default); err != nil {
			return 0, err
		}
	}
	key, err := json.Marshal(&out)
	if err != nil {
		return 0, err
	}
	if i, ok := e.nodes[string(key)]; ok {
		return i, nil
	}
	i := len(e.out.Nodes)
	e.nodes[string(key)] = i
	e.out.Nodes = append(e.out.Nodes, out)
	return i, nil
}

func intern[T comparable](seen map[T]int, list *[]T, v T) int {
	i, ok := seen[v]
	if !ok {
		i = len(*list)
		seen[v] = i
		*list = append(*list, v)
	}
	return i
}

package schema

import (
	"bytes"
	"compress/gzip"
	_ "embed" // for the bundle
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

//go:embed bundle.json.gz
var embedded []byte

// Bundle is a set of kinds.
type Bundle struct {
	Kinds []*Kind
}

// Embedded returns the kinds that Gridway takes. It panics if the embedded
// bundle is damaged, which a test excludes.
var Embedded = sync.OnceValue(func() *Bundle {
	zr, err := gzip.NewReader(bytes.NewReader(embedded))
	if err != nil {
		panic(fmt.Sprintf("schema bundle: %v", err))
	}
	data, err := io.ReadAll(zr)
	if err != nil {
		panic(fmt.Sprintf("schema bundle: %v", err))
	}
	b, err := Parse(data)
	if err != nil {
		panic(fmt.Sprintf("schema bundle: %v", err))
	}
	return b
})

// The encoded form: nodes refer to each other by number, and equal nodes are
// one, which makes the bundle small and quick to load.
type encodedBundle struct {
	Kinds    []encodedKind `json:"kinds"`
	Patterns []string      `json:"patterns"`
	Rules    []encodedRule `json:"rules"`
	Nodes    []encodedNode `json:"nodes"`
}

type encodedKind struct {
	Group      string `json:"group"`
	Version    string `json:"version"`
	Kind       string `json:"kind"`
	Plural     string `json:"plural"`
	Namespaced bool   `json:"namespaced,omitempty"`
	Deprecated bool   `json:"deprecated,omitempty"`
	Root       int    `json:"root"`
}

type encodedRule struct {
	Rule      string `json:"rule"`
	Message   string `json:"message,omitempty"`
	FieldPath string `json:"fieldPath,omitempty"`
}

type encodedNode struct {
	Type       Type            `json:"t"`
	Properties map[string]int  `json:"p,omitempty"`
	Additional *int            `json:"a,omitempty"`
	Required   []string        `json:"r,omitempty"`
	Items      *int            `json:"i,omitempty"`
	ListType   string          `json:"l,omitempty"`
	ListKeys   []string        `json:"lk,omitempty"`
	Enum       []string        `json:"e,omitempty"`
	Format     string          `json:"f,omitempty"`
	Pattern    *int            `json:"re,omitempty"`
	Minimum    *int64          `json:"min,omitempty"`
	Maximum    *int64          `json:"max,omitempty"`
	MinLength  *int64          `json:"minl,omitempty"`
	MaxLength  *int64          `json:"maxl,omitempty"`
	Default    json.RawMessage `json:"d,omitempty"`
	Rules      []int           `json:"x,omitempty"`
}

// Parse reads the encoded form. Children come before parents in it.
func Parse(data []byte) (*Bundle, error) {
	var e encodedBundle
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, err
	}
	patterns := make([]*Pattern, len(e.Patterns))
	for i, s := range e.Patterns {
		patterns[i] = &Pattern{Source: s}
	}
	rules := make([]*Rule, len(e.Rules))
	for i, r := range e.Rules {
		rules[i] = &Rule{Source: r.Rule, Message: r.Message, FieldPath: r.FieldPath}
	}
	nodes := make([]*Node, len(e.Nodes))
	at := func(i, limit int) (*Node, error) {
		if i < 0 || i >= limit {
			return nil, fmt.Errorf("node %d refers to node %d", limit, i)
		}
		return nodes[i], nil
	}
	for i := range e.Nodes {
		in := &e.Nodes[i]
		n := &Node{
			Type: in.Type, Required: in.Required, ListType: in.ListType, ListKeys: in.ListKeys,
			Enum: in.Enum, Format: in.Format, Minimum: in.Minimum, Maximum: in.Maximum,
			MinLength: in.MinLength, MaxLength: in.MaxLength,
		}
		var err error
		if in.Properties != nil {
			n.Properties = make(map[string]*Node, len(in.Properties))
			for name, c := range in.Properties {
				if n.Properties[name], err = at(c, i); err != nil {
					return nil, err
				}
			}
			for _, name := range sortedKeys(n.Properties) {
				if n.Properties[name].Default != nil {
					n.defaulted = append(n.defaulted, name)
				}
			}
		}
		if in.Additional != nil {
			if n.Additional, err = at(*in.Additional, i); err != nil {
				return nil, err
			}
		}
		if in.Items != nil {
			if n.Items, err = at(*in.Items, i); err != nil {
				return nil, err
			}
		}
		if in.Pattern != nil {
			n.Pattern = patterns[*in.Pattern]
		}
		for _, r := range in.Rules {
			n.Rules = append(n.Rules, rules[r])
		}
		if in.Default != nil {
			if n.Default, err = decodeDefault(in.Default); err != nil {
				return nil, err
			}
		}
		nodes[i] = n
	}
	b := &Bundle{}
	for _, k := range e.Kinds {
		root, err := at(k.Root, len(nodes))
		if err != nil {
			return nil, err
		}
		b.Kinds = append(b.Kinds, &Kind{
			Group: k.Group, Version: k.Version, Kind: k.Kind, Plural: k.Plural,
			Namespaced: k.Namespaced, Deprecated: k.Deprecated, Root: root,
		})
	}
	return b, nil
}

func decodeDefault(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return wholeNumbers(v)
}

func wholeNumbers(v any) (any, error) {
	switch v := v.(type) {
	case json.Number:
		return v.Int64()
	case map[string]any:
		for k, e := range v {
			w, err := wholeNumbers(e)
			if err != nil {
				return nil, err
			}
			v[k] = w
		}
	case []any:
		for i, e := range v {
			w, err := wholeNumbers(e)
			if err != nil {
				return nil, err
			}
			v[i] = w
		}
	}
	return v, nil
}

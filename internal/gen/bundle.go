package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/gridway/gridway/internal/config/schema"
)

// bundle makes the compressed schemas that the decoder embeds.
func bundle(kinds []*kind) ([]byte, error) {
	var b schema.Bundle
	for _, k := range kinds {
		root, err := toNode(k.schema)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", k.apiVersion(), k.name, err)
		}
		b.Kinds = append(b.Kinds, &schema.Kind{
			Group: k.group, Version: k.version, Kind: k.name, Plural: k.plural,
			Namespaced: k.namespaced, Deprecated: k.deprecated, Root: root,
		})
	}
	data, err := schema.Encode(&b)
	if err != nil {
		return nil, err
	}
	return compressed(data)
}

// packed is a text of JSON without white space, compressed.
func packed(text []byte) ([]byte, error) {
	var out bytes.Buffer
	if err := json.Compact(&out, text); err != nil {
		return nil, err
	}
	return compressed(out.Bytes())
}

func compressed(data []byte) ([]byte, error) {
	var out bytes.Buffer
	zw, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := zw.Write(data); err != nil {
		return nil, err
	}
	if err := zw.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// isKnown lists the words of OpenAPI that are understood here; any other is an
// error, so that none is dropped unseen.
func isKnown(word string) bool {
	switch word {
	case "additionalProperties", "default", "description", "enum", "format", "items",
		"maximum", "maxItems", "maxLength", "maxProperties", "minimum", "minItems", "minLength", "minProperties",
		"pattern", "properties", "required", "type",
		"x-kubernetes-int-or-string", "x-kubernetes-list-map-keys", "x-kubernetes-list-type", "x-kubernetes-map-type",
		"x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations":
		return true
	}
	return false
}

func toNode(s object) (*schema.Node, error) {
	for word := range s {
		if !isKnown(word) {
			return nil, fmt.Errorf("unknown word %q in a schema", word)
		}
	}
	n := &schema.Node{Default: s["default"]}
	typ, _ := s["type"].(string)
	n.Type = schema.Type(typ)
	switch {
	case s["x-kubernetes-int-or-string"] == true:
		n.Type = schema.IntOrString
	case s["x-kubernetes-preserve-unknown-fields"] == true:
		n.Type = schema.Any
	}
	n.Format, _ = s["format"].(string)
	n.ListType, _ = s["x-kubernetes-list-type"].(string)
	n.ListKeys = stringsOf(s["x-kubernetes-list-map-keys"])
	n.Required = stringsOf(s["required"])
	n.Enum = stringsOf(s["enum"])
	if p, ok := s["pattern"].(string); ok {
		n.Pattern = &schema.Pattern{Source: p}
	}
	n.Minimum, n.Maximum = number(s, "minimum"), number(s, "maximum")
	n.MinLength = number(s, "minLength", "minItems", "minProperties")
	n.MaxLength = number(s, "maxLength", "maxItems", "maxProperties")
	rules, _ := s["x-kubernetes-validations"].([]any)
	for _, r := range rules {
		r := r.(object)
		rule := &schema.Rule{Source: r["rule"].(string)}
		rule.Message, _ = r["message"].(string)
		rule.FieldPath, _ = r["fieldPath"].(string)
		n.Rules = append(n.Rules, rule)
	}
	return n, children(n, s)
}

func children(n *schema.Node, s object) error {
	var err error
	if properties, ok := s["properties"].(object); ok {
		n.Properties = make(map[string]*schema.Node, len(properties))
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			if n.Properties[name], err = toNode(properties[name].(object)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if a, ok := s["additionalProperties"].(object); ok {
		if n.Additional, err = toNode(a); err != nil {
			return err
		}
	}
	if i, ok := s["items"].(object); ok {
		if n.Items, err = toNode(i); err != nil {
			return err
		}
	}
	return nil
}

func stringsOf(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, e := range list {
		text, ok := e.(string)
		if !ok {
			number, _ := json.Marshal(e)
			text = string(number)
		}
		out = append(out, text)
	}
	return out
}

func number(s object, words ...string) *int64 {
	for _, w := range words {
		if f, ok := s[w].(float64); ok {
			i := int64(f)
			return &i
		}
	}
	return nil
}

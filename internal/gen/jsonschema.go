package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// jsonSchema makes one JSON Schema (draft 2020-12) for editors: any document
// that Gridway reads, chosen by apiVersion and kind. Schemas that occur in
// several kinds are written once.
func jsonSchema(kinds []*kind) ([]byte, error) {
	c := &converter{defs: object{}, seen: map[string]string{}}
	var branches []any
	var apiVersions, names []any
	seenVersion, seenName := map[string]bool{}, map[string]bool{}
	for _, k := range kinds {
		apiVersion := k.apiVersion()
		s := c.convert(k.schema)
		properties := s["properties"].(object)
		properties["apiVersion"] = object{"const": apiVersion}
		properties["kind"] = object{"const": k.name}
		required, _ := s["required"].([]any)
		s["required"] = append([]any{"apiVersion", "kind"}, required...)
		name := strings.ToLower(k.name) + "." + k.version
		c.defs[name] = s
		branches = append(branches, object{
			"if": object{
				"properties": object{"apiVersion": object{"const": apiVersion}, "kind": object{"const": k.name}},
				"required":   []any{"apiVersion", "kind"},
			},
			"then": object{"$ref": "#/$defs/" + name},
		})
		if !seenVersion[apiVersion] {
			seenVersion[apiVersion] = true
			apiVersions = append(apiVersions, apiVersion)
		}
		if !seenName[k.name] {
			seenName[k.name] = true
			names = append(names, k.name)
		}
	}
	root := object{
		"$schema":     "https://json-schema.org/draft/2020-12/schema",
		"$id":         "https://gridway.dev/schema/gridway.json",
		"title":       "Gridway configuration",
		"description": "One object that Gridway reads: a kind of the Gateway API, of Gridway, or of the core kinds they name.",
		"type":        "object",
		"required":    []any{"apiVersion", "kind"},
		"properties": object{
			"apiVersion": object{"type": "string", "enum": apiVersions},
			"kind":       object{"type": "string", "enum": names},
		},
		"allOf": branches,
		"$defs": c.defs,
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(root); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// converter turns OpenAPI schemas into JSON Schema.
type converter struct {
	defs object
	seen map[string]string // shared schemas by their encoding
}

// shared returns a reference to a schema if it is large enough to be worth one.
func (c *converter) shared(s object) object {
	text, err := json.Marshal(s)
	if err != nil || len(text) < 400 {
		return s
	}
	name, ok := c.seen[string(text)]
	if !ok {
		name = fmt.Sprintf("s%d", len(c.seen)+1)
		c.seen[string(text)] = name
		c.defs[name] = s
	}
	return object{"$ref": "#/$defs/" + name}
}

func (c *converter) convert(s object) object {
	out := object{}
	for _, word := range slices.Sorted(maps.Keys(s)) {
		v := s[word]
		switch word {
		case "properties":
			properties := object{}
			for _, name := range slices.Sorted(maps.Keys(v.(object))) {
				properties[name] = c.shared(c.convert(v.(object)[name].(object)))
			}
			out[word] = properties
			if s["additionalProperties"] == nil && s["x-kubernetes-preserve-unknown-fields"] != true {
				out["additionalProperties"] = false
			}
		case "items", "additionalProperties":
			out[word] = c.shared(c.convert(v.(object)))
		case "x-kubernetes-list-type":
			if v == "set" {
				out["uniqueItems"] = true
			}
		case "x-kubernetes-int-or-string":
			out["type"] = []any{"integer", "string"}
		case "format":
			if v == "date-time" || v == "ipv4" || v == "ipv6" {
				out[word] = v
			}
		default:
			if !strings.HasPrefix(word, "x-kubernetes-") {
				out[word] = v
			}
		}
	}
	return out
}

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// reference writes the page of one of Gridway's own kinds: every field with
// its type, default and range.
func reference(k *kind) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", k.name)
	fmt.Fprintf(&b, "<!-- Made by internal/gen from api/%s; do not edit. -->\n\n", k.version)
	fmt.Fprintf(&b, "`apiVersion: %s`, `kind: %s`", k.apiVersion(), k.name)
	if k.namespaced {
		b.WriteString(", lives in a namespace")
	}
	fmt.Fprintf(&b, ".\n\n%s\n\n", k.description)
	b.WriteString("Durations are written in whole numbers with units, as in `500ms`, `10s` or `1m30s` (GEP-2257). " +
		"A field in **bold** must be given. Examples are under `examples/`.\n")
	spec := k.schema["properties"].(object)["spec"].(object)
	table(&b, "spec", spec, required(k.schema, "spec"))
	return []byte(b.String())
}

func required(s object, name string) bool { return slices.Contains(stringsOf(s["required"]), name) }

// table writes the fields of an object, and then those of the objects in it.
func table(b *strings.Builder, path string, s object, _ bool) {
	properties, _ := s["properties"].(object)
	if len(properties) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n", path)
	if d, _ := s["description"].(string); d != "" {
		fmt.Fprintf(b, "%s\n\n", d)
	}
	b.WriteString("| field | type | default | allowed | what it does |\n|---|---|---|---|---|\n")
	names := slices.Sorted(maps.Keys(properties))
	for _, name := range names {
		p := properties[name].(object)
		text, def := describe(p)
		shown := "`" + name + "`"
		if required(s, name) {
			shown = "**" + shown + "**"
		}
		if len(deeper(p)) > 0 {
			shown = fmt.Sprintf("[%s](#%s)", shown, anchor(path+"."+name+suffix(p)))
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", shown, typeOf(p), cell(def), cell(allowed(p)), cell(text))
	}
	if rules := ruleMessages(s); len(rules) > 0 {
		b.WriteString("\nRules: " + strings.Join(rules, "; ") + ".\n")
	}
	for _, name := range names {
		p := properties[name].(object)
		if d := deeper(p); len(d) > 0 {
			table(b, path+"."+name+suffix(p), d, false)
		}
	}
}

// deeper is the object in a field, or in the items of a list, if it has fields.
func deeper(p object) object {
	if items, ok := p["items"].(object); ok {
		p = items
	}
	if properties, ok := p["properties"].(object); ok && len(properties) > 0 {
		return p
	}
	return nil
}

func suffix(p object) string {
	if p["type"] == "array" {
		return "[]"
	}
	return ""
}

func anchor(heading string) string {
	return strings.ToLower(strings.NewReplacer(".", "", "[", "", "]", "").Replace(heading))
}

func typeOf(p object) string {
	switch {
	case p["x-kubernetes-int-or-string"] == true:
		return "integer or string"
	case p["type"] == "array":
		items, _ := p["items"].(object)
		return "list of " + plural(typeOf(items))
	case p["type"] == "object" && p["additionalProperties"] != nil:
		return "map of " + plural(typeOf(p["additionalProperties"].(object)))
	case p["pattern"] == `^([0-9]{1,5}(h|m|s|ms)){1,4}$`:
		return "duration"
	case p["enum"] != nil && p["type"] == "string":
		return "name"
	}
	return fmt.Sprint(p["type"])
}

func plural(noun string) string {
	if noun == "integer or string" {
		return "integers or strings"
	}
	return noun + "s"
}

// defaultSentence is how the Go comments name defaults that are not in the
// schema, because a policy that leaves a field out inherits it.
var defaultSentence = regexp.MustCompile(`(?s)\s*Default(?: when [a-z ]+)?: (.*?)\.\s*$`)

// describe splits a description into text and default.
func describe(p object) (text, def string) {
	text, _ = p["description"].(string)
	if text == "" {
		if items, ok := p["items"].(object); ok {
			text, _ = items["description"].(string)
		}
	}
	if m := defaultSentence.FindStringSubmatchIndex(text); m != nil {
		def = text[m[2]:m[3]]
		text = text[:m[0]]
	}
	if d, ok := p["default"]; ok {
		encoded, _ := json.Marshal(d)
		def = "`" + strings.Trim(string(encoded), `"`) + "`"
	}
	return text, def
}

// allowed says in words what the schema demands of a value.
func allowed(p object) string {
	var parts []string
	if enum := stringsOf(p["enum"]); len(enum) > 0 {
		parts = append(parts, "`"+strings.Join(enum, "`, `")+"`")
	}
	parts = append(parts, span(p, "minimum", "maximum", ""), span(p, "minLength", "maxLength", " characters"), span(p, "minItems", "maxItems", " items"))
	if items, ok := p["items"].(object); ok && deeper(p) == nil {
		if a := allowed(items); a != "" {
			parts = append(parts, "each "+a)
		}
	}
	if deeper(p) == nil {
		parts = append(parts, ruleMessages(p)...)
	}
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	return strings.Join(parts, "; ")
}

func span(p object, low, high, unit string) string {
	l, h := number(p, low), number(p, high)
	switch {
	case l != nil && h != nil:
		return fmt.Sprintf("%d to %d%s", *l, *h, unit)
	case l != nil:
		return fmt.Sprintf("at least %d%s", *l, unit)
	case h != nil:
		return fmt.Sprintf("at most %d%s", *h, unit)
	}
	return ""
}

func ruleMessages(p object) []string {
	var out []string
	rules, _ := p["x-kubernetes-validations"].([]any)
	for _, r := range rules {
		if m, _ := r.(object)["message"].(string); m != "" && !slices.Contains(out, m) {
			out = append(out, m)
		}
	}
	return out
}

// cell makes text fit a cell of a table.
func cell(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return strings.ReplaceAll(s, "|", "\\|")
}

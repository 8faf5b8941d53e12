package decode

import (
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/gridway/gridway/internal/config/schema"
	"github.com/gridway/gridway/internal/config/spelling"
	"github.com/gridway/gridway/internal/config/store"
)

func typeName(t schema.Type) string {
	switch t {
	case schema.String:
		return "a string"
	case schema.Integer:
		return "a whole number"
	case schema.Number:
		return "a number"
	case schema.Boolean:
		return "true or false"
	case schema.IntOrString:
		return "a whole number or a string"
	case schema.Array:
		return "a list"
	}
	return "an object"
}

// wrongType reports a node of another type than the schema has.
func (w *walker) wrongType(n *yaml.Node, s *schema.Node) (any, bool) {
	p := store.Problem{Code: "WrongType", Position: w.position(n)}
	p.Message = fmt.Sprintf("expected %s, found %s", typeName(s.Type), w.kindOf(n))
	p.Remedy = w.typeRemedy(n, s)
	w.report(p)
	return nil, false
}

// kindOf says what a node is, with its value unless that is secret.
func (w *walker) kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "an object"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	}
	what, value := "the string", shown(n.Value)
	switch n.Tag {
	case "!!int", "!!float":
		what, value = "the number", n.Value
	case "!!bool":
		what, value = "the truth value", n.Value
	}
	if w.secret {
		return "a" + strings.TrimPrefix(what, "the")
	}
	return what + " " + value
}

// typeRemedy says how to write a value of the type that is wanted.
func (w *walker) typeRemedy(n *yaml.Node, s *schema.Node) string {
	scalar := n.Kind == yaml.ScalarNode && n.Tag != "!!null"
	flow := n.Style&yaml.FlowStyle != 0
	switch {
	case w.secret && scalar && s.Type == schema.String:
		return "write it in quotes"
	case w.secret:
		return ""
	case scalar && s.Type == schema.String && s.Pattern != nil && !s.Pattern.Match(n.Value):
		_, remedy := expectation("", s.Pattern.Source)
		return remedy
	case scalar && s.Type == schema.String:
		return fmt.Sprintf("write it in quotes: %q", n.Value)
	case scalar && s.Type == schema.Array && s.Items != nil && s.Items.Type == schema.Object:
		return "write a list of objects" + asObject(n, s.Items, ": [%s]", ", which have the fields ")
	case scalar && s.Type == schema.Array:
		return fmt.Sprintf("write it as a list: [%s]", n.Value)
	case s.Type == schema.Array && n.Kind == yaml.MappingNode && flow:
		return "put it in brackets: [{...}]"
	case s.Type == schema.Array && n.Kind == yaml.MappingNode:
		return `begin each item with "- "`
	case s.Type == schema.Object && n.Kind == yaml.SequenceNode && !flow:
		return `leave out the "- "`
	case scalar && s.Type == schema.Object && len(s.Required) == 1:
		return asObject(n, s, "write %s", "the fields here are ")
	case s.Type == schema.Object && n.Kind != yaml.MappingNode:
		return knownFields(s)
	case s.Type == schema.IntOrString && n.Tag == "!!float" && strings.HasSuffix(string(w.path), "ercent"):
		return fmt.Sprintf("write %s%%", n.Value)
	case s.Type == schema.Integer && n.Tag == "!!str" && isDigits(n.Value):
		return "leave out the quotes"
	case s.Type == schema.Boolean && n.Tag == "!!str":
		switch strings.ToLower(n.Value) {
		case "yes", "on", "y", "true":
			return "write true"
		case "no", "off", "n", "false":
			return "write false"
		}
	}
	return ""
}

// asObject writes a value as the object that has it in its only field that must be
// there; where it cannot stand there, it names the fields.
func asObject(n *yaml.Node, s *schema.Node, written, fields string) string {
	if len(s.Required) != 1 {
		return named(fields, s)
	}
	value := fmt.Sprintf("%q", n.Value)
	if of := s.Properties[s.Required[0]]; of != nil && len(of.Enum) > 0 {
		if value = spelling.Nearest(n.Value, of.Enum); value == "" {
			return named(fields, s)
		}
	}
	return fmt.Sprintf(written, fmt.Sprintf("{%s: %s}", s.Required[0], value))
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(strings.TrimPrefix(s, "-"), "0123456789") == ""
}

func (w *walker) scalar(n *yaml.Node, s *schema.Node) (any, bool) {
	switch s.Type {
	case schema.Boolean:
		if n.Tag != "!!bool" {
			return w.wrongType(n, s)
		}
		return strings.EqualFold(n.Value, "true"), true
	case schema.Integer:
		return w.integer(n, s)
	case schema.Number:
		f, err := strconv.ParseFloat(n.Value, 64)
		if n.Tag != "!!int" && n.Tag != "!!float" || err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return w.wrongType(n, s)
		}
		return f, true
	case schema.IntOrString:
		if n.Tag == "!!int" {
			return w.integer(n, s)
		}
		if !isText(n) {
			return w.wrongType(n, s)
		}
		return w.text(n, s)
	}
	if !isText(n) {
		if n.Tag != "!!null" && len(s.Enum) > 0 && !slices.Contains(s.Enum, n.Value) {
			return nil, w.oneOf(n, s)
		}
		return w.wrongType(n, s)
	}
	return w.text(n, s)
}

// isText tells strings from other scalars. What YAML calls a timestamp is text
// in the model of Kubernetes, and so is base64 marked as !!binary.
func isText(n *yaml.Node) bool {
	return n.Tag == "!!str" || n.Tag == "!!timestamp" || n.Tag == "!!binary"
}

func (w *walker) integer(n *yaml.Node, s *schema.Node) (any, bool) {
	var i int64
	if n.Tag != "!!int" && !isDigits(n.Value) || n.Tag == "!!str" {
		return w.wrongType(n, s)
	}
	if err := n.Decode(&i); err != nil {
		w.report(store.Problem{Code: "OutOfRange", Position: w.position(n), Message: n.Value + " is too large"})
		return nil, false
	}
	low, high := int64(math.MinInt64), int64(math.MaxInt64)
	if s.Format == "int32" || s.Type == schema.IntOrString {
		low, high = math.MinInt32, math.MaxInt32
	}
	if s.Minimum != nil {
		low = max(low, *s.Minimum)
	}
	if s.Maximum != nil {
		high = min(high, *s.Maximum)
	}
	if i < low || i > high {
		p := store.Problem{Code: "OutOfRange", Position: w.position(n)}
		switch {
		case s.Minimum != nil && s.Maximum != nil:
			p.Message = fmt.Sprintf("%d is not between %d and %d", i, low, high)
		case i < low:
			p.Message = fmt.Sprintf("%d is below the minimum of %d", i, low)
		default:
			p.Message = fmt.Sprintf("%d is above the maximum of %d", i, high)
		}
		w.report(p)
		return nil, false
	}
	return i, w.oneOf(n, s)
}

func (w *walker) text(n *yaml.Node, s *schema.Node) (any, bool) {
	v := n.Value
	if !w.oneOf(n, s) {
		return nil, false
	}
	length := int64(utf8.RuneCountInString(v))
	p := store.Problem{Position: w.position(n)}
	switch {
	case s.MinLength != nil && length < *s.MinLength:
		p.Code, p.Message = "TooShort", fmt.Sprintf("needs at least %s, has %d", plural(*s.MinLength, "character"), length)
		if length == 0 {
			p.Message = "must not be empty"
		}
	case s.MaxLength != nil && length > *s.MaxLength:
		p.Code, p.Message = "TooLong", fmt.Sprintf("has %d characters, at most %d are allowed", length, *s.MaxLength)
	case s.Pattern != nil && !s.Pattern.Match(v):
		p.Code = "InvalidValue"
		p.Message, p.Remedy = expectation(w.shown(v), s.Pattern.Source)
	case s.Format == "date-time" && !isTime(v):
		p.Code, p.Message = "InvalidValue", w.shown(v)+" is not a time such as 2026-01-02T15:04:05Z"
	case s.Format == "byte" && !isBase64(v):
		p.Code, p.Message = "InvalidValue", "is not base64"
		p.Remedy = "encode it, or write it as it is under stringData"
		if w.kind == "ConfigMap" {
			p.Remedy = "encode it, or write it as it is under data"
		}
	default:
		return v, true
	}
	w.report(p)
	return nil, false
}

func isTime(s string) bool { _, err := time.Parse(time.RFC3339, s); return err == nil }

func isBase64(s string) bool { _, err := base64.StdEncoding.DecodeString(s); return err == nil }

func (w *walker) oneOf(n *yaml.Node, s *schema.Node) bool {
	if len(s.Enum) == 0 {
		return true
	}
	for _, e := range s.Enum {
		if e == n.Value {
			return true
		}
	}
	p := store.Problem{Code: "InvalidValue", Position: w.position(n)}
	found := w.shown(n.Value)
	if s.Type == schema.Integer {
		found = n.Value
	}
	p.Message = fmt.Sprintf("%s is not one of %s", found, strings.Join(s.Enum, ", "))
	if len(s.Enum) == 1 {
		p.Message = fmt.Sprintf("%s is not %s, the only value here", found, s.Enum[0])
	}
	if near := spelling.Nearest(n.Value, s.Enum); near != "" && s.Type == schema.String {
		p.Remedy = fmt.Sprintf("did you mean %q?", near)
	}
	w.report(p)
	return false
}

// shown quotes a value for a message, unless it is secret.
func (w *walker) shown(s string) string {
	if w.secret {
		return "a value"
	}
	return shown(s)
}

// shown quotes a value and cuts what is too long for a message.
func shown(s string) string {
	const most = 64
	if len(s) > most {
		cut := most
		for !utf8.RuneStart(s[cut]) {
			cut--
		}
		return strconv.Quote(s[:cut]) + "…"
	}
	return strconv.Quote(s)
}

package delta

import (
	"crypto/sha256"
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// SettingChange is a listener, or a section of one, that differs in what holds
// for whatever it serves.
type SettingChange struct {
	Of      string   `json:"of"`
	Aspects []Aspect `json:"aspects"`
}

// Listeners compares sockets, their limits, and the TLS of their sections.
func Listeners(before, after *ir.Config) []SettingChange {
	a, b := listenerSettings(before), listenerSettings(after)
	changes := []SettingChange{}
	for _, name := range union(a, b) {
		if list := difference(a[name], b[name]); len(list) > 0 {
			changes = append(changes, SettingChange{Of: name, Aspects: list})
		}
	}
	return changes
}

func union(a, b map[string][]setting) []string {
	var names []string
	for _, m := range []map[string][]setting{a, b} {
		for name := range m {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func listenerSettings(c *ir.Config) map[string][]setting {
	out := map[string][]setting{}
	for _, l := range c.Listeners {
		name := "listener " + l.Name
		out[name] = append([]setting{{"protocol", string(l.Protocol)}}, settings("client", l.Client)...)
		for _, s := range l.Sections {
			list := []setting{{"hostname", s.Hostname}, {"served", "yes"}}
			if s.TLS != nil {
				list = append(list, settings("tls", *s.TLS)...)
			}
			out[name+" "+s.Name] = list
		}
	}
	return out
}

// setting is one value of a configuration in words, by its path.
type setting struct{ name, text string }

// settings lists what is set in v, field by field. Places in files and digests
// are no settings.
func settings(path string, v any) []setting {
	var out []setting
	flatten(path, reflect.ValueOf(v), &out)
	return out
}

func flatten(path string, v reflect.Value, out *[]setting) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	if v.IsZero() {
		return
	}
	if text, ok := inWords(v); ok {
		*out = append(*out, setting{path, text})
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() || f.Type == reflect.TypeFor[ir.Ref]() || f.Name == "Hash" {
				continue
			}
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			at := strings.TrimPrefix(path+"."+name, ".")
			if !v.Field(i).IsZero() && strings.HasSuffix(f.Name, "Percent") && v.Type() == reflect.TypeFor[ir.Fault]() {
				*out = append(*out, setting{at, fmt.Sprintf("%g%%", float64(v.Field(i).Int())/100)})
				continue
			}
			flatten(at, v.Field(i), out)
		}
	case reflect.Slice:
		for i := range v.Len() {
			flatten(fmt.Sprintf("%s[%d]", path, i), v.Index(i), out)
		}
	default:
		*out = append(*out, setting{path, fmt.Sprint(v.Interface())})
	}
}

// inWords is the text of what is one value to people.
func inWords(v reflect.Value) (string, bool) {
	switch x := v.Interface().(type) {
	case time.Duration:
		return x.String(), true
	case []byte:
		return fmt.Sprintf("%d bytes, sha256 %.12x…", len(x), sha256.Sum256(x)), true
	case ir.Header:
		return x.Name + ": " + x.Value, true
	case []int:
		return strings.Trim(fmt.Sprint(x), "[]"), true
	case []string:
		return strings.Join(x, ", "), true
	case encoding.TextMarshaler:
		text, err := x.MarshalText()
		return string(text), err == nil
	}
	return "", false
}

package adminapi

import (
	"cmp"
	"encoding"
	"encoding/json"
	"maps"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// openAPI describes the API from the same table that serves it.
func (s *Server) openAPI(http.ResponseWriter, *http.Request) (any, *Fault) {
	return document(s.endpoints()), nil
}

func document(list []*endpoint) map[string]any {
	d := describer{schemas: map[string]any{}}
	paths := map[string]any{}
	problem := map[string]any{
		"description": "A problem document (RFC 9457).",
		"content":     map[string]any{"application/problem+json": map[string]any{"schema": d.schema(reflect.TypeFor[Fault]())}},
	}
	for _, e := range list {
		item, ok := paths[e.path].(map[string]any)
		if !ok {
			item = map[string]any{}
			paths[e.path] = item
		}
		op := map[string]any{
			"summary":     e.summary,
			"operationId": operationID(e),
			"responses":   d.responses(e, problem),
		}
		if params := parameters(e); len(params) > 0 {
			op["parameters"] = params
		}
		if e.takes != nil {
			op["requestBody"] = map[string]any{"required": true, "content": d.content(e.takes)}
		}
		if len(e.takesText) > 0 {
			content := map[string]any{}
			for _, media := range e.takesText {
				content[media] = map[string]any{}
			}
			op["requestBody"] = map[string]any{"required": true, "content": content}
		}
		if e.open {
			op["security"] = []any{}
		} else {
			op["description"] = "Needs the role " + string(e.role) + "."
			op["x-gridway-role"] = string(e.role)
		}
		item[strings.ToLower(e.method)] = op
	}
	return map[string]any{
		"openapi": "3.1.0",
		"info":    map[string]any{"title": "Gridway admin API", "version": "v1", "license": map[string]any{"name": "Apache-2.0", "identifier": "Apache-2.0"}},
		"paths":   paths,
		"components": map[string]any{
			"schemas":         d.schemas,
			"securitySchemes": map[string]any{"token": map[string]any{"type": "http", "scheme": "bearer"}},
		},
		// Either: a token is asked for if there are any.
		"security": []any{map[string]any{}, map[string]any{"token": []any{}}},
	}
}

// operationID is "getV1ObjectsKind" for GET /v1/objects/{kind}.
func operationID(e *endpoint) string {
	id := strings.ToLower(e.method)
	for _, word := range strings.FieldsFunc(e.path, func(r rune) bool { return strings.ContainsRune("/{}._-", r) }) {
		id += strings.ToUpper(word[:1]) + word[1:]
	}
	return id
}

func parameters(e *endpoint) (out []any) {
	for _, part := range strings.Split(e.path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			out = append(out, map[string]any{"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.query)) {
		out = append(out, map[string]any{"name": name, "in": "query", "description": e.query[name], "schema": map[string]any{"type": "string"}})
	}
	return out
}

// describer makes JSON Schemas of Go types; structs become components.
type describer struct{ schemas map[string]any }

func (d *describer) responses(e *endpoint, problem any) map[string]any {
	status := cmp.Or(e.success, http.StatusOK)
	out := map[string]any{strconv.Itoa(status): d.reply(e), "default": problem}
	if e.creates {
		out["201"] = d.reply(e)
	}
	return out
}

func (d *describer) reply(e *endpoint) map[string]any {
	if e.success == http.StatusNoContent {
		return map[string]any{"description": "Done"}
	}
	if e.gives == nil {
		return map[string]any{"description": "OK", "content": map[string]any{e.media: map[string]any{}}}
	}
	if len(e.streams) > 0 {
		content := map[string]any{}
		for _, media := range e.streams {
			content[media] = map[string]any{"schema": d.schema(reflect.TypeOf(e.gives))}
		}
		return map[string]any{"description": "One after the other", "content": content}
	}
	return map[string]any{"description": "OK", "content": d.content(e.gives)}
}

func (d *describer) content(v any) map[string]any {
	return map[string]any{"application/json": map[string]any{"schema": d.schema(reflect.TypeOf(v))}}
}

func (d *describer) schema(t reflect.Type) map[string]any {
	switch t {
	case reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case reflect.TypeFor[time.Duration]():
		return map[string]any{"type": "integer", "format": "int64", "description": "nanoseconds"}
	case reflect.TypeFor[json.RawMessage]():
		return map[string]any{"type": "object"}
	case reflect.TypeFor[netip.Prefix](), reflect.TypeFor[netip.Addr]():
		return map[string]any{"type": "string"}
	}
	if t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return d.schema(t.Elem())
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return map[string]any{"type": "string", "contentEncoding": "base64"}
		}
		return map[string]any{"type": "array", "items": d.schema(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": d.schema(t.Elem())}
	case reflect.Struct:
		return d.component(t)
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Interface:
		return map[string]any{}
	}
	return map[string]any{"type": "integer"}
}

// component refers to a struct's schema and makes it at its first mention.
// Names of packages tell equal names apart.
func (d *describer) component(t reflect.Type) map[string]any {
	name := t.Name()
	if pkg := packageName(t); pkg != "adminapi" {
		name = pkg + "." + name
	}
	ref := map[string]any{"$ref": "#/components/schemas/" + name}
	if _, ok := d.schemas[name]; ok {
		return ref
	}
	properties := map[string]any{}
	d.schemas[name] = map[string]any{"type": "object", "properties": properties}
	var required []string
	d.fields(t, properties, &required)
	if len(required) > 0 {
		d.schemas[name].(map[string]any)["required"] = required
	}
	return ref
}

func packageName(t reflect.Type) string {
	return t.PkgPath()[strings.LastIndexByte(t.PkgPath(), '/')+1:]
}

func (d *describer) fields(t reflect.Type, properties map[string]any, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case tag == "-" || !f.IsExported():
			continue
		case f.Anonymous && tag == "":
			d.fields(f.Type, properties, required)
			continue
		case tag == "":
			tag = f.Name
		}
		p := d.schema(f.Type)
		properties[tag] = p
		if strings.Contains(options, "omit") {
			continue
		}
		*required = append(*required, tag)
		// Lists of this package are never nil when they are sent; those of
		// dumps are as they are in memory.
		if p["type"] == "array" && packageName(t) != "adminapi" {
			p["type"] = []string{"array", "null"}
		}
	}
}

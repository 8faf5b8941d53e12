package transcoding

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// newBinding makes a binding of a rule.
func newBinding(m *Method, r *annotations.HttpRule) (*Binding, error) {
	b := &Binding{Method: m}
	switch p := r.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		b.HTTPMethod, b.pattern = "GET", p.Get
	case *annotations.HttpRule_Put:
		b.HTTPMethod, b.pattern = "PUT", p.Put
	case *annotations.HttpRule_Post:
		b.HTTPMethod, b.pattern = "POST", p.Post
	case *annotations.HttpRule_Delete:
		b.HTTPMethod, b.pattern = "DELETE", p.Delete
	case *annotations.HttpRule_Patch:
		b.HTTPMethod, b.pattern = "PATCH", p.Patch
	case *annotations.HttpRule_Custom:
		b.HTTPMethod, b.pattern = strings.ToUpper(p.Custom.GetKind()), p.Custom.GetPath()
		if b.HTTPMethod == "" {
			return nil, errors.New("custom has no kind")
		}
	default:
		return nil, errors.New("it has neither get, put, post, delete, patch nor custom")
	}
	var err error
	if b.template, err = parseTemplate(b.pattern); err != nil {
		return nil, fmt.Errorf("the path %q: %w", b.pattern, err)
	}
	b.inPath = map[string]bool{}
	for i := range b.template.variables {
		v := &b.template.variables[i]
		fields, err := fieldPath(m.input, v.path)
		if err != nil {
			return nil, fmt.Errorf("the path %q: %w", b.pattern, err)
		}
		if err := settable(fields, false); err != nil {
			return nil, fmt.Errorf("the path %q: %s: %w", b.pattern, v.path, err)
		}
		if !v.single && fields[len(fields)-1].Kind() != protoreflect.StringKind {
			return nil, fmt.Errorf("the path %q: %s must be a string to take more than one segment", b.pattern, v.path)
		}
		b.fields = append(b.fields, fields)
		b.inPath[v.path] = true
	}
	if err := b.setBody(r.GetBody()); err != nil {
		return nil, err
	}
	if name := r.GetResponseBody(); name != "" && name != "*" {
		if b.response = m.output.Fields().ByName(protoreflect.Name(name)); b.response == nil {
			return nil, fmt.Errorf("response_body: %s has no field %s", m.output.FullName(), name)
		}
	}
	b.settle()
	return b, nil
}

func (b *Binding) setBody(name string) error {
	switch name {
	case "":
		return nil
	case "*":
		b.Body = WholeBody
	default:
		b.Body = BodyField
		if b.bodyField = b.input.Fields().ByName(protoreflect.Name(name)); b.bodyField == nil {
			return fmt.Errorf("body: %s has no field %s", b.input.FullName(), name)
		}
	}
	if b.HTTPMethod == "GET" {
		return errors.New("body: a GET has no body")
	}
	if b.inPath[name] {
		return fmt.Errorf("body: %s is in the path already", name)
	}
	return nil
}

// settle fills in what follows from the rest.
func (b *Binding) settle() {
	switch {
	case b.Body == WholeBody:
		b.rawRequest = b.input.FullName() == httpBody
	case b.bodyField != nil && b.bodyField.Message() != nil && !b.bodyField.IsList():
		b.rawRequest = b.bodyField.Message().FullName() == httpBody
	}
	if b.response == nil {
		b.rawResponse = b.output.FullName() == httpBody
	} else if b.response.Message() != nil && !b.response.IsList() {
		b.rawResponse = b.response.Message().FullName() == httpBody
	}
}

// Pattern is the path as its annotation has it.
func (b *Binding) Pattern() string { return b.pattern }

// BodyName is the field that the request's body is, "*" for the whole message, and
// empty if there is none. ResponseName is the field that the answer is; empty is all.
func (b *Binding) BodyName() string {
	switch b.Body {
	case WholeBody:
		return "*"
	case BodyField:
		return string(b.bodyField.Name())
	}
	return ""
}

func (b *Binding) ResponseName() string {
	if b.response == nil {
		return ""
	}
	return string(b.response.Name())
}

// RawRequest and RawResponse tell that bodies are not JSON but a google.api.HttpBody's data.
func (b *Binding) RawRequest() bool  { return b.rawRequest }
func (b *Binding) RawResponse() bool { return b.rawResponse }

// TakesArrays tells whether a body that is an array of JSON can be one message, or
// what the body is of it.
func (b *Binding) TakesArrays() bool {
	m := b.input
	if f := b.bodyField; f != nil {
		if f.IsList() {
			return true
		}
		m = f.Message()
	}
	return m != nil && (m.FullName() == "google.protobuf.ListValue" || m.FullName() == "google.protobuf.Value")
}

// fieldPath resolves the path of a field, by the names of the .proto file.
func fieldPath(m protoreflect.MessageDescriptor, path string) ([]protoreflect.FieldDescriptor, error) {
	fields, err := walk(m, path, func(fields protoreflect.FieldDescriptors, name string) protoreflect.FieldDescriptor {
		return fields.ByName(protoreflect.Name(name))
	})
	if err != nil {
		return nil, err
	}
	return fields, nil
}

// maxDepth bounds the path of a field in a query.
const maxDepth = 32

func walk(m protoreflect.MessageDescriptor, path string, find func(protoreflect.FieldDescriptors, string) protoreflect.FieldDescriptor) ([]protoreflect.FieldDescriptor, error) {
	var fields []protoreflect.FieldDescriptor
	for name := range strings.SplitSeq(path, ".") {
		if len(fields) == maxDepth {
			return nil, errors.New("the path of a field is too long")
		}
		if m == nil {
			return nil, fmt.Errorf("%s is no message, and has no fields", fields[len(fields)-1].FullName())
		}
		f := find(m.Fields(), name)
		if f == nil {
			return nil, &unknownField{m.FullName(), name}
		}
		fields = append(fields, f)
		m = f.Message()
		if f.IsList() || f.IsMap() {
			m = nil
		}
	}
	return fields, nil
}

type unknownField struct {
	message protoreflect.FullName
	name    string
}

func (e *unknownField) Error() string { return fmt.Sprintf("%s has no field %s", e.message, e.name) }

// settable tells whether text can be a field's value.
func settable(fields []protoreflect.FieldDescriptor, repeated bool) error {
	f := fields[len(fields)-1]
	switch {
	case f.IsMap():
		return errors.New("a map cannot be set by text")
	case f.IsList() && !repeated:
		return errors.New("a repeated field cannot be set by a path")
	case f.Kind() == protoreflect.GroupKind:
		return errors.New("a group cannot be set by text")
	case f.Message() != nil && !isText(f.Message().FullName()):
		return fmt.Errorf("a %s cannot be set by text", f.Message().FullName())
	}
	return nil
}

// isText tells whether a message is text, a number or a boolean in JSON.
func isText(name protoreflect.FullName) bool {
	switch name {
	case "google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask",
		"google.protobuf.BoolValue", "google.protobuf.BytesValue", "google.protobuf.DoubleValue",
		"google.protobuf.FloatValue", "google.protobuf.Int32Value", "google.protobuf.Int64Value",
		"google.protobuf.StringValue", "google.protobuf.UInt32Value", "google.protobuf.UInt64Value",
		"google.protobuf.Value":
		return true
	}
	return false
}

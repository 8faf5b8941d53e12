package transcoding

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// InputError says what is wrong with a request, for the client to read.
type InputError struct{ Detail string }

func (e *InputError) Error() string { return e.Detail }

func inputError(format string, args ...any) error {
	return &InputError{strings.ToValidUTF8(fmt.Sprintf(format, args...), "\uFFFD")}
}

// setPath sets the fields that are in the path.
func (m *Match) setPath(msg protoreflect.Message, s *Schema) error {
	for i := range m.template.variables {
		v := &m.template.variables[i]
		text, ok := m.value(v)
		if !ok {
			return inputError("the path's percent-encoding is not valid")
		}
		if err := s.setText(msg, m.fields[i], text); err != nil {
			return inputError("%s in the path: %s", v.path, err)
		}
	}
	return nil
}

// Bounds of a query.
const maxParameters = 1000

// setQuery sets the fields that are in the query.
func (m *Match) setQuery(msg protoreflect.Message, s *Schema, query string, ignoreUnknown bool) error {
	if strings.Count(query, "&") >= maxParameters {
		return inputError("the query has more than %d parameters", maxParameters)
	}
	if query != "" && m.Body == WholeBody {
		// google.api.http: with body "*" there are no query parameters.
		if ignoreUnknown {
			return nil
		}
		return inputError("this method takes no parameters in the query: all its fields are in the body")
	}
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return inputError("the query's percent-encoding is not valid")
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return inputError("the query's percent-encoding is not valid")
		}
		fields, err := walk(m.input, name, byAnyName)
		var unknown *unknownField
		switch {
		case err != nil && ignoreUnknown && errors.As(err, &unknown):
			continue
		case err != nil:
			return inputError("the query: %s", err)
		}
		path := pathOf(fields)
		switch {
		case m.inPath[path]:
			return inputError("the query: %s is in the path already", path)
		case m.bodyField != nil && fields[0] == m.bodyField:
			return inputError("the query: %s is in the body", path)
		}
		if err := settable(fields, true); err != nil {
			return inputError("the query: %s: %s", path, err)
		}
		if err := s.setText(msg, fields, value); err != nil {
			return inputError("%s in the query: %s", path, err)
		}
	}
	return nil
}

// byAnyName finds a field by the name in the .proto file or that in JSON.
func byAnyName(fields protoreflect.FieldDescriptors, name string) protoreflect.FieldDescriptor {
	if f := fields.ByName(protoreflect.Name(name)); f != nil {
		return f
	}
	return fields.ByJSONName(name)
}

func pathOf(fields []protoreflect.FieldDescriptor) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = string(f.Name())
	}
	return strings.Join(names, ".")
}

// setText sets a field, or adds to a repeated one.
func (s *Schema) setText(msg protoreflect.Message, fields []protoreflect.FieldDescriptor, text string) error {
	for i, f := range fields {
		if o := f.ContainingOneof(); o != nil {
			if set := msg.WhichOneof(o); set != nil && set != f {
				return fmt.Errorf("%s is set already, and only one of them can be", set.Name())
			}
		}
		if i == len(fields)-1 {
			break
		}
		msg = msg.Mutable(f).Message()
	}
	f := fields[len(fields)-1]
	if f.IsList() {
		list := msg.Mutable(f).List()
		if f.Message() != nil {
			return s.setMessage(list.AppendMutable().Message(), text)
		}
		v, err := scalar(f, text)
		if err != nil {
			return err
		}
		list.Append(v)
		return nil
	}
	if f.Message() != nil {
		return s.setMessage(msg.Mutable(f).Message(), text)
	}
	v, err := scalar(f, text)
	if err != nil {
		return err
	}
	msg.Set(f, v)
	return nil
}

// setMessage sets a well-known type as its JSON has it.
func (s *Schema) setMessage(msg protoreflect.Message, text string) error {
	name := msg.Descriptor().FullName()
	in := quoted(text) // which is how numbers may be, too
	if name == "google.protobuf.BoolValue" && (text == "true" || text == "false") {
		in = []byte(text)
	}
	if err := (protojson.UnmarshalOptions{Resolver: s.types}).Unmarshal(in, msg.Interface()); err != nil {
		return fmt.Errorf("it is not a %s", name)
	}
	return nil
}

// scalar reads a value that is not a message.
func scalar(f protoreflect.FieldDescriptor, text string) (v protoreflect.Value, err error) {
	bad := fmt.Errorf("it is not of type %s", f.Kind())
	switch f.Kind() {
	case protoreflect.StringKind:
		if strings.ToValidUTF8(text, "") != text {
			return v, errors.New("it is not UTF-8")
		}
		return protoreflect.ValueOfString(text), nil
	case protoreflect.BytesKind:
		b, ok := decodeBase64(text)
		if !ok {
			return v, errors.New("it is not base64")
		}
		return protoreflect.ValueOfBytes(b), nil
	case protoreflect.BoolKind:
		switch text {
		case "true", "1", "True", "TRUE", "t", "T":
			return protoreflect.ValueOfBool(true), nil
		case "false", "0", "False", "FALSE", "f", "F":
			return protoreflect.ValueOfBool(false), nil
		}
		return v, bad
	case protoreflect.EnumKind:
		if e := f.Enum().Values().ByName(protoreflect.Name(text)); e != nil {
			return protoreflect.ValueOfEnum(e.Number()), nil
		}
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return v, fmt.Errorf("it is no value of %s", f.Enum().FullName())
		}
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n)), nil
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return v, bad
		}
		return protoreflect.ValueOfInt32(int32(n)), nil
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return v, bad
		}
		return protoreflect.ValueOfInt64(n), nil
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return v, bad
		}
		return protoreflect.ValueOfUint32(uint32(n)), nil
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return v, bad
		}
		return protoreflect.ValueOfUint64(n), nil
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		bits := 64
		if f.Kind() == protoreflect.FloatKind {
			bits = 32
		}
		n, err := float(text, bits)
		if err != nil {
			return v, bad
		}
		if bits == 32 {
			return protoreflect.ValueOfFloat32(float32(n)), nil
		}
		return protoreflect.ValueOfFloat64(n), nil
	}
	return v, bad
}

// float reads a number as JSON of Protocol Buffers has them.
func float(text string, bits int) (float64, error) {
	switch text {
	case "NaN":
		return math.NaN(), nil
	case "Infinity":
		return math.Inf(1), nil
	case "-Infinity":
		return math.Inf(-1), nil
	}
	if strings.Trim(text, "0123456789+-.eE") != "" {
		return 0, errors.New("not a number")
	}
	return strconv.ParseFloat(text, bits)
}

// decodeBase64 takes both alphabets, with padding and without.
func decodeBase64(text string) ([]byte, bool) {
	if strings.ContainsAny(text, "\r\n") { // which the library passes over
		return nil, false
	}
	enc := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		enc = base64.RawURLEncoding
	}
	b, err := enc.DecodeString(strings.TrimRight(text, "="))
	return b, err == nil
}

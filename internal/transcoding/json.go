package transcoding

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// JSON is how messages are written and read.
type JSON struct {
	// Defaults writes fields that have the default value too.
	Defaults bool
	// EnumNumbers writes enums as numbers, ProtoNames fields by the names of the
	// .proto file.
	EnumNumbers, ProtoNames bool
	// IgnoreUnknown passes over fields in bodies, and parameters in queries, that
	// the schema does not know.
	IgnoreUnknown bool
}

func (s *Schema) marshal(j *JSON, msg proto.Message) ([]byte, error) {
	out, err := protojson.MarshalOptions{
		EmitDefaultValues: j.Defaults, UseEnumNumbers: j.EnumNumbers, UseProtoNames: j.ProtoNames, Resolver: s.types,
	}.Marshal(msg)
	if err != nil {
		return nil, err
	}
	// The library varies its white space, so that nobody relies on it.
	var b bytes.Buffer
	if err := json.Compact(&b, out); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (s *Schema) unmarshal(j *JSON, in []byte, msg protoreflect.Message) error {
	err := protojson.UnmarshalOptions{DiscardUnknown: j.IgnoreUnknown, Resolver: s.types}.Unmarshal(in, msg.Interface())
	if err != nil {
		return inputError("the body is not a %s: %.200s", msg.Descriptor().FullName(), trim(err))
	}
	return nil
}

func quoted(text string) []byte {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err) // strings can be marshalled
	}
	return b
}

// Message makes a message of what a request says: first its body, then what is
// in the path and the query. contentType is that of a raw body.
func (s *Schema) Message(m *Match, j *JSON, query string, body []byte, contentType string) ([]byte, error) {
	msg := dynamicpb.NewMessage(m.input)
	if err := s.setBody(m, j, msg, body, contentType); err != nil {
		return nil, err
	}
	// google.api.http: with body "*" what is in the path is not in the body; if it
	// is all the same, the path wins.
	for i := range m.fields {
		clearField(msg, m.fields[i])
	}
	if err := m.setPath(msg, s); err != nil {
		return nil, err
	}
	if err := m.setQuery(msg, s, query, j.IgnoreUnknown); err != nil {
		return nil, err
	}
	out, err := proto.Marshal(msg)
	if err != nil {
		return nil, inputError("the request is no %s: %.200s", m.input.FullName(), trim(err))
	}
	return out, nil
}

func clearField(msg protoreflect.Message, fields []protoreflect.FieldDescriptor) {
	for i, f := range fields {
		if i == len(fields)-1 {
			msg.Clear(f)
			return
		}
		if !msg.Has(f) {
			return
		}
		msg = msg.Mutable(f).Message()
	}
}

func (s *Schema) setBody(m *Match, j *JSON, msg protoreflect.Message, body []byte, contentType string) error {
	if m.Body == NoBody {
		return nil
	}
	if m.rawRequest {
		into := msg
		if m.bodyField != nil {
			into = msg.Mutable(m.bodyField).Message()
		}
		setRaw(into, body, contentType)
		return nil
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	if m.bodyField == nil {
		return s.unmarshal(j, body, msg)
	}
	f := m.bodyField
	if f.Message() != nil && !f.IsList() && !f.IsMap() {
		return s.unmarshal(j, body, msg.Mutable(f).Message())
	}
	// The library reads messages, so that the field gets one around it.
	if !json.Valid(body) {
		return inputError("the body is not valid JSON")
	}
	whole := append(append([]byte(`{`), quoted(f.JSONName())...), ':')
	return s.unmarshal(j, append(append(whole, body...), '}'), msg)
}

func setRaw(msg protoreflect.Message, body []byte, contentType string) {
	fields := msg.Descriptor().Fields()
	if contentType != "" {
		msg.Set(fields.ByName("content_type"), protoreflect.ValueOfString(strings.ToValidUTF8(contentType, "\uFFFD")))
	}
	if len(body) > 0 {
		msg.Set(fields.ByName("data"), protoreflect.ValueOfBytes(body))
	}
}

// Response makes the body of a response of a message. contentType is that of a
// raw one, and else empty.
func (s *Schema) Response(b *Binding, j *JSON, message []byte) (body []byte, contentType string, err error) {
	msg := dynamicpb.NewMessage(b.output)
	if err := (proto.UnmarshalOptions{Resolver: s.types}).Unmarshal(message, msg); err != nil {
		return nil, "", err
	}
	if b.rawResponse {
		var raw protoreflect.Message = msg
		if b.response != nil {
			raw = msg.Get(b.response).Message()
		}
		fields := raw.Descriptor().Fields()
		contentType = raw.Get(fields.ByName("content_type")).String()
		return raw.Get(fields.ByName("data")).Bytes(), contentType, nil
	}
	if b.response == nil {
		body, err = s.marshal(j, msg)
		return body, "", err
	}
	body, err = s.marshalField(j, msg, b.response)
	return body, "", err
}

// marshalField writes one field as JSON has it.
func (s *Schema) marshalField(j *JSON, msg protoreflect.Message, f protoreflect.FieldDescriptor) ([]byte, error) {
	if f.Message() != nil && !f.IsList() && !f.IsMap() {
		return s.marshal(j, msg.Get(f).Message().Interface())
	}
	// The library writes messages, so that the field is taken out of one.
	only := dynamicpb.NewMessage(msg.Descriptor())
	if msg.Has(f) {
		only.Set(f, msg.Get(f))
	}
	with, empty := *j, "null"
	switch {
	case f.IsList():
		empty = "[]"
	case f.IsMap():
		empty = "{}"
	default:
		with.Defaults = true
	}
	name := f.JSONName()
	if j.ProtoNames {
		name = f.TextName()
	}
	whole, err := s.marshal(&with, only)
	if err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(whole, &members); err != nil {
		return nil, err
	}
	if v, ok := members[name]; ok {
		return v, nil
	}
	return []byte(empty), nil
}

// Status writes a google.rpc.Status. details is one in binary form, or nil.
func (s *Schema) Status(j *JSON, code uint8, message string, details []byte) []byte {
	st := status.Status{Code: int32(code), Message: strings.ToValidUTF8(message, "\uFFFD")}
	var given status.Status
	if len(details) > 0 && proto.Unmarshal(details, &given) == nil {
		st.Details = given.Details
	}
	types := &resolver{}
	if s != nil {
		types = s.types
	}
	out := statusJSON{Code: st.Code, Message: st.Message, Details: []json.RawMessage{}}
	for _, d := range st.Details {
		text, err := (&Schema{types: types}).marshal(j, d)
		if err != nil { // nobody knows its type
			text, _ = json.Marshal(map[string]string{
				"@type": strings.ToValidUTF8(d.GetTypeUrl(), "\uFFFD"), "value": base64.StdEncoding.EncodeToString(d.GetValue()),
			})
		}
		out.Details = append(out.Details, text)
	}
	text, err := json.Marshal(out)
	if err != nil {
		panic(err) // what it is made of can be marshalled
	}
	return text
}

type statusJSON struct {
	Code    int32             `json:"code"`
	Message string            `json:"message"`
	Details []json.RawMessage `json:"details"`
}

// DecodeBase64 takes what metadata of gRPC has under names that end with "-bin".
func DecodeBase64(v []byte) []byte {
	b, ok := decodeBase64(string(v))
	if !ok {
		return nil
	}
	return b
}

// Recode gives a message another form: JSON that of Protocol Buffers, of a
// method's input, or the other way round, of its output.
func (s *Schema) Recode(b *Binding, j *JSON, message []byte, response bool) ([]byte, error) {
	if response {
		msg := dynamicpb.NewMessage(b.output)
		if err := (proto.UnmarshalOptions{Resolver: s.types}).Unmarshal(message, msg); err != nil {
			return nil, err
		}
		return s.marshal(j, msg)
	}
	msg := dynamicpb.NewMessage(b.input)
	if len(message) > 0 {
		if err := s.unmarshal(j, message, msg); err != nil {
			return nil, err
		}
	}
	return proto.Marshal(msg)
}

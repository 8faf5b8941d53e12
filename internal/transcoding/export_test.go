package transcoding

import (
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
)

// InputJSON is a message of a method's input as JSON.
func (s *Schema) InputJSON(b *Binding, message []byte) (string, error) {
	msg := dynamicpb.NewMessage(b.input)
	if err := proto.Unmarshal(message, msg); err != nil {
		return "", err
	}
	out, err := s.marshal(&JSON{}, msg)
	return string(out), err
}

// OutputMessage is a message of a method's output that is given as JSON.
func (s *Schema) OutputMessage(b *Binding, text string) ([]byte, error) {
	msg := dynamicpb.NewMessage(b.output)
	if err := protojson.Unmarshal([]byte(text), msg); err != nil {
		return nil, err
	}
	return proto.Marshal(msg)
}

// ParseTemplate is parseTemplate, with what a template matches.
func ParseTemplate(text string) (string, error) {
	t, err := parseTemplate(text)
	return t.String(), err
}

package jwt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxDepth is how deep objects and arrays may be in each other.
const maxDepth = 32

var (
	errJSON  = errors.New("it is not an object of JSON")
	errTwice = errors.New("it names a member twice")
	errRange = errors.New("it has a number that is too large")
	errDeep  = fmt.Errorf("it is more than %d deep", maxDepth)
)

// object reads an object of JSON of which nobody else can read another meaning: in
// valid UTF-8, with each member named once (RFC 7515 §4, RFC 7519 §4), and nothing
// behind it. Numbers are json.Number, in the range of a float64 (RFC 8259 §6).
func object(text []byte) (map[string]any, error) {
	if !utf8.Valid(text) || !json.Valid(text) {
		return nil, errJSON
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errJSON
	}
	m, err := members(d, 1)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errJSON
	}
	return m, nil
}

// ParseObject reads an object of JSON as strictly as those of tokens are read: in
// valid UTF-8, with each member named once, at most 32 deep, and nothing behind it.
// Numbers are json.Number, in the range of a float64.
func ParseObject(text []byte) (map[string]any, error) { return object(text) }

func members(d *json.Decoder, depth int) (map[string]any, error) {
	m := map[string]any{}
	for {
		t, err := d.Token()
		if err != nil {
			return nil, errJSON
		}
		name, ok := t.(string)
		if !ok { // the end, since the text is valid
			return m, nil
		}
		if _, twice := m[name]; twice {
			return nil, errTwice
		}
		if m[name], err = value(d, depth); err != nil {
			return nil, err
		}
	}
}

func value(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, errJSON
	}
	if number, ok := t.(json.Number); ok {
		// Some readers take it for infinity, others for an error.
		if _, err := number.Float64(); err != nil {
			return nil, errRange
		}
	}
	delimiter, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if depth >= maxDepth {
		return nil, errDeep
	}
	if delimiter == '{' {
		return members(d, depth+1)
	}
	list := []any{}
	for d.More() {
		v, err := value(d, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err = d.Token()
	return list, err
}

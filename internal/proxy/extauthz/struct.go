package extauthz

import (
	"errors"
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gridway/gridway/internal/proxy/callout"
)

// maxDepth bounds how deep values are inside each other.
const maxDepth = 32

var errTooDeep = errors.New("the metadata is more than 32 deep")

// parseStruct reads a google.protobuf.Struct as encoding/json would its JSON.
func parseStruct(b []byte) (map[string]any, error) { return readStruct(b, 0) }

func readStruct(b []byte, depth int) (map[string]any, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	out := map[string]any{}
	err := callout.EachField(b, func(field protowire.Number, v []byte, _ uint64) error {
		if field != 1 || v == nil {
			return nil
		}
		var key string
		var value any
		err := callout.EachField(v, func(field protowire.Number, v []byte, _ uint64) (err error) {
			switch {
			case field == 1:
				key = strings.ToValidUTF8(string(v), "\uFFFD")
			case field == 2 && v != nil:
				value, err = readValue(v, depth+1)
			}
			return err
		})
		out[key] = value
		return err
	})
	return out, err
}

// readValue reads a google.protobuf.Value. Numbers that JSON has not are refused,
// as the specification of that message says.
func readValue(b []byte, depth int) (out any, err error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	err = callout.EachField(b, func(field protowire.Number, v []byte, n uint64) (err error) {
		switch field {
		case 1:
			out = nil
		case 2:
			f := math.Float64frombits(n)
			if math.IsNaN(f) || math.IsInf(f, 0) {
				return errors.New("a number of the metadata is none of JSON")
			}
			out = f
		case 3:
			out = strings.ToValidUTF8(string(v), "\uFFFD")
		case 4:
			out = n != 0
		case 5:
			out, err = readStruct(v, depth)
		case 6:
			list := []any{}
			err = callout.EachField(v, func(field protowire.Number, v []byte, _ uint64) error {
				if field != 1 || v == nil {
					return nil
				}
				one, err := readValue(v, depth+1)
				list = append(list, one)
				return err
			})
			out = list
		}
		return err
	})
	return out, err
}

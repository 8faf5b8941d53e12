// Package otlp writes messages of the OpenTelemetry protocol as bytes: attributes,
// resources, and the requests that carry records. Records themselves are encoded by
// whoever makes them. The three signals have the same frame, field by field: a request
// has resources (1), each with its description (1) and scopes (2), each of which has a
// description (1) and records (2).
//
// The package starts no goroutine and may be imported by any package.
package otlp

import (
	"math"
	"os"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// Fields of the frame.
const (
	fieldResource = 1 // of ResourceSpans and its kin
	fieldScopes   = 2
	fieldScope    = 1 // of ScopeSpans and its kin
	fieldRecords  = 2
)

// Fields of AnyValue.
const (
	valueText   = 1
	valueBool   = 2
	valueInt    = 3
	valueDouble = 4
)

// oneByte is more than a varint of one byte can be.
const oneByte = 0x80

// AppendText appends a field that is a KeyValue with a text. Empty texts are left out.
func AppendText[T ~string | ~[]byte](b []byte, field protowire.Number, key string, value T) []byte {
	if len(value) == 0 {
		return b
	}
	inner := 1 + protowire.SizeBytes(len(value))
	b = appendKey(b, field, key, inner)
	if len(value) < oneByte {
		b = append(b, valueText<<3|byte(protowire.BytesType), byte(len(value)))
	} else {
		b = protowire.AppendTag(b, valueText, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(len(value)))
	}
	return append(b, value...)
}

// AppendInt appends a KeyValue with a whole number.
func AppendInt(b []byte, field protowire.Number, key string, value int64) []byte {
	b = appendKey(b, field, key, 1+protowire.SizeVarint(uint64(value)))
	b = protowire.AppendTag(b, valueInt, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(value))
}

// AppendDouble appends a KeyValue with a number.
func AppendDouble(b []byte, field protowire.Number, key string, value float64) []byte {
	b = appendKey(b, field, key, 9)
	b = protowire.AppendTag(b, valueDouble, protowire.Fixed64Type)
	return protowire.AppendFixed64(b, math.Float64bits(value))
}

// AppendBool appends a KeyValue with a truth value.
func AppendBool(b []byte, field protowire.Number, key string, value bool) []byte {
	b = appendKey(b, field, key, 2)
	b = protowire.AppendTag(b, valueBool, protowire.VarintType)
	return protowire.AppendVarint(b, protowire.EncodeBool(value))
}

// appendKey appends a KeyValue up to its AnyValue, which has inner bytes.
func appendKey(b []byte, field protowire.Number, key string, inner int) []byte {
	if short := 2 + len(key) + 2 + inner; short < oneByte && field < 16 {
		// Nearly all attributes are like that: numbers of one byte, which need no loops.
		const keyTag, valueTag = 1<<3 | byte(protowire.BytesType), 2<<3 | byte(protowire.BytesType)
		b = append(b, byte(field)<<3|byte(protowire.BytesType), byte(short), keyTag, byte(len(key)))
		b = append(b, key...)
		return append(b, valueTag, byte(inner))
	}
	size := 1 + protowire.SizeBytes(len(key)) + 1 + protowire.SizeBytes(inner)
	b = protowire.AppendTag(b, field, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	b = protowire.AppendString(b, key)
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	return protowire.AppendVarint(b, uint64(inner))
}

// Resource is who records are of: a process, or a workload behind it. Make it once; two
// that are the same pointer are sent together.
type Resource struct {
	body []byte // the resource and its scope, as fields of ResourceSpans and its kin
	size int    // of the scope, without records
}

// Attribute is a fact of a resource, by the semantic conventions: "service.name".
type Attribute struct{ Key, Value string }

// scopeName is the instrumentation scope of all records.
const scopeName = "gridway"

// Instance names this process among those of a host, for "service.instance.id": the
// counters of two processes are not one.
func Instance(host string) string { return host + "/" + strconv.Itoa(os.Getpid()) }

// NewResource makes one. Attributes without a value are left out.
func NewResource(version string, attributes ...Attribute) *Resource {
	var inner []byte
	for _, a := range attributes {
		inner = AppendText(inner, 1, a.Key, a.Value)
	}
	r := &Resource{}
	r.body = protowire.AppendTag(r.body, fieldResource, protowire.BytesType)
	r.body = protowire.AppendBytes(r.body, inner)
	var scope []byte
	scope = protowire.AppendTag(scope, 1, protowire.BytesType)
	scope = protowire.AppendString(scope, scopeName)
	if version != "" {
		scope = protowire.AppendTag(scope, 2, protowire.BytesType)
		scope = protowire.AppendString(scope, version)
	}
	before := len(r.body)
	r.body = protowire.AppendTag(r.body, fieldScope, protowire.BytesType)
	r.body = protowire.AppendBytes(r.body, scope)
	r.size = len(r.body) - before
	return r
}

// AppendRecord appends a record as it stands in a batch.
func AppendRecord(b, record []byte) []byte {
	b = protowire.AppendTag(b, fieldRecords, protowire.BytesType)
	return protowire.AppendBytes(b, record)
}

// RecordSize is what AppendRecord adds for a record of n bytes.
func RecordSize(n int) int { return 1 + protowire.SizeBytes(n) }

// AppendRequest appends a request with a batch of records, as AppendRecord made it, of one
// resource, which may be nil.
func AppendRequest(b []byte, r *Resource, batch []byte) []byte {
	if r == nil {
		r = NewResource("")
	}
	resource, scope := r.body[:len(r.body)-r.size], r.body[len(r.body)-r.size:]
	inScopes := len(scope) + len(batch)
	inResource := len(resource) + 1 + protowire.SizeBytes(inScopes)
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(inResource))
	b = append(b, resource...)
	b = protowire.AppendTag(b, fieldScopes, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(inScopes))
	b = append(b, scope...)
	return append(b, batch...)
}

// PartialSuccess reads what a receiver has answered: how many records it did not take,
// and why. Warnings come with none. What cannot be read says nothing.
func PartialSuccess(response []byte) (rejected int64, message string) {
	inner, ok := field(response, 1)
	if !ok {
		return 0, ""
	}
	for len(inner) > 0 {
		num, typ, n := protowire.ConsumeTag(inner)
		if n < 0 {
			return rejected, message
		}
		inner = inner[n:]
		switch {
		case num == 1 && typ == protowire.VarintType:
			v, n := protowire.ConsumeVarint(inner)
			if n < 0 {
				return rejected, message
			}
			rejected, inner = max(0, int64(v)), inner[n:]
		case num == 2 && typ == protowire.BytesType:
			v, n := protowire.ConsumeBytes(inner)
			if n < 0 {
				return rejected, message
			}
			message, inner = string(v), inner[n:]
		default:
			n := protowire.ConsumeFieldValue(num, typ, inner)
			if n < 0 {
				return rejected, message
			}
			inner = inner[n:]
		}
	}
	return rejected, message
}

// field is the last field of a number that has bytes.
func field(b []byte, number protowire.Number) (value []byte, found bool) {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return value, found
		}
		b = b[n:]
		n = protowire.ConsumeFieldValue(num, typ, b)
		if n < 0 {
			return value, found
		}
		if num == number && typ == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(b)
			found = true
		}
		b = b[n:]
	}
	return value, found
}

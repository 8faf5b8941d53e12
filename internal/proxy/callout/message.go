package callout

import "google.golang.org/protobuf/encoding/protowire"

// EachField calls f for the fields of a message. V is the content of those that have a
// length; n that of numbers. Groups and numbers of fixed size other than float64
// have neither.
func EachField(b []byte, f func(field protowire.Number, v []byte, n uint64) error) error {
	for len(b) > 0 {
		field, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		var v []byte
		var n uint64
		switch kind {
		case protowire.BytesType:
			v, size = protowire.ConsumeBytes(b)
			if v == nil {
				v = []byte{}
			}
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			n, size = protowire.ConsumeFixed64(b)
		default:
			size = protowire.ConsumeFieldValue(field, kind, b)
			field = 0
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		if err := f(field, v, n); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

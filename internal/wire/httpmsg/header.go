package httpmsg

// Name is a well-known header as a small integer; NameOther is any other.
type Name uint8

// Field is one header field. Name is as received; ID is its number when it is well known.
type Field struct {
	Name, Value []byte
	ID          Name
}

// Header is an ordered list of fields that is reused from exchange to exchange.
type Header struct {
	fields []Field
	// present has a bit for each well-known name in fields, so that the usual
	// "is there a …" costs one test.
	present [2]uint64
}

// Arena hands out copies of bytes that live until it is reset. The zero value is ready.
type Arena struct {
	buf []byte
}

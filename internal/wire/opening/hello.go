package opening

import (
	"encoding/binary"
	"errors"
)

const (
	recordHandshake  = 22
	recordHeader     = 5
	maxRecord        = 16 << 10 // RFC 8446 §5.1
	typeClientHello  = 1
	handshakeHeader  = 4
	extServerName    = 0
	extECH           = 0xfe0d // draft-ietf-tls-esni
	maxServerName    = 255
	maxHelloMessage  = 16 << 10
	maxHelloRecords  = 32
	helloFixed       = 2 + 32 // version and random
	maxExtensions    = 128
	minHandshakeSize = 1
)

// MaxHelloBytes is how many bytes ParseHello may need: a hello of 16 KiB in as
// many records as are allowed.
const MaxHelloBytes = handshakeHeader + maxHelloMessage + maxHelloRecords*recordHeader

// ErrMore asks for more bytes of the connection.
var ErrMore = errors.New("opening: more bytes are needed")

// ErrNotTLS says that the connection does not begin with a TLS handshake.
var ErrNotTLS = errors.New("opening: not a TLS handshake")

// Error is a ClientHello that breaks the rules.
type Error struct{ Reason string }

func (e *Error) Error() string { return "opening: ClientHello: " + e.Reason }

// Hello is what a TLS client says of itself before anything is encrypted.
type Hello struct {
	// ServerName is in lower case; empty if the client names none. It is a
	// slice of the bytes that were parsed, unless these came in pieces.
	ServerName []byte
	// ECH: the client has put its true hello into an Encrypted Client Hello (or
	// pretends to, GREASE). ServerName is then the outer, public one.
	ECH bool
}

// ParseHello reads the ClientHello that b begins with (RFC 8446 §4.1.2). It may
// come in several records (RFC 8446 §5.1). Unknown extensions and values, as of
// GREASE (RFC 8701), are passed over; what no client may send is an *Error.
// Letters of the server name are changed to lower case in the result only.
func ParseHello(b []byte) (Hello, error) {
	message, err := message(b)
	if err != nil {
		return Hello{}, err
	}
	return parseHello(message)
}

// message puts the handshake message together that the records carry. It is
// looked at again with each segment that comes, so nothing is copied before all
// of it is there.
func message(b []byte) ([]byte, error) {
	var head [handshakeHeader]byte
	all, got := b, 0 // got is how much of the message the records before had
	for n := 0; ; n++ {
		if n == maxHelloRecords {
			return nil, &Error{"spread over too many records"}
		}
		if err := checkRecord(b); err != nil {
			return nil, err
		}
		end := recordHeader + int(binary.BigEndian.Uint16(b[3:]))
		part := b[recordHeader:min(end, len(b))]
		if n == 0 && part[0] != typeClientHello {
			return nil, ErrNotTLS
		}
		if got < handshakeHeader {
			copy(head[got:], part)
		}
		if got += len(part); got >= handshakeHeader {
			size := int(head[1])<<16 | int(head[2])<<8 | int(head[3])
			switch {
			case size > maxHelloMessage:
				return nil, &Error{"longer than 16 KiB"}
			case got > handshakeHeader+size:
				return nil, &Error{"more bytes in its record than it has"}
			case got == handshakeHeader+size && n == 0:
				return part[handshakeHeader:], nil
			case got == handshakeHeader+size:
				return joined(all, got)[handshakeHeader:], nil
			}
		}
		if len(b) < end {
			return nil, ErrMore
		}
		b = b[end:]
	}
}

// joined is what the records carry, which are size bytes in all.
func joined(b []byte, size int) []byte {
	whole := make([]byte, 0, size)
	for len(whole) < size {
		end := recordHeader + int(binary.BigEndian.Uint16(b[3:]))
		whole = append(whole, b[recordHeader:min(end, len(b))]...)
		b = b[min(end, len(b)):]
	}
	return whole
}

// checkRecord judges the header of a record, as far as it is there.
func checkRecord(b []byte) error {
	switch {
	case len(b) > 0 && b[0] != recordHandshake, len(b) > 1 && b[1] != 3:
		return ErrNotTLS
	case len(b) < recordHeader:
		return ErrMore
	}
	switch size := binary.BigEndian.Uint16(b[3:]); {
	case size < minHandshakeSize:
		return &Error{"an empty record"} // RFC 8446 §5.1: no zero-length fragments
	case size > maxRecord:
		return &Error{"a record longer than 16 KiB"}
	}
	if len(b) == recordHeader {
		return ErrMore
	}
	return nil
}

// reader takes fields off a slice; short is set when one is not there.
type reader struct {
	b     []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.short, r.b = true, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) uint16() int {
	if b := r.take(2); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *reader) vector8() []byte {
	if b := r.take(1); b != nil {
		return r.take(int(b[0]))
	}
	return nil
}

func (r *reader) vector16() []byte { return r.take(r.uint16()) }

func parseHello(b []byte) (h Hello, err error) {
	r := reader{b: b}
	if v := r.take(helloFixed); v != nil && v[0] != 3 {
		return h, &Error{"an unknown version"}
	}
	session, suites, compressions := r.vector8(), r.vector16(), r.vector8()
	switch {
	case r.short:
		return h, &Error{"cut short"}
	case len(session) > 32:
		return h, &Error{"a session ID longer than 32 bytes"}
	case len(suites) < 2 || len(suites)%2 != 0:
		return h, &Error{"a broken list of cipher suites"}
	case len(compressions) == 0:
		return h, &Error{"no compression method"}
	case len(r.b) == 0:
		return h, nil // TLS 1.2 without extensions
	}
	list := r.vector16()
	if r.short || len(r.b) > 0 {
		return h, &Error{"a broken list of extensions"}
	}
	return parseExtensions(list)
}

func parseExtensions(list []byte) (h Hello, err error) {
	var seen [maxExtensions]uint16
	r := reader{b: list}
	for n := 0; len(r.b) > 0; n++ {
		kind := uint16(r.uint16())
		body := r.vector16()
		if r.short {
			return h, &Error{"an extension cut short"}
		}
		if n == maxExtensions {
			return h, &Error{"too many extensions"}
		}
		for _, k := range seen[:n] {
			if k == kind {
				return h, &Error{"the same extension twice"} // RFC 8446 §4.2
			}
		}
		seen[n] = kind
		switch kind {
		case extServerName:
			if h.ServerName, err = parseServerName(body); err != nil {
				return h, err
			}
		case extECH:
			h.ECH = true
		}
	}
	return h, nil
}

// parseServerName reads RFC 6066 §3's list, which has one entry in practice and
// at most one of type host_name.
func parseServerName(body []byte) ([]byte, error) {
	r := reader{b: body}
	list := reader{b: r.vector16()}
	if r.short || len(r.b) > 0 || len(list.b) == 0 {
		return nil, &Error{"a broken list of server names"}
	}
	kind, name := list.take(1), list.vector16()
	switch {
	case list.short || len(name) == 0 || len(list.b) > 0:
		return nil, &Error{"a broken list of server names"}
	case kind[0] != 0:
		return nil, &Error{"a server name of an unknown type"}
	case len(name) > maxServerName:
		return nil, &Error{"a server name longer than 255 bytes"}
	}
	return lower(name)
}

// lower checks a hostname and changes it to lower case, in a copy if need be.
func lower(name []byte) ([]byte, error) {
	upper := false
	for i, c := range name {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
		case c >= 'A' && c <= 'Z':
			upper = true
		case c == '.' && i > 0 && name[i-1] != '.' && i < len(name)-1:
		default:
			return nil, &Error{"a server name that is not a hostname"}
		}
	}
	if !upper {
		return name, nil
	}
	out := make([]byte, len(name))
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		out[i] = c
	}
	return out, nil
}

// AlertDecode is what a broken ClientHello is told (RFC 8446 §6.2).
const AlertDecode = 50

// AppendAlert appends a fatal alert, as it is sent in the clear.
func AppendAlert(b []byte, alert byte) []byte {
	return append(b, 21, 3, 3, 0, 2, 2, alert)
}

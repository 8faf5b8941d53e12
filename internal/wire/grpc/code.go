// Package grpc is what gRPC puts into HTTP/2: status codes, messages, timeouts
// and content types (PROTOCOL-HTTP2.md of github.com/grpc/grpc). It knows bytes
// only, owns no goroutines, and imports the standard library. Anybody may import it.
package grpc

import "strconv"

// Code is a status code of gRPC.
type Code uint8

// The codes; there are no others.
const (
	OK Code = iota
	Cancelled
	Unknown
	InvalidArgument
	DeadlineExceeded
	NotFound
	AlreadyExists
	PermissionDenied
	ResourceExhausted
	FailedPrecondition
	Aborted
	OutOfRange
	Unimplemented
	Internal
	Unavailable
	DataLoss
	Unauthenticated
	// Codes is how many there are.
	Codes = iota
)

var codeNames = [Codes]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
	"INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

// String is the name that the specification gives to the code, for example "UNAVAILABLE".
func (c Code) String() string {
	if c < Codes {
		return codeNames[c]
	}
	return "CODE(" + strconv.Itoa(int(c)) + ")"
}

// codeTexts are the values of grpc-status, made once.
var codeTexts = func() (t [Codes][]byte) {
	for i := range t {
		t[i] = strconv.AppendInt(nil, int64(i), 10)
	}
	return t
}()

// Text is the value of grpc-status. It must not be changed.
func (c Code) Text() []byte {
	if c >= Codes {
		c = Unknown
	}
	return codeTexts[c]
}

// ParseCode reads a value of grpc-status: decimal, without leading zeros. A code
// that is not known reads as Unknown, as the specification asks; ok is false for
// what is no number.
func ParseCode(v []byte) (c Code, ok bool) {
	if len(v) == 0 || len(v) > 10 || v[0] == '0' && len(v) > 1 {
		return Unknown, false
	}
	n := 0
	for _, b := range v {
		if b < '0' || b > '9' {
			return Unknown, false
		}
		n = min(n*10+int(b-'0'), 1000)
	}
	if n >= Codes {
		return Unknown, true
	}
	return Code(n), true
}

// OfHTTP is the code for a status of HTTP without a grpc-status
// (http-grpc-status-mapping.md).
func OfHTTP(status int) Code {
	switch status {
	case 400:
		return Internal
	case 401:
		return Unauthenticated
	case 403:
		return PermissionDenied
	case 404:
		return Unimplemented
	case 429, 502, 503, 504:
		return Unavailable
	}
	return Unknown
}

// OfReset is the code for an error code of HTTP/2 that a stream was reset with
// (PROTOCOL-HTTP2.md, "Errors").
func OfReset(code uint32) Code {
	switch code {
	case 0x7: // REFUSED_STREAM
		return Unavailable
	case 0x8: // CANCEL
		return Cancelled
	case 0xb: // ENHANCE_YOUR_CALM
		return ResourceExhausted
	case 0xc: // INADEQUATE_SECURITY
		return PermissionDenied
	}
	return Internal
}

// HTTPStatus is the status of HTTP that says the same to those who count
// failures of servers: 500, 503 and 504 for what is the server's fault, 499 for
// a client that has gone, and else what comes nearest, as in google/rpc/code.proto.
func (c Code) HTTPStatus() int {
	switch c {
	case OK:
		return 200
	case Cancelled:
		return 499
	case InvalidArgument, FailedPrecondition, OutOfRange:
		return 400
	case DeadlineExceeded:
		return 504
	case NotFound:
		return 404
	case AlreadyExists, Aborted:
		return 409
	case PermissionDenied:
		return 403
	case ResourceExhausted:
		return 429
	case Unimplemented:
		return 501
	case Unavailable:
		return 503
	case Unauthenticated:
		return 401
	}
	return 500
}

// Fault tells whether the code says that the server could not do its work, as
// opposed to what the client asked for.
func (c Code) Fault() bool {
	switch c {
	case Unknown, DeadlineExceeded, Internal, Unavailable, DataLoss:
		return true
	}
	return false
}

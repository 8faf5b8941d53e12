package grpc

import (
	"bytes"
	"strconv"
	"time"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

var (
	contentType = []byte("application/grpc")
	// ContentType is what a reply without messages says it is.
	ContentType = contentType
	// RetryPushback is the trailer by which a server says when to try again, in
	// milliseconds, or, by anything else, not to (gRFC A6).
	RetryPushback = []byte("grpc-retry-pushback-ms")
	// PreviousAttempts is the request's header that counts the tries before (gRFC A6).
	PreviousAttempts = []byte("grpc-previous-rpc-attempts")
)

// IsContentType tells whether a content type is gRPC's own: application/grpc,
// with "+proto" and the like, or with parameters, but not gRPC-Web's.
func IsContentType(v []byte) bool {
	if len(v) < len(contentType) || !bytes.EqualFold(v[:len(contentType)], contentType) {
		return false
	}
	return len(v) == len(contentType) || v[len(contentType)] == '+' || v[len(contentType)] == ';' || v[len(contentType)] == ' '
}

// maxType bounds what of a request's content type is said again.
const maxType = 64

// ReplyType is the content type of a reply without messages to a call with that
// one: clients with a codec of their own, as in application/grpc+json, look for it.
func ReplyType(v []byte) []byte {
	if end := bytes.IndexAny(v, "; \t"); end >= 0 {
		v = v[:end]
	}
	if len(v) > maxType || !IsContentType(v) {
		return contentType
	}
	return v
}

// timeoutUnits are those of grpc-timeout.
var timeoutUnits = [...]struct {
	name byte
	unit time.Duration
}{{'n', time.Nanosecond}, {'u', time.Microsecond}, {'m', time.Millisecond}, {'S', time.Second}, {'M', time.Minute}, {'H', time.Hour}}

// MaxTimeout bounds what ParseTimeout returns; 99999999 hours do not fit a Duration.
const MaxTimeout = 292 * 365 * 24 * time.Hour

// ParseTimeout reads a value of grpc-timeout: one to eight digits and a unit.
// Zero is taken for a deadline that has passed, as servers do.
func ParseTimeout(v []byte) (d time.Duration, ok bool) {
	if len(v) < 2 || len(v) > 9 {
		return 0, false
	}
	n := int64(0)
	for _, b := range v[:len(v)-1] {
		if b < '0' || b > '9' {
			return 0, false
		}
		n = n*10 + int64(b-'0')
	}
	for _, u := range timeoutUnits {
		if u.name == v[len(v)-1] {
			if n > int64(MaxTimeout/u.unit) {
				return MaxTimeout, true
			}
			return time.Duration(n * int64(u.unit)), true
		}
	}
	return 0, false
}

// AppendTimeout appends d as a value of grpc-timeout, in the smallest unit that
// holds it, rounded down so that the server is never given more time; at least
// one nanosecond.
func AppendTimeout(dst []byte, d time.Duration) []byte {
	const most = 99_999_999
	d = max(d, 1)
	for _, u := range timeoutUnits {
		if n := d / u.unit; n <= most {
			return append(strconv.AppendInt(dst, int64(n), 10), u.name)
		}
	}
	return append(strconv.AppendInt(dst, most, 10), 'H')
}

// AppendMessage appends a message as a value of grpc-message: what is not
// printable ASCII, and "%", becomes percent-encoded (RFC 3986 §2.1).
func AppendMessage(dst []byte, message string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(message) {
		if c := message[i]; c < ' ' || c > '~' || c == '%' {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

// AppendDecoded appends what a value of grpc-message stands for. What is not
// properly encoded in it stays as it is, as the specification asks.
func AppendDecoded(dst, v []byte) []byte {
	for i := 0; i < len(v); i++ {
		if v[i] == '%' && i+2 < len(v) {
			hi, ok1 := httpmsg.Unhex(v[i+1])
			lo, ok2 := httpmsg.Unhex(v[i+2])
			if ok1 && ok2 {
				dst = append(dst, hi<<4|lo)
				i += 2
				continue
			}
		}
		dst = append(dst, v[i])
	}
	return dst
}

// ParsePushback reads a value of grpc-retry-pushback-ms; ok is false if it says
// not to try again: it is negative, or no number of an int32.
func ParsePushback(v []byte) (d time.Duration, ok bool) {
	if len(v) == 0 || len(v) > 10 {
		return 0, false
	}
	n := int64(0)
	for _, b := range v {
		if b < '0' || b > '9' {
			return 0, false
		}
		n = n*10 + int64(b-'0')
	}
	if n > 1<<31-1 {
		return 0, false
	}
	return time.Duration(n) * time.Millisecond, true
}

// SplitPath splits the path of a call, "/service/method"; ok is false for any other.
func SplitPath(path []byte) (service, method []byte, ok bool) {
	if len(path) < 4 || path[0] != '/' {
		return nil, nil, false
	}
	i := bytes.LastIndexByte(path, '/')
	if i < 2 || i == len(path)-1 {
		return nil, nil, false
	}
	return path[1:i], path[i+1:], true
}

package route

import (
	"bytes"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// hold compares the first parameter of that name, which is what the API
// recommends for repeated ones.
func (q *queryCondition) hold(r *httpmsg.Request) bool {
	raw, ok := queryValue(r.Query, q.name)
	if !ok {
		return false
	}
	if q.pattern == nil {
		return decodesTo(raw, q.value)
	}
	if bytes.IndexByte(raw, '%') < 0 && bytes.IndexByte(raw, '+') < 0 {
		return q.pattern.match(raw)
	}
	decoded := r.Arena.Alloc(len(raw))[:0]
	for len(raw) > 0 {
		c, n := decodeByte(raw)
		decoded = append(decoded, c)
		raw = raw[n:]
	}
	return q.pattern.match(decoded)
}

// queryValue returns the undecoded value of the first parameter with the
// (decoded) name. A parameter without '=' has an empty value.
func queryValue(query []byte, name string) ([]byte, bool) {
	for len(query) > 0 {
		pair := query
		if i := bytes.IndexByte(query, '&'); i >= 0 {
			pair, query = query[:i], query[i+1:]
		} else {
			query = nil
		}
		key, value := pair, []byte(nil)
		if i := bytes.IndexByte(pair, '='); i >= 0 {
			key, value = pair[:i], pair[i+1:]
		}
		if len(pair) > 0 && decodesTo(key, name) {
			return value, true
		}
	}
	return nil, false
}

// decodesTo compares the decoded form of raw with want, without storing it.
func decodesTo(raw []byte, want string) bool {
	if len(raw) < len(want) {
		return false // decoding never makes a text longer
	}
	for i := range len(want) {
		if len(raw) == 0 {
			return false
		}
		c, n := decodeByte(raw)
		if c != want[i] {
			return false
		}
		raw = raw[n:]
	}
	return len(raw) == 0
}

// decodeByte returns the next byte of application/x-www-form-urlencoded text
// and how many bytes it took. A '%' that starts no escape stands for itself.
func decodeByte(raw []byte) (byte, int) {
	switch {
	case raw[0] == '+':
		return ' ', 1
	case raw[0] == '%' && len(raw) >= 3:
		hi, ok1 := httpmsg.Unhex(raw[1])
		lo, ok2 := httpmsg.Unhex(raw[2])
		if ok1 && ok2 {
			return hi<<4 | lo, 3
		}
	}
	return raw[0], 1
}

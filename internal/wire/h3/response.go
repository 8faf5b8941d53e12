package h3

import (
	"net/http"

	"github.com/gridway/gridway/internal/wire/hpack"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/syntax"
)

// MaxInterim bounds the interim responses to one request.
const MaxInterim = 100

// TooManyInterim is the error of one more.
func TooManyInterim() *Error { return errTooManyInterim }

// DecodeResponse decodes a response's head (RFC 9114 §4.3.2) to a request of that
// method. Its slices are in the arena.
func DecodeResponse(block []byte, lim *Limits, method httpmsg.Method, r *httpmsg.Response, arena *httpmsg.Arena) *Error {
	r.Reset()
	r.Version, r.KeepAlive = httpmsg.HTTP3, true
	var p pseudoFields
	bad, fatal := decodeFields(block, lim, &r.Header, arena, &p, statusPseudo, nil)
	switch {
	case fatal != nil:
		return fatal
	case bad != nil:
		return bad
	}
	v := p.value[hpack.PseudoStatus]
	if len(v) != 3 {
		return errStatusCode
	}
	for _, b := range v {
		if b < '0' || b > '9' {
			return errStatusCode
		}
		r.Status = r.Status*10 + int(b-'0')
	}
	if r.Status < 100 || r.Status == http.StatusSwitchingProtocols { // RFC 9114 §4.5
		return errStatusCode
	}
	length := int64(-1)
	if r.Header.Has(httpmsg.NameContentLength) {
		n, ok := syntax.ParseLength(r.Header.Get(httpmsg.NameContentLength))
		if !ok || n < 0 {
			return errContentLength
		}
		length = n
	}
	switch {
	case r.Status < 200, r.Status == http.StatusNoContent, r.Status == http.StatusNotModified, method == httpmsg.MethodHead:
		r.Body, r.Length = httpmsg.BodyNone, length
	case length >= 0:
		r.Body, r.Length = httpmsg.BodyLength, length
	default:
		r.Body, r.Length = httpmsg.BodyChunked, -1
	}
	return nil
}

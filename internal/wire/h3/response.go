package h3

import (
	"net/http"

	"github.com/gridway/gridway/internal/wire/head"
	"github.com/gridway/gridway/internal/wire/httpmsg"
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
	fs := head.Fields{Header: &r.Header, Arena: arena, Allowed: head.OfResponse}
	if fatal := decodeFields(block, lim, &fs); fatal != nil {
		return fatal
	}
	if fs.Fault == head.None {
		r.Status, fs.Fault = fs.Status()
	}
	length, fault := head.Length(&r.Header)
	if fs.Fault != head.None {
		fault = fs.Fault
	}
	if fault != head.None {
		return faults[fault]
	}
	switch {
	case r.Status < 200, r.Status == http.StatusNoContent, r.Status == http.StatusNotModified, method == httpmsg.MethodHead:
		r.Body, r.Length = httpmsg.BodyNone, length
	case method == httpmsg.MethodConnect && r.Status < 300: // RFC 9110 §9.3.6: what follows is a tunnel
		r.Body, r.Length = httpmsg.BodyChunked, -1
	case length >= 0:
		r.Body, r.Length = httpmsg.BodyLength, length
	default:
		r.Body, r.Length = httpmsg.BodyChunked, -1
	}
	return nil
}

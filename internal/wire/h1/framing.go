package h1

import (
	"bytes"

	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/syntax"
)

// framing reads how the body is delimited (RFC 9112 §6.3). It returns BodyNone
// if neither field is there; what that means depends on the message.
func framing(h *httpmsg.Header, v httpmsg.Version) (httpmsg.BodyKind, int64, *Error) {
	if h.Has(httpmsg.NameTransferEncoding) {
		if h.Has(httpmsg.NameContentLength) {
			return 0, 0, errLengthAndCoding
		}
		// RFC 9112 §6.1: treat the framing of such a message as faulty.
		if v == httpmsg.HTTP10 {
			return 0, 0, errCodingIn10
		}
		if err := onlyChunked(h.Get(httpmsg.NameTransferEncoding)); err != nil {
			return 0, 0, err
		}
		return httpmsg.BodyChunked, -1, nil
	}
	if h.Has(httpmsg.NameContentLength) {
		n, err := parseLength(h.Get(httpmsg.NameContentLength))
		return httpmsg.BodyLength, n, err
	}
	return httpmsg.BodyNone, 0, nil
}

// onlyChunked accepts "chunked" alone. RFC 9112 §6.3: without chunked at the end
// the length of a request cannot be known, 400; §6.1: other codings before it
// are not implemented, 501; §7: chunked must not be applied twice, 400.
func onlyChunked(v []byte) *Error {
	if httpmsg.EqualFold(v, "chunked") {
		return nil
	}
	others := 0
	for {
		item, rest, more := bytes.Cut(v, comma)
		item = httpmsg.TrimOWS(item)
		if !syntax.IsToken(item) {
			return errCoding // empty items and parameters too
		}
		chunked := httpmsg.EqualFold(item, "chunked")
		if chunked == more {
			return errCoding // in front, or not at the end
		}
		if !more {
			break
		}
		others++
		v = rest
	}
	if others > 0 {
		return errUnknownCoding
	}
	return nil
}

var comma = []byte(",")

func parseLength(v []byte) (int64, *Error) {
	switch n, ok := syntax.ParseLength(v); {
	case !ok:
		return 0, errLength
	case n < 0:
		return 0, errLengthOverflow
	default:
		return n, nil
	}
}

// maxConnectionOptions bounds the work of StripHopByHop, which looks for a field
// of each.
const maxConnectionOptions = 32

// connection reads the Connection options (RFC 9110 §7.6.1, RFC 9112 §9.3).
func connection(h *httpmsg.Header, v httpmsg.Version) (keepAlive, upgrade bool, e *Error) {
	keepAlive = v == httpmsg.HTTP11
	if !h.Has(httpmsg.NameConnection) {
		return keepAlive, false, nil
	}
	closing := false
	options := 0
	for i := range h.Len() {
		f := h.At(i)
		if f.ID != httpmsg.NameConnection {
			continue
		}
		for item, rest := httpmsg.NextItem(f.Value); item != nil; item, rest = httpmsg.NextItem(rest) {
			if options++; options > maxConnectionOptions {
				return false, false, errConnection
			}
			switch {
			case httpmsg.EqualFold(item, "keep-alive"):
				keepAlive = true
			case httpmsg.EqualFold(item, "close"):
				closing = true
			case httpmsg.EqualFold(item, "upgrade"):
				upgrade = true
			}
		}
	}
	return keepAlive && !closing, upgrade, nil
}

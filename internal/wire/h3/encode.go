package h3

import (
	"bytes"
	"strconv"

	"github.com/gridway/gridway/internal/wire/hpack"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// unsent are the fields that are made here, or that HTTP/3 does not have.
var unsent = httpmsg.MakeNameSet(
	httpmsg.NameHost, httpmsg.NameContentLength, httpmsg.NameTransferEncoding, httpmsg.NameConnection,
	httpmsg.NameKeepAlive, httpmsg.NameProxyConnection, httpmsg.NameUpgrade, httpmsg.NameHTTP2Settings,
)

// Places in the static table.
const (
	staticAuthority = 0
	staticPath      = 1
	staticLength    = 4
	staticConnect   = 15
	staticHTTP      = 22
	staticHTTPS     = 23
	staticStatus    = 24
)

var methodIndex = map[httpmsg.Method]uint8{
	httpmsg.MethodConnect: 15, httpmsg.MethodDelete: 16, httpmsg.MethodGet: 17, httpmsg.MethodHead: 18,
	httpmsg.MethodOptions: 19, httpmsg.MethodPost: 20, httpmsg.MethodPut: 21,
}

var statusIndex = map[int]uint8{
	103: 24, 200: 25, 304: 26, 404: 27, 503: 28, 100: 63, 204: 64, 206: 65, 302: 66, 400: 67, 403: 68, 421: 69, 425: 70, 500: 71,
}

// beginSection appends the prefix of a section without a dynamic table (RFC 9204 §4.5.1).
func beginSection(dst []byte) []byte { return append(dst, 0, 0) }

func appendIndexed(dst []byte, i uint8) []byte { return hpack.AppendInt(dst, 0xc0, 6, uint32(i)) }

func appendNamed(dst []byte, i uint8, value []byte, sensitive bool) []byte {
	first := byte(0x50)
	if sensitive {
		first |= 0x20
	}
	return hpack.AppendString(hpack.AppendInt(dst, first, 4, uint32(i)), 0, 7, value)
}

// appendField appends a field in the shortest form that the static table has.
func appendField(dst []byte, f *httpmsg.Field) []byte {
	if f.ID != httpmsg.NameOther {
		if at := staticNames[f.ID]; len(at) > 0 {
			for _, i := range at {
				if !f.Sensitive && bytes.Equal(static[i].Value, f.Value) {
					return appendIndexed(dst, i)
				}
			}
			return appendNamed(dst, at[0], f.Value, f.Sensitive)
		}
	}
	first := byte(0x20)
	if f.Sensitive {
		first |= 0x10
	}
	if f.ID != httpmsg.NameOther {
		dst = hpack.AppendString(dst, first, 3, f.ID.Lower())
	} else {
		dst = appendLower(dst, first, f.Name)
	}
	return hpack.AppendString(dst, 0, 7, f.Value)
}

// appendLower appends a name in lower case (RFC 9114 §4.2).
func appendLower(dst []byte, first byte, name []byte) []byte {
	var room [64]byte
	lower := append(room[:0], name...)
	for i, c := range lower {
		if 'A' <= c && c <= 'Z' {
			lower[i] = c | 0x20
		}
	}
	return hpack.AppendString(dst, first, 3, lower)
}

func appendFields(dst []byte, h *httpmsg.Header) []byte {
	for i := range h.Len() {
		if f := h.At(i); !unsent.Has(f.ID) {
			dst = appendField(dst, f)
		}
	}
	return dst
}

func appendLength(dst []byte, n int64) []byte {
	var digits [20]byte
	return appendField(dst, &httpmsg.Field{ID: httpmsg.NameContentLength, Value: strconv.AppendInt(digits[:0], n, 10)})
}

var protocolName = []byte(":protocol")

// AppendRequest appends the field section of a request's head. One that asks for
// another protocol is an extended CONNECT (RFC 9220 §3).
func AppendRequest(dst []byte, r *httpmsg.Request) []byte {
	dst = beginSection(dst)
	method, extended := r.MethodID, len(r.Upgrade) > 0
	if extended {
		method = httpmsg.MethodConnect
	}
	if i, ok := methodIndex[method]; ok {
		dst = appendIndexed(dst, i)
	} else {
		dst = appendNamed(dst, staticConnect, r.Method, false)
	}
	if extended {
		dst = hpack.AppendString(hpack.AppendString(dst, 0x20, 3, protocolName), 0, 7, r.Upgrade)
	}
	if method != httpmsg.MethodConnect || extended {
		scheme := uint8(staticHTTPS)
		if r.Scheme == "http" {
			scheme = staticHTTP
		}
		dst = appendIndexed(dst, scheme)
		switch {
		case r.HasQuery:
			var at [512]byte
			dst = appendNamed(dst, staticPath, r.AppendPathAndQuery(at[:0]), false)
		case len(r.Path) == 1 && r.Path[0] == '/':
			dst = appendIndexed(dst, staticPath)
		default:
			dst = appendNamed(dst, staticPath, r.Path, false)
		}
	}
	dst = appendNamed(dst, staticAuthority, r.Host, false)
	dst = appendFields(dst, &r.Header)
	if r.Body == httpmsg.BodyLength && method != httpmsg.MethodConnect {
		dst = appendLength(dst, r.Length)
	}
	return dst
}

// AppendResponse appends the field section of a response's head, final or interim.
func AppendResponse(dst []byte, r *httpmsg.Response) []byte {
	dst = beginSection(dst)
	if i, ok := statusIndex[r.Status]; ok {
		dst = appendIndexed(dst, i)
	} else {
		var digits [20]byte
		dst = appendNamed(dst, staticStatus, strconv.AppendInt(digits[:0], int64(r.Status), 10), false)
	}
	dst = appendFields(dst, &r.Header)
	switch {
	case r.Status < 200, r.Status == 204: // RFC 9110 §8.6
	case r.Body == httpmsg.BodyLength:
		dst = appendLength(dst, r.Length)
	case r.Body == httpmsg.BodyNone && r.Header.Has(httpmsg.NameContentLength):
		// The answer to HEAD, or 304: what a GET would have had.
		dst = appendField(dst, &httpmsg.Field{ID: httpmsg.NameContentLength, Value: r.Header.Get(httpmsg.NameContentLength)})
	}
	return dst
}

// AppendTrailer appends the field section after the content.
func AppendTrailer(dst []byte, h *httpmsg.Header) []byte {
	return appendFields(beginSection(dst), h)
}

package h1

import (
	"strconv"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// written are the fields that the writers make themselves.
var written = httpmsg.MakeNameSet(
	httpmsg.NameHost, httpmsg.NameContentLength, httpmsg.NameTransferEncoding, httpmsg.NameConnection,
	httpmsg.NameKeepAlive, httpmsg.NameProxyConnection, httpmsg.NameUpgrade, httpmsg.NameHTTP2Settings,
)

// AppendRequest appends the head of r as it is sent upstream: always HTTP/1.1,
// in origin form (RFC 9112 §3.2.1; the authority for CONNECT), Host from r.Host,
// and the framing from r.Body and r.Length. The fields are written as they are:
// names and values must hold no CR, LF or NUL, as parsed and compiled ones do not.
//
// r.Upgrade makes it an upgrade. The upstream connection is kept open unless
// r.Header has "Connection: close"; other Connection options are not written.
func AppendRequest(dst []byte, r *httpmsg.Request) []byte {
	dst = append(dst, r.Method...)
	dst = append(dst, ' ')
	if r.MethodID == httpmsg.MethodConnect {
		dst = append(dst, r.Host...)
	} else {
		dst = r.AppendPathAndQuery(dst)
	}
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, r.Host...)
	dst = append(dst, "\r\n"...)
	dst = appendFields(dst, &r.Header)
	switch r.Body {
	case httpmsg.BodyLength:
		dst = appendLength(dst, r.Length)
	case httpmsg.BodyChunked, httpmsg.BodyUntilClose: // a request cannot end with its connection
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	switch {
	case len(r.Upgrade) > 0:
		dst = appendUpgrade(dst, r.Upgrade)
	case r.Header.Has(httpmsg.NameConnection) && r.Header.HasToken(httpmsg.NameConnection, "close"):
		dst = append(dst, "Connection: close\r\n"...)
	case r.Header.Has(httpmsg.NameTE): // RFC 9110 §10.1.4
		dst = append(dst, "Connection: TE\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// AppendResponse appends the head of r as it is sent to a client of that
// version. keepAlive is whether the connection goes on; it must be false for
// BodyUntilClose, and for BodyChunked to an HTTP/1.0 client, whose body is sent
// without chunks. Heads of 1xx other than 101 have neither framing nor Connection.
func AppendResponse(dst []byte, r *httpmsg.Response, keepAlive bool, clientVersion httpmsg.Version) []byte {
	dst = appendStatusLine(dst, r)
	dst = appendFields(dst, &r.Header)
	switch {
	case r.Status == 101:
		dst = appendUpgrade(dst, r.Upgrade)
		return append(dst, "\r\n"...)
	case r.Status < 200:
		return append(dst, "\r\n"...)
	case r.Body == httpmsg.BodyLength && r.Status != 204: // RFC 9110 §8.6
		dst = appendLength(dst, r.Length)
	case r.Body == httpmsg.BodyChunked && clientVersion != httpmsg.HTTP10 && r.Status != 204:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case r.Body == httpmsg.BodyNone && r.Status != 204 && r.Header.Has(httpmsg.NameContentLength):
		// The answer to HEAD, or 304: what a GET would have had.
		dst = append(dst, "Content-Length: "...)
		dst = append(dst, r.Header.Get(httpmsg.NameContentLength)...)
		dst = append(dst, "\r\n"...)
	}
	switch {
	case r.Status == 426 && len(r.Upgrade) > 0: // RFC 9110 §15.5.22
		dst = append(dst, "Upgrade: "...)
		dst = append(dst, r.Upgrade...)
		if keepAlive {
			dst = append(dst, "\r\nConnection: Upgrade\r\n"...)
		} else {
			dst = append(dst, "\r\nConnection: close, Upgrade\r\n"...)
		}
	case !keepAlive:
		dst = append(dst, "Connection: close\r\n"...)
	case clientVersion == httpmsg.HTTP10:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	return append(dst, "\r\n"...)
}

func appendStatusLine(dst []byte, r *httpmsg.Response) []byte {
	if r.Status == 200 && len(r.Reason) == 0 {
		return append(dst, "HTTP/1.1 200 OK\r\n"...)
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = append(dst, byte('0'+r.Status/100%10), byte('0'+r.Status/10%10), byte('0'+r.Status%10), ' ')
	if len(r.Reason) > 0 {
		dst = append(dst, r.Reason...)
	} else {
		dst = append(dst, httpmsg.StatusText(r.Status)...)
	}
	return append(dst, "\r\n"...)
}

func appendFields(dst []byte, h *httpmsg.Header) []byte {
	for i := range h.Len() {
		f := h.At(i)
		if written.Has(f.ID) {
			continue
		}
		dst = append(dst, f.Name...)
		dst = append(dst, ": "...)
		dst = append(dst, f.Value...)
		dst = append(dst, "\r\n"...)
	}
	return dst
}

func appendLength(dst []byte, n int64) []byte {
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, "\r\n"...)
}

func appendUpgrade(dst, protocol []byte) []byte {
	dst = append(dst, "Connection: Upgrade\r\nUpgrade: "...)
	dst = append(dst, protocol...)
	return append(dst, "\r\n"...)
}

package h1

import (
	"net/http"

	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/syntax"
)

// ParseResponse parses a complete response head. See ParseResponseHead.
func ParseResponse(head []byte, r *httpmsg.Response, method httpmsg.Method, lim *Limits) error {
	n, err := ParseResponseHead(head, r, method, lim)
	switch {
	case err != nil:
		return err
	case n == 0:
		return upstream(errIncomplete)
	case n < len(head):
		return upstream(errTrailingData)
	}
	return nil
}

// ParseResponseHead parses the response head at the start of buf, which answers
// a request of that method, and returns its length; 0 without an error means
// that more must arrive. An error is an *Error of status 502.
//
// It resets r first and fills all but Trailer. Body is BodyNone for HEAD, 1xx,
// 204, 304 and a successful CONNECT (RFC 9112 §6.3); Length then is what
// Content-Length announced, and -1 if it did not.
func ParseResponseHead(buf []byte, r *httpmsg.Response, method httpmsg.Method, lim *Limits) (n int, err error) {
	l := lim.resolve()
	r.Reset()
	b := buf
	if len(b) > l.HeaderBytes {
		b = b[:l.HeaderBytes]
	}
	n, e := parseResponse(b, r, method, &l)
	if e != nil {
		return 0, upstream(e)
	}
	if n == 0 && len(buf) >= l.HeaderBytes {
		return 0, upstream(errHeadTooLarge)
	}
	return n, nil
}

// upstream makes a response's error of a request's.
func upstream(e *Error) *Error {
	return &Error{Status: http.StatusBadGateway, Code: e.Code, Message: e.Message}
}

func parseResponse(b []byte, r *httpmsg.Response, method httpmsg.Method, l *Limits) (int, *Error) {
	i, e := parseStatusLine(b, r)
	if i == 0 || e != nil {
		return 0, e
	}
	n, e := parseFields(b, i, &r.Header, l.HeaderCount, nil)
	if n == 0 || e != nil {
		return 0, e
	}
	if e := responseBody(r, method); e != nil {
		return 0, e
	}
	keepAlive, _, e := connection(&r.Header, r.Version)
	if e != nil {
		return 0, e
	}
	r.KeepAlive = keepAlive && r.Body != httpmsg.BodyUntilClose
	if r.Status == http.StatusSwitchingProtocols {
		r.Upgrade = r.Header.Get(httpmsg.NameUpgrade)
		if len(r.Upgrade) == 0 {
			return 0, errUpgradeUnexpected
		}
		r.KeepAlive = false
	}
	// A 1xx or 204 that announces content may send it, and then the next
	// response would start with it.
	if bodiless(r.Status) && (r.Header.Has(httpmsg.NameTransferEncoding) || r.Length > 0) {
		r.KeepAlive = false
	}
	return n, nil
}

// bodiless are the statuses that never announce content (RFC 9110 §8.6).
func bodiless(status int) bool { return status < 200 || status == http.StatusNoContent }

// responseBody decides by RFC 9112 §6.3.
func responseBody(r *httpmsg.Response, method httpmsg.Method) *Error {
	kind, length, e := framing(&r.Header, r.Version)
	if e != nil {
		return e
	}
	switch {
	case bodiless(r.Status), r.Status == http.StatusNotModified, method == httpmsg.MethodHead,
		method == httpmsg.MethodConnect && r.Status < 300:
		if kind == httpmsg.BodyNone {
			length = -1
		}
		kind = httpmsg.BodyNone
	case kind == httpmsg.BodyNone:
		kind, length = httpmsg.BodyUntilClose, -1
	}
	r.Body, r.Length = kind, length
	return nil
}

// parseStatusLine parses VERSION SP 3DIGIT [ SP [ REASON ] ] CRLF (RFC 9112 §4).
// Servers that leave the second space away with the reason are common.
func parseStatusLine(b []byte, r *httpmsg.Response) (int, *Error) {
	const size = len("HTTP/1.1 200")
	v, e := parseVersion(b)
	if e != nil || v == 0 {
		return 0, e
	}
	for i := size - 4; i < size; i++ {
		if i == len(b) {
			return 0, nil
		}
		if c := b[i]; i == size-4 && c != ' ' || i > size-4 && (c < '0' || c > '9') {
			return 0, errStatusLine
		}
	}
	r.Status = int(b[9]-'0')*100 + int(b[10]-'0')*10 + int(b[11]-'0')
	if r.Status < 100 {
		return 0, errStatusLine
	}
	i := size
	if i < len(b) && b[i] == ' ' {
		i++
		r.Reason = b[i:]
		i = syntax.EndOfText(b, i)
		r.Reason = r.Reason[: len(r.Reason)-(len(b)-i) : len(r.Reason)-(len(b)-i)]
	}
	switch {
	case i == len(b):
		return 0, nil
	case b[i] == '\n':
		return 0, errBareLF
	case b[i] != '\r' && i == size:
		return 0, errStatusLine
	case b[i] != '\r':
		return 0, errControl
	case i+1 == len(b):
		return 0, nil
	case b[i+1] != '\n':
		return 0, errBareCR
	}
	r.Version = v
	return i + 2, nil
}

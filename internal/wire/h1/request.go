package h1

import (
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/syntax"
)

// ParseRequest parses a complete head: the request line, the fields and the
// blank line, with empty lines before it tolerated. See ParseRequestHead.
func ParseRequest(head []byte, r *httpmsg.Request, lim *Limits) error {
	n, err := ParseRequestHead(head, r, lim)
	switch {
	case err != nil:
		return err
	case n == 0:
		return errIncomplete
	case n < len(head):
		return errTrailingData
	}
	return nil
}

// ParseRequestHead parses the head at the start of buf and returns its length;
// 0 without an error means that more must arrive. An error is an *Error, and
// comes as soon as the bytes so far cannot become a request.
//
// It resets r first, but for Scheme, and fills all but Trailer. Header keeps
// every field except Host, hop-by-hop ones too: see StripHopByHop. For CONNECT
// Path is "/" and Host is the target.
func ParseRequestHead(buf []byte, r *httpmsg.Request, lim *Limits) (n int, err error) {
	l := lim.resolve()
	r.Reset()
	b := buf
	if len(b) > l.HeaderBytes {
		b = b[:l.HeaderBytes]
	}
	n, e := parseRequest(b, r, &l)
	if e != nil {
		return 0, e
	}
	if n == 0 && len(buf) >= l.HeaderBytes {
		if r.Version == 0 {
			return 0, errTargetTooLong
		}
		return 0, errHeadTooLarge
	}
	return n, nil
}

func parseRequest(b []byte, r *httpmsg.Request, l *Limits) (int, *Error) {
	i, form, e := parseRequestLine(b, SkipBlank(b), r, l)
	if i == 0 || e != nil {
		return 0, e
	}
	var host []byte
	n, e := parseFields(b, i, &r.Header, l.HeaderCount, &host)
	if n == 0 || e != nil {
		return 0, e
	}
	if e := resolveHost(r, form, host); e != nil {
		return 0, e
	}
	r.Body, r.Length, e = framing(&r.Header, r.Version)
	if e != nil {
		return 0, e
	}
	// RFC 9110 §9.3.6, §9.3.8. What follows such a head is another message to one
	// server and content to another.
	if r.Body != httpmsg.BodyNone && r.Length != 0 &&
		(r.MethodID == httpmsg.MethodConnect || r.MethodID == httpmsg.MethodTrace) {
		return 0, errUnexpectedContent
	}
	var upgrade bool
	r.KeepAlive, upgrade, e = connection(&r.Header, r.Version)
	if e != nil {
		return 0, e
	}
	if upgrade && r.Version == httpmsg.HTTP11 {
		r.Upgrade = requestedUpgrade(&r.Header)
	}
	if r.Header.Has(httpmsg.NameExpect) {
		if e := expectation(r); e != nil {
			return 0, e
		}
	}
	return n, nil
}

// parseRequestLine parses METHOD SP TARGET SP VERSION CRLF (RFC 9112 §3) at
// b[i:] and returns the index after it, 0 if it is not complete.
func parseRequestLine(b []byte, i int, r *httpmsg.Request, l *Limits) (int, targetForm, *Error) {
	j := i
	if i+4 <= len(b) && string(b[i:i+4]) == "GET " {
		j += 3
		r.MethodID = httpmsg.MethodGet
	} else {
		for j < len(b) && syntax.IsTokenByte(b[j]) {
			j++
		}
		if j == len(b) {
			return 0, 0, nil
		}
		if b[j] != ' ' || j == i {
			return 0, 0, notMethod(b, i, j)
		}
		r.MethodID = httpmsg.LookupMethod(b[i:j])
	}
	r.Method = b[i:j:j]
	i = j + 1

	t := syntax.ScanTarget(b, i)
	if t.End-i > l.TargetBytes {
		return 0, 0, errTargetTooLong
	}
	if t.End == len(b) {
		return 0, 0, nil
	}
	if t.End == i && b[i] == ' ' {
		return 0, 0, errRequestLine
	}
	if b[t.End] != ' ' {
		return 0, 0, notTarget(b, i, t.End)
	}
	// The version comes first: what is not HTTP/1 has other rules for targets.
	next, v, e := parseVersionLine(b, t.End+1)
	if next == 0 || e != nil {
		return 0, 0, e
	}
	r.Target = b[i:t.End:t.End]
	form, e := parseTarget(r, t, i, l)
	if e != nil {
		return 0, 0, e
	}
	r.Version = v
	return next, form, nil
}

// parseVersionLine parses HTTP-version CRLF at b[i:] and returns the index after
// it, 0 if it is not complete.
func parseVersionLine(b []byte, i int) (int, httpmsg.Version, *Error) {
	const line = "HTTP/1.1\r\n"
	if i+len(line) <= len(b) && string(b[i:i+len(line)]) == line {
		return i + len(line), httpmsg.HTTP11, nil
	}
	v, e := parseVersion(b[i:])
	if v == 0 || e != nil {
		return 0, 0, e
	}
	i += len("HTTP/1.1")
	switch {
	case i == len(b):
		return 0, 0, nil
	case b[i] == '\n':
		return 0, 0, errBareLF
	case b[i] != '\r':
		return 0, 0, errVersion
	case i+1 == len(b):
		return 0, 0, nil
	case b[i+1] != '\n':
		return 0, 0, errBareCR
	}
	return i + 2, v, nil
}

func notMethod(b []byte, i, j int) *Error {
	switch {
	case b[j] == '\n':
		return errBareLF
	case b[j] == '\r' && j == i:
		if j+1 == len(b) {
			return nil
		}
		return errBareCR
	case j > i && b[j] == '\r':
		return errRequestLine
	}
	return errMethod
}

// parseVersion parses HTTP-version (RFC 9112 §2.3) at the start of b: 0 if it is
// not complete. A higher minor version of HTTP/1 is taken as 1.1 (RFC 9110 §2.5).
func parseVersion(b []byte) (httpmsg.Version, *Error) {
	const form = "HTTP/0.0"
	for i := range len(form) {
		if i == len(b) {
			return 0, nil
		}
		c := b[i]
		if digit := form[i] == '0'; digit && (c < '0' || c > '9') || !digit && c != form[i] {
			if c == '\n' {
				return 0, errBareLF
			}
			return 0, errVersion
		}
	}
	if b[5] != '1' {
		return 0, errVersionMajor
	}
	if b[7] == '0' {
		return httpmsg.HTTP10, nil
	}
	return httpmsg.HTTP11, nil
}

// expectation reads Expect (RFC 9110 §10.1.1). HTTP/1.0 has none, and without
// content there is nothing to wait for: the field is removed then, lest it be
// taken seriously in the HTTP/1.1 request that goes upstream.
func expectation(r *httpmsg.Request) *Error {
	if r.Version == httpmsg.HTTP11 {
		for i := range r.Header.Len() {
			f := r.Header.At(i)
			if f.ID == httpmsg.NameExpect && !httpmsg.EqualFold(f.Value, "100-continue") {
				return errExpectation
			}
		}
		if r.Body == httpmsg.BodyChunked || r.Length > 0 {
			r.ExpectContinue = true
			return nil
		}
	}
	r.Header.Del(httpmsg.NameExpect)
	return nil
}

// requestedUpgrade returns the Upgrade field of a request, or nil if a proxy
// must not pass it on: a connection that speaks h2c, another HTTP or TLS behind
// the proxy's back could carry requests that no route or policy has seen.
func requestedUpgrade(h *httpmsg.Header) []byte {
	if h.Count(httpmsg.NameUpgrade) != 1 {
		return nil
	}
	v := h.Get(httpmsg.NameUpgrade)
	for item, rest := httpmsg.NextItem(v); item != nil; item, rest = httpmsg.NextItem(rest) {
		if hasPrefixFold(item, "h2") || hasPrefixFold(item, "http") || hasPrefixFold(item, "tls") {
			return nil
		}
	}
	return v
}

func hasPrefixFold(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && httpmsg.EqualFold(b[:len(prefix)], prefix)
}

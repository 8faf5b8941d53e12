package h2

import (
	"net/http"

	"github.com/gridway/gridway/internal/wire/hpack"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/syntax"
)

// decodeRequest decodes a request's head (RFC 9113 §8.3.1). bad is set if it is
// malformed, or, with a Status, if HTTP does not allow it.
func (c *Conn) decodeRequest(block []byte, r *httpmsg.Request, end bool) (bad, fatal *Error) {
	r.Reset()
	r.Version, r.KeepAlive = httpmsg.HTTP2, true
	var p pseudoFields
	var host []byte
	bad, fatal = c.decodeFields(block, &r.Header, &r.Arena, &p, requestPseudo, &host)
	if fatal != nil {
		return nil, fatal
	}
	r.Method = p.value[hpack.PseudoMethod]
	r.MethodID = httpmsg.LookupMethod(r.Method)
	r.Target = p.value[hpack.PseudoPath]
	if bad != nil {
		if bad.Status != 0 && c.checkPseudo(r, &p) == nil {
			// For the reply's log, as far as it goes.
			_ = resolveHost(r, p.value[hpack.PseudoAuthority], p.has(hpack.PseudoAuthority), host)
			_ = resolveTarget(r, &p, c.cfg.MergeSlashes)
		}
		if len(r.Path) == 0 {
			r.Path = slash
		}
		return bad, nil
	}
	// What is malformed goes before what is only refused.
	if bad = c.checkPseudo(r, &p); bad != nil {
		return bad, nil
	}
	if bad = requestBody(r, end); bad != nil {
		return bad, nil
	}
	if bad = resolveHost(r, p.value[hpack.PseudoAuthority], p.has(hpack.PseudoAuthority), host); bad == nil {
		bad = resolveTarget(r, &p, c.cfg.MergeSlashes)
	}
	if bad == nil && r.Header.Has(httpmsg.NameExpect) {
		bad = expectation(r)
	}
	if bad != nil && len(r.Path) == 0 {
		r.Path = slash
	}
	return bad, nil
}

var slash = []byte("/")

// checkPseudo checks which pseudo-header fields are there.
func (c *Conn) checkPseudo(r *httpmsg.Request, p *pseudoFields) *Error {
	if !p.has(hpack.PseudoMethod) {
		return errPseudo
	}
	if r.MethodID == httpmsg.MethodOther && !syntax.IsToken(r.Method) {
		return errMethod
	}
	const target = 1<<hpack.PseudoScheme | 1<<hpack.PseudoPath
	protocol := p.has(hpack.PseudoProtocol)
	if protocol && (!c.cfg.ExtendedConnect || r.MethodID != httpmsg.MethodConnect || !syntax.IsToken(p.value[hpack.PseudoProtocol])) {
		return errPseudo
	}
	if r.MethodID == httpmsg.MethodConnect && !protocol {
		// RFC 9113 §8.5
		if p.seen&target != 0 || !p.has(hpack.PseudoAuthority) {
			return errPseudo
		}
		return nil
	}
	if p.seen&target != target || len(r.Target) == 0 {
		return errPseudo
	}
	if protocol {
		if !p.has(hpack.PseudoAuthority) { // RFC 8441 §4
			return errPseudo
		}
		r.Upgrade = p.value[hpack.PseudoProtocol]
	}
	return nil
}

// requestBody reads how long the content is (RFC 9113 §8.1.1).
func requestBody(r *httpmsg.Request, end bool) *Error {
	announced := r.Header.Has(httpmsg.NameContentLength)
	var length int64
	if announced {
		n, ok := syntax.ParseLength(r.Header.Get(httpmsg.NameContentLength))
		if !ok || n < 0 {
			return errContentLength
		}
		length = n
	}
	tunnel := r.MethodID == httpmsg.MethodConnect
	switch {
	case end && length != 0:
		return errLengthMismatch
	case end && !announced:
		r.Body, r.Length = httpmsg.BodyNone, 0
	case announced && !tunnel:
		r.Body, r.Length = httpmsg.BodyLength, length
	case end:
		r.Body, r.Length = httpmsg.BodyNone, 0
	default:
		r.Body, r.Length = httpmsg.BodyChunked, -1
	}
	if r.MethodID == httpmsg.MethodTrace && r.Length != 0 { // RFC 9110 §9.3.8
		return errUnexpectedContent
	}
	return nil
}

// resolveHost decides which host the request is for: :authority, or the Host
// field if there is none (RFC 9113 §8.3.1).
func resolveHost(r *httpmsg.Request, authority []byte, has bool, field []byte) *Error {
	var host []byte
	if field != nil {
		var ok bool
		if host, _, ok = syntax.ParseAuthority(field, &r.Arena); !ok {
			return errHost
		}
	}
	if !has {
		if host == nil {
			return errHost
		}
		r.Host = host
		return nil
	}
	name, port, ok := syntax.ParseAuthority(authority, &r.Arena)
	tunnel := r.MethodID == httpmsg.MethodConnect && len(r.Upgrade) == 0
	switch {
	case tunnel && (!ok || !port):
		return errConnectTarget
	case !ok, host != nil && string(host) != string(name):
		return errHost
	}
	r.Host = name
	return nil
}

// resolveTarget checks scheme and path, and splits the path from the query.
func resolveTarget(r *httpmsg.Request, p *pseudoFields, merge bool) *Error {
	if r.MethodID == httpmsg.MethodConnect && len(r.Upgrade) == 0 {
		r.Path = slash
		r.Target = r.Host
		return nil
	}
	if s := p.value[hpack.PseudoScheme]; !httpmsg.EqualFold(s, "http") && !httpmsg.EqualFold(s, "https") {
		return errScheme
	}
	b := r.Target
	if len(b) == 1 && b[0] == '*' {
		if r.MethodID != httpmsg.MethodOptions {
			return errPath
		}
		r.Path = b
		return nil
	}
	if b[0] != '/' {
		return errPath
	}
	t := syntax.ScanTarget(b, 0)
	if t.End != len(b) || t.Unsafe() {
		return errPath
	}
	if t.Query < t.End {
		r.Query, r.HasQuery = b[t.Query+1:], true
	}
	var ok bool
	if r.Path, ok = t.Path(&r.Arena, b[:t.Query:t.Query], merge); !ok {
		return errPath
	}
	return nil
}

// expectation reads Expect (RFC 9110 §10.1.1). Without content there is nothing
// to wait for.
func expectation(r *httpmsg.Request) *Error {
	for i := range r.Header.Len() {
		if f := r.Header.At(i); f.ID == httpmsg.NameExpect && !httpmsg.EqualFold(f.Value, "100-continue") {
			return errExpectation
		}
	}
	if r.Body == httpmsg.BodyChunked || r.Length > 0 {
		r.ExpectContinue = true
	} else {
		r.Header.Del(httpmsg.NameExpect)
	}
	return nil
}

// decodeResponse decodes a response's head to where the stream wants it (RFC
// 9113 §8.3.2).
func (c *Conn) decodeResponse(block []byte, s *Stream, end bool) (bad, fatal *Error) {
	r := s.resp
	r.Reset()
	r.Version, r.KeepAlive = httpmsg.HTTP2, true
	var p pseudoFields
	bad, fatal = c.decodeFields(block, &r.Header, s.arena, &p, statusPseudo, nil)
	switch {
	case fatal != nil:
		return nil, fatal
	case bad != nil:
		return bad, nil
	}
	v := p.value[hpack.PseudoStatus]
	if len(v) != 3 {
		return errStatusCode, nil
	}
	for _, b := range v {
		if b < '0' || b > '9' {
			return errStatusCode, nil
		}
		r.Status = r.Status*10 + int(b-'0')
	}
	// RFC 9113 §8.6: there is no 101. §8.1: an interim response does not end a stream.
	if r.Status < 100 || r.Status == http.StatusSwitchingProtocols || r.Status < 200 && end {
		return errStatusCode, nil
	}
	return responseBody(s, end), nil
}

// responseBody decides how long the content is (RFC 9110 §6.4.1, §8.6).
func responseBody(s *Stream, end bool) *Error {
	r := s.resp
	announced := r.Header.Has(httpmsg.NameContentLength)
	length := int64(-1)
	if announced {
		n, ok := syntax.ParseLength(r.Header.Get(httpmsg.NameContentLength))
		if !ok || n < 0 {
			return errContentLength
		}
		length = n
	}
	s.left = -1
	switch {
	case r.Status < 200, r.Status == http.StatusNoContent, r.Status == http.StatusNotModified, s.head:
		r.Body, r.Length = httpmsg.BodyNone, length
		if r.Status >= 200 {
			s.left = 0
		}
	case s.connect && r.Status < 300: // RFC 9110 §9.3.6: what follows is a tunnel
		r.Body, r.Length = httpmsg.BodyChunked, -1
	case end:
		if length > 0 {
			return errLengthMismatch
		}
		r.Body, r.Length = httpmsg.BodyLength, 0
	case announced:
		r.Body, r.Length = httpmsg.BodyLength, length
		s.left = length
	default:
		r.Body, r.Length = httpmsg.BodyChunked, -1
	}
	return nil
}

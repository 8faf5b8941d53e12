package h3

import (
	"github.com/gridway/gridway/internal/wire/hpack"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/syntax"
)

var slash = []byte("/")

// DecodeRequest decodes a request's head (RFC 9114 §4.3.1). Content may follow;
// where none does, EndRequest says so. With an error that has a Status the request
// is complete enough to be answered.
func DecodeRequest(block []byte, lim *Limits, r *httpmsg.Request) *Error {
	r.Reset()
	r.Version, r.KeepAlive = httpmsg.HTTP3, true
	var p pseudoFields
	var host []byte
	bad, fatal := decodeFields(block, lim, &r.Header, &r.Arena, &p, requestPseudo, &host)
	if fatal != nil {
		return fatal
	}
	r.Method = p.value[hpack.PseudoMethod]
	r.MethodID = httpmsg.LookupMethod(r.Method)
	r.Target = p.value[hpack.PseudoPath]
	if bad == nil {
		// What is malformed goes before what is only refused.
		if bad = checkPseudo(r, &p); bad == nil {
			bad = requestLength(r)
		}
		if bad != nil && bad.Status == 0 {
			return bad
		}
	} else if bad.Status != 0 && checkPseudo(r, &p) != nil {
		r.Path = slash
		return bad
	}
	// With an error too, as far as it goes: the reply's log has it.
	if e := resolveHost(r, p.value[hpack.PseudoAuthority], p.has(hpack.PseudoAuthority), host); bad == nil {
		bad = e
	}
	if e := resolveTarget(r, &p, lim.MergeSlashes); bad == nil {
		bad = e
	}
	if bad == nil && r.Header.Has(httpmsg.NameExpect) {
		bad = expectation(r)
	}
	if len(r.Path) == 0 {
		r.Path = slash
	}
	return bad
}

// TooLarge makes r the request of a head that is too large to be read.
func TooLarge(r *httpmsg.Request) *Error {
	r.Reset()
	r.Version, r.KeepAlive, r.Path = httpmsg.HTTP3, true, slash
	r.Body, r.Length = httpmsg.BodyNone, 0
	return errHeaderTooLarge
}

// EndRequest says that no content follows the head.
func EndRequest(r *httpmsg.Request) *Error {
	if r.Length > 0 {
		return errLengthMismatch
	}
	if r.Body == httpmsg.BodyChunked {
		r.Body, r.Length = httpmsg.BodyNone, 0
	}
	if r.ExpectContinue { // there is nothing to wait for
		r.ExpectContinue = false
		r.Header.Del(httpmsg.NameExpect)
	}
	return nil
}

// checkPseudo checks which pseudo-header fields are there.
func checkPseudo(r *httpmsg.Request, p *pseudoFields) *Error {
	if !p.has(hpack.PseudoMethod) {
		return errPseudo
	}
	if r.MethodID == httpmsg.MethodOther && !syntax.IsToken(r.Method) {
		return errMethod
	}
	const target = 1<<hpack.PseudoScheme | 1<<hpack.PseudoPath
	if r.MethodID == httpmsg.MethodConnect { // RFC 9114 §4.4
		if p.seen&target != 0 || !p.has(hpack.PseudoAuthority) {
			return errPseudo
		}
		return nil
	}
	if p.seen&target != target || len(r.Target) == 0 {
		return errPseudo
	}
	return nil
}

// requestLength reads how long the content is (RFC 9114 §4.1.2).
func requestLength(r *httpmsg.Request) *Error {
	r.Body, r.Length = httpmsg.BodyChunked, -1
	if r.Header.Has(httpmsg.NameContentLength) {
		n, ok := syntax.ParseLength(r.Header.Get(httpmsg.NameContentLength))
		if !ok || n < 0 {
			return errContentLength
		}
		if r.MethodID != httpmsg.MethodConnect {
			r.Body, r.Length = httpmsg.BodyLength, n
		}
	}
	if r.MethodID == httpmsg.MethodTrace && r.Length > 0 { // RFC 9110 §9.3.8
		return errUnexpectedContent
	}
	return nil
}

// resolveHost decides which host the request is for: :authority, or the Host
// field if there is none (RFC 9114 §4.3.1).
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
	switch {
	case r.MethodID == httpmsg.MethodConnect && (!ok || !port):
		return errConnectTarget
	case !ok, host != nil && string(host) != string(name):
		return errHost
	}
	r.Host = name
	return nil
}

// resolveTarget checks scheme and path, and splits the path from the query.
func resolveTarget(r *httpmsg.Request, p *pseudoFields, merge bool) *Error {
	if r.MethodID == httpmsg.MethodConnect {
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
	if len(b) == 0 || b[0] != '/' {
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

// expectation reads Expect (RFC 9110 §10.1.1).
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

package head

import (
	"github.com/gridway/gridway/internal/wire/hpack"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/syntax"
)

var slash = []byte("/")

// Begin puts the request line's parts into r, whatever they are worth.
func (fs *Fields) Begin(r *httpmsg.Request) {
	r.Method = fs.value[hpack.PseudoMethod]
	r.MethodID = httpmsg.LookupMethod(r.Method)
	r.Target = fs.value[hpack.PseudoPath]
}

// Whole checks that a request has the pseudo-header fields that its method
// needs. With :protocol it is an extended CONNECT, whose protocol is r.Upgrade
// (RFC 9113 §8.3.1, §8.5; RFC 9114 §4.3.1, §4.4; RFC 8441 §4).
func (fs *Fields) Whole(r *httpmsg.Request) Fault {
	if !fs.Has(hpack.PseudoMethod) {
		return Pseudo
	}
	if r.MethodID == httpmsg.MethodOther && !syntax.IsToken(r.Method) {
		return Method
	}
	const target = 1<<hpack.PseudoScheme | 1<<hpack.PseudoPath
	protocol := fs.Has(hpack.PseudoProtocol)
	if protocol && (r.MethodID != httpmsg.MethodConnect || !syntax.IsToken(fs.value[hpack.PseudoProtocol])) {
		return Pseudo
	}
	if r.MethodID == httpmsg.MethodConnect && !protocol {
		if fs.seen&target != 0 || !fs.Has(hpack.PseudoAuthority) {
			return Pseudo
		}
		return None
	}
	if fs.seen&target != target || len(r.Target) == 0 {
		return Pseudo
	}
	if protocol {
		if !fs.Has(hpack.PseudoAuthority) {
			return Pseudo
		}
		r.Upgrade = fs.value[hpack.PseudoProtocol]
	}
	return None
}

// ResolveHost decides which host the request is for: :authority, or the Host
// field if there is none (RFC 9113 §8.3.1, RFC 9114 §4.3.1).
func (fs *Fields) ResolveHost(r *httpmsg.Request) Fault {
	var host []byte
	if fs.Host != nil {
		var ok bool
		if host, _, ok = syntax.ParseAuthority(fs.Host, &r.Arena); !ok {
			return Host
		}
	}
	if !fs.Has(hpack.PseudoAuthority) {
		if host == nil {
			return Host
		}
		r.Host = host
		return None
	}
	name, port, ok := syntax.ParseAuthority(fs.value[hpack.PseudoAuthority], &r.Arena)
	tunnel := r.MethodID == httpmsg.MethodConnect && len(r.Upgrade) == 0
	switch {
	case tunnel && (!ok || !port):
		return ConnectTarget
	case !ok, host != nil && string(host) != string(name):
		return Host
	}
	r.Host = name
	return None
}

// ResolveTarget checks scheme and path, and splits the path from the query.
func (fs *Fields) ResolveTarget(r *httpmsg.Request, mergeSlashes bool) Fault {
	if r.MethodID == httpmsg.MethodConnect && len(r.Upgrade) == 0 {
		r.Path = slash
		r.Target = r.Host
		return None
	}
	switch s := fs.value[hpack.PseudoScheme]; {
	case httpmsg.EqualFold(s, "http"):
		r.Scheme = "http"
	case httpmsg.EqualFold(s, "https"):
		r.Scheme = "https"
	default:
		return Scheme
	}
	b := r.Target
	if len(b) == 1 && b[0] == '*' {
		if r.MethodID != httpmsg.MethodOptions {
			return Path
		}
		r.Path = b
		return None
	}
	if len(b) == 0 || b[0] != '/' {
		return Path
	}
	t := syntax.ScanTarget(b, 0)
	if t.End != len(b) || t.Unsafe() {
		return Path
	}
	if t.Query < t.End {
		r.Query, r.HasQuery = b[t.Query+1:], true
	}
	var ok bool
	if r.Path, ok = t.Path(&r.Arena, b[:t.Query:t.Query], mergeSlashes); !ok {
		return Path
	}
	return None
}

// Expects reads Expect (RFC 9110 §10.1.1). Without content there is nothing to
// wait for.
func Expects(r *httpmsg.Request) Fault {
	for i := range r.Header.Len() {
		if f := r.Header.At(i); f.ID == httpmsg.NameExpect && !httpmsg.EqualFold(f.Value, "100-continue") {
			return Expectation
		}
	}
	if r.Body == httpmsg.BodyChunked || r.Length > 0 {
		r.ExpectContinue = true
	} else {
		r.Header.Del(httpmsg.NameExpect)
	}
	return None
}

// Length reads Content-Length; it is -1 if there is none.
func Length(h *httpmsg.Header) (int64, Fault) {
	if !h.Has(httpmsg.NameContentLength) {
		return -1, None
	}
	n, ok := syntax.ParseLength(h.Get(httpmsg.NameContentLength))
	if !ok || n < 0 {
		return 0, ContentLength
	}
	return n, None
}

// Status reads :status. There is no 101 (RFC 9113 §8.6, RFC 9114 §4.5).
func (fs *Fields) Status() (int, Fault) {
	v := fs.value[hpack.PseudoStatus]
	if len(v) != 3 {
		return 0, StatusCode
	}
	n := 0
	for _, b := range v {
		if b < '0' || b > '9' {
			return 0, StatusCode
		}
		n = n*10 + int(b-'0')
	}
	if n < 100 || n == 101 {
		return 0, StatusCode
	}
	return n, None
}

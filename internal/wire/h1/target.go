package h1

import (
	"bytes"

	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/syntax"
)

// targetForm is which of the four forms a target has (RFC 9112 §3.2).
type targetForm uint8

const (
	originForm targetForm = iota
	absoluteForm
	authorityForm
	asteriskForm
)

func notTarget(b []byte, start, i int) *Error {
	switch c := b[i]; {
	case c == '#':
		return errFragment
	case c == '\n':
		return errBareLF
	case c == '\r' && i > start:
		return errRequestLine // HTTP/0.9, or no version
	}
	return errTarget
}

// parseTarget fills Path, Query and, but for the origin form, Host as it stands
// in the target. The target starts at start and has ended.
func parseTarget(r *httpmsg.Request, t syntax.Target, start int, l *Limits) (targetForm, *Error) {
	hierarchy := r.Target[:t.Query-start]
	if t.Query < t.End {
		r.Query, r.HasQuery = r.Target[t.Query-start+1:], true
	}
	if r.MethodID == httpmsg.MethodConnect {
		if r.HasQuery || t.Unsafe() {
			return 0, errConnectTarget
		}
		r.Host, r.Path = hierarchy, slash
		return authorityForm, nil
	}
	if t.Unsafe() || len(hierarchy) == 0 {
		return 0, errTarget
	}
	if hierarchy[0] == '/' {
		return originForm, setPath(r, hierarchy, t, l)
	}
	if len(r.Target) == 1 && r.Target[0] == '*' {
		if r.MethodID != httpmsg.MethodOptions {
			return 0, errTarget
		}
		r.Path = r.Target
		return asteriskForm, nil
	}
	return absoluteForm, parseAbsolute(r, hierarchy, l)
}

var slash = []byte("/")

// parseAbsolute parses scheme "://" authority path (RFC 9112 §3.2.2).
func parseAbsolute(r *httpmsg.Request, b []byte, l *Limits) *Error {
	i := bytes.IndexByte(b, ':')
	if i <= 0 || !bytes.HasPrefix(b[i:], []byte("://")) {
		return errTarget
	}
	if !httpmsg.EqualFold(b[:i], "http") && !httpmsg.EqualFold(b[:i], "https") {
		return errScheme
	}
	b = b[i+3:]
	i = bytes.IndexByte(b, '/')
	if i < 0 {
		i = len(b)
	}
	r.Host, b = b[:i:i], b[i:]
	if bytes.IndexByte(r.Host, '@') >= 0 {
		return errUserinfo
	}
	switch {
	case len(b) > 0:
		return setPath(r, b, syntax.Unscanned, l)
	case r.MethodID == httpmsg.MethodOptions && !r.HasQuery:
		r.Path = asterisk // RFC 9112 §3.2.4
	default:
		r.Path = slash
	}
	return nil
}

var asterisk = []byte("*")

func setPath(r *httpmsg.Request, path []byte, t syntax.Target, l *Limits) *Error {
	var ok bool
	if r.Path, ok = t.Path(&r.Arena, path, l.MergeSlashes); !ok {
		return errPath
	}
	return nil
}

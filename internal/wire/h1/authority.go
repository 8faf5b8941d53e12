package h1

import (
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/syntax"
)

// resolveHost decides which host a request is for: that of the target if it has
// one, else the Host field, which is checked in any case (RFC 9112 §3.2, §3.2.2).
func resolveHost(r *httpmsg.Request, form targetForm, field []byte) *Error {
	if field == nil && r.Version == httpmsg.HTTP11 {
		return errMissingHost
	}
	var host []byte
	if field != nil {
		var ok bool
		if host, _, ok = syntax.ParseAuthority(field, &r.Arena); !ok {
			return errHost
		}
	}
	switch form {
	case absoluteForm:
		var ok bool
		if r.Host, _, ok = syntax.ParseAuthority(r.Host, &r.Arena); !ok {
			return errHost
		}
	case authorityForm:
		target, port, ok := syntax.ParseAuthority(r.Host, &r.Arena)
		if !ok || !port {
			return errConnectTarget
		}
		r.Host = target
	default:
		r.Host = host
	}
	return nil
}

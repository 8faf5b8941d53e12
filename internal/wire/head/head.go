// Package head has the rules for heads that HTTP/2 and HTTP/3 have in common:
// which pseudo-header fields a message has and where, which fields it may not
// have, and what they come to in httpmsg's words. Decoding fields and what a
// fault costs its sender is the engines' own. It owns no goroutines, allocates
// nothing but in the message's arena, and imports other leaves of wire only; h2
// and h3 import it.
package head

import (
	"github.com/gridway/gridway/internal/wire/hpack"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Fault is what is wrong with a message. The zero value is nothing.
type Fault uint8

const (
	None Fault = iota
	// The message is malformed.
	FieldName
	FieldValue
	Pseudo
	ConnectionField
	ContentLength
	Method
	StatusCode
	// The protocol allows the message, and HTTP does not.
	Host
	ConnectTarget
	Scheme
	Path
	Expectation
	HeaderTooLarge
	TooManyFields
	UnexpectedContent

	Faults // how many there are
)

// Allowed are sets of pseudo-header fields.
const (
	OfRequest  = 1<<hpack.PseudoAuthority | 1<<hpack.PseudoMethod | 1<<hpack.PseudoPath | 1<<hpack.PseudoScheme
	OfResponse = 1 << hpack.PseudoStatus
	OfTrailer  = 0
	// Protocol is extended CONNECT's (RFC 8441, RFC 9220).
	Protocol = 1 << hpack.PseudoProtocol
)

// connectionFields concern one connection, and there are none of them (RFC 9113
// §8.2.2, RFC 9114 §4.2).
var connectionFields = httpmsg.MakeNameSet(
	httpmsg.NameConnection, httpmsg.NameKeepAlive, httpmsg.NameProxyConnection,
	httpmsg.NameTransferEncoding, httpmsg.NameUpgrade,
)

// Fields takes the decoded fields of one section, in order.
type Fields struct {
	// Header is where they go, and Arena where cookies are joined.
	Header *httpmsg.Header
	Arena  *httpmsg.Arena
	// Most is how many there may be.
	Most int
	// Allowed are the pseudo-header fields that there may be, once, before all others.
	Allowed uint8
	// TakeHost puts the Host field into Host instead of Header.
	TakeHost bool

	Host []byte
	// Fault is the first thing that is wrong.
	Fault Fault

	value   [hpack.PseudoUnknown][]byte
	seen    uint8
	cookies int
}

// Value is that of a pseudo-header field.
func (fs *Fields) Value(p hpack.Pseudo) []byte { return fs.value[p] }

// Has tells whether there was one.
func (fs *Fields) Has(p hpack.Pseudo) bool { return fs.seen&(1<<p) != 0 }

// Add takes the next field.
func (fs *Fields) Add(f *hpack.Field) {
	switch {
	case fs.Fault != None:
		return
	case f.Pseudo != hpack.PseudoNone:
		fs.Fault = fs.pseudo(f)
		return
	}
	h := fs.Header
	if fs.Fault = fs.check(f, h); fs.Fault != None {
		return
	}
	switch f.ID {
	case httpmsg.NameHost:
		if fs.TakeHost {
			if fs.Host != nil {
				fs.Fault = Host
			}
			fs.Host = f.Value
			return
		}
	case httpmsg.NameCookie:
		fs.cookies++
	}
	h.AddField(f.Name, f.Value, f.ID)
	if f.Sensitive {
		h.At(h.Len() - 1).Sensitive = true
	}
}

// pseudo notes a pseudo-header field.
func (fs *Fields) pseudo(f *hpack.Field) Fault {
	bit := uint8(1) << f.Pseudo
	switch {
	case f.Pseudo == hpack.PseudoUnknown, fs.Allowed&bit == 0, fs.seen&bit != 0, fs.Header.Len() > 0, fs.Host != nil:
		return Pseudo
	case f.Flaw != hpack.FlawNone:
		return FieldValue
	}
	fs.seen |= bit
	fs.value[f.Pseudo] = f.Value
	return None
}

func (fs *Fields) check(f *hpack.Field, h *httpmsg.Header) Fault {
	switch f.Flaw {
	case hpack.FlawNone:
	case hpack.FlawValue:
		return FieldValue
	default:
		return FieldName
	}
	switch {
	case f.ID == httpmsg.NameOther:
	case connectionFields.Has(f.ID):
		return ConnectionField
	case f.ID == httpmsg.NameTE && !httpmsg.EqualFold(f.Value, "trailers"):
		return ConnectionField
	case f.ID == httpmsg.NameContentLength && h.Has(httpmsg.NameContentLength):
		return ContentLength
	}
	if h.Len() >= fs.Most {
		return TooManyFields
	}
	return None
}

// End says that there are no more fields; tooLarge, that some were left out.
func (fs *Fields) End(tooLarge bool) {
	if fs.Fault == None && tooLarge {
		fs.Fault = HeaderTooLarge
	}
	if fs.cookies > 1 {
		fs.joinCookies()
	}
}

// joinCookies makes one field of the crumbs (RFC 9113 §8.2.3, RFC 9114 §4.2.1).
func (fs *Fields) joinCookies() {
	h := fs.Header
	size, sensitive := 0, false
	for i := range h.Len() {
		if f := h.At(i); f.ID == httpmsg.NameCookie {
			size += len(f.Value) + 2
			sensitive = sensitive || f.Sensitive
		}
	}
	joined := fs.Arena.Alloc(size)[:0]
	for i := range h.Len() {
		if f := h.At(i); f.ID == httpmsg.NameCookie {
			if len(joined) > 0 {
				joined = append(joined, "; "...)
			}
			joined = append(joined, f.Value...)
		}
	}
	h.Set(httpmsg.NameCookie, joined)
	for i := range h.Len() {
		if f := h.At(i); f.ID == httpmsg.NameCookie {
			f.Sensitive = sensitive
		}
	}
}

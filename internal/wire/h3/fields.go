package h3

import (
	"github.com/gridway/gridway/internal/wire/hpack"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Limits bound what is decoded.
type Limits struct {
	// HeaderBytes bounds a field section: names and values with 32 bytes for each field.
	HeaderBytes int
	// HeaderCount bounds its fields.
	HeaderCount int
	// MergeSlashes makes one of several slashes in a path.
	MergeSlashes bool
}

// connectionFields concern one connection, and HTTP/3 has none of them (RFC 9114
// §4.2).
var connectionFields = httpmsg.MakeNameSet(
	httpmsg.NameConnection, httpmsg.NameKeepAlive, httpmsg.NameProxyConnection,
	httpmsg.NameTransferEncoding, httpmsg.NameUpgrade,
)

// pseudoFields are the values of a head's pseudo-header fields.
type pseudoFields struct {
	value [hpack.PseudoUnknown][]byte
	seen  uint8
}

func (p *pseudoFields) has(f hpack.Pseudo) bool { return p.seen&(1<<f) != 0 }

const (
	requestPseudo = 1<<hpack.PseudoAuthority | 1<<hpack.PseudoMethod | 1<<hpack.PseudoPath | 1<<hpack.PseudoScheme
	statusPseudo  = 1 << hpack.PseudoStatus
)

// decodeFields decodes a section. Of pseudo-header fields those of allowed may be
// there, once, before all others (RFC 9114 §4.3). bad is the first thing that is
// wrong with the message; what is wrong with the section is fatal. With host not
// nil the Host field goes there instead of into h.
func decodeFields(block []byte, lim *Limits, h *httpmsg.Header, arena *httpmsg.Arena, p *pseudoFields, allowed uint8, host *[]byte) (bad, fatal *Error) {
	var d section
	if fatal := d.begin(block, arena, lim.HeaderBytes); fatal != nil {
		return nil, fatal
	}
	cookies := 0
	for {
		var f hpack.Field
		more, fatal := d.next(&f)
		if fatal != nil {
			return nil, fatal
		}
		if !more {
			break
		}
		if bad != nil {
			continue
		}
		if f.Pseudo != hpack.PseudoNone {
			bad = p.add(&f, allowed, h.Len() > 0 || host != nil && *host != nil)
			continue
		}
		if bad = checkField(&f, h, lim); bad != nil {
			continue
		}
		if f.ID == httpmsg.NameHost && host != nil {
			if *host != nil {
				bad = errHost
			}
			*host = f.Value
			continue
		}
		if f.ID == httpmsg.NameCookie {
			cookies++
		}
		h.AddField(f.Name, f.Value, f.ID)
		if f.Sensitive {
			h.At(h.Len() - 1).Sensitive = true
		}
	}
	if bad == nil && d.tooLarge {
		bad = errHeaderTooLarge
	}
	if cookies > 1 {
		joinCookies(h, arena)
	}
	return bad, nil
}

// add notes a pseudo-header field; late says that others were before it.
func (p *pseudoFields) add(f *hpack.Field, allowed uint8, late bool) *Error {
	bit := uint8(1) << f.Pseudo
	switch {
	case f.Pseudo == hpack.PseudoUnknown || allowed&bit == 0 || p.seen&bit != 0 || late:
		return errPseudo
	case f.Flaw != hpack.FlawNone:
		return errFieldValue
	}
	p.seen |= bit
	p.value[f.Pseudo] = f.Value
	return nil
}

func checkField(f *hpack.Field, h *httpmsg.Header, lim *Limits) *Error {
	switch f.Flaw {
	case hpack.FlawNone:
	case hpack.FlawValue:
		return errFieldValue
	default:
		return errFieldName
	}
	switch {
	case f.ID == httpmsg.NameOther:
	case connectionFields.Has(f.ID):
		return errConnectionField
	case f.ID == httpmsg.NameTE && !httpmsg.EqualFold(f.Value, "trailers"):
		return errConnectionField
	case f.ID == httpmsg.NameContentLength && h.Has(httpmsg.NameContentLength):
		return errContentLength
	}
	if h.Len() >= lim.HeaderCount {
		return errTooManyFields
	}
	return nil
}

// joinCookies makes one field of the crumbs (RFC 9114 §4.2.1).
func joinCookies(h *httpmsg.Header, arena *httpmsg.Arena) {
	size, sensitive := 0, false
	for i := range h.Len() {
		if f := h.At(i); f.ID == httpmsg.NameCookie {
			size += len(f.Value) + 2
			sensitive = sensitive || f.Sensitive
		}
	}
	joined := arena.Alloc(size)[:0]
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

// DecodeTrailer decodes the section after the content. What must not stand there
// is left out.
func DecodeTrailer(block []byte, lim *Limits, h *httpmsg.Header, arena *httpmsg.Arena) *Error {
	var p pseudoFields
	bad, fatal := decodeFields(block, lim, h, arena, &p, 0, nil)
	switch {
	case fatal != nil:
		return fatal
	case bad != nil && bad.Status != 0:
		return errTrailer
	case bad != nil:
		return bad
	}
	h.DropForbiddenTrailers()
	return nil
}

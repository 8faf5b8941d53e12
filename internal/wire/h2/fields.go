package h2

import (
	"github.com/gridway/gridway/internal/wire/hpack"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// connectionFields concern one connection, and HTTP/2 has none of them (RFC 9113
// §8.2.2).
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
	requestPseudo = 1<<hpack.PseudoAuthority | 1<<hpack.PseudoMethod | 1<<hpack.PseudoPath | 1<<hpack.PseudoScheme | 1<<hpack.PseudoProtocol
	statusPseudo  = 1 << hpack.PseudoStatus
)

// decodeFields decodes a block. Of pseudo-header fields those of allowed may be
// there, once, before all others (RFC 9113 §8.3). bad is the first thing that is
// wrong with the message; the connection is not concerned. With host not nil the
// Host field goes there instead of into h.
func (c *Conn) decodeFields(block []byte, h *httpmsg.Header, arena *httpmsg.Arena, p *pseudoFields, allowed uint8, host *[]byte) (bad, fatal *Error) {
	c.dec.Begin(block, arena, c.cfg.HeaderBytes)
	cookies := 0
	for {
		var f hpack.Field
		more, err := c.dec.Next(&f)
		if err != nil {
			return nil, decodeError(err)
		}
		if !more {
			break
		}
		if bad != nil {
			continue
		}
		if f.Pseudo != hpack.PseudoNone {
			if bit := uint8(1) << f.Pseudo; f.Pseudo == hpack.PseudoUnknown || allowed&bit == 0 || p.seen&bit != 0 || h.Len() > 0 || host != nil && *host != nil {
				bad = errPseudo
				continue
			}
			if f.Flaw != hpack.FlawNone {
				bad = errFieldValue
				continue
			}
			p.seen |= 1 << f.Pseudo
			p.value[f.Pseudo] = f.Value
			continue
		}
		if bad = c.checkField(&f, h); bad != nil {
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
	if bad == nil && c.dec.TooLarge() {
		bad = errHeaderTooLarge
	}
	if cookies > 1 {
		joinCookies(h, arena)
	}
	return bad, nil
}

func (c *Conn) checkField(f *hpack.Field, h *httpmsg.Header) *Error {
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
	if h.Len() >= c.cfg.HeaderCount {
		return errTooManyFields
	}
	return nil
}

// joinCookies makes one field of the crumbs (RFC 9113 §8.2.3).
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

// decodeTrailer decodes a trailer section into c.trailer.
func (c *Conn) decodeTrailer(block []byte) (bad, fatal *Error) {
	var p pseudoFields
	bad, fatal = c.decodeFields(block, &c.trailer, &c.scratch, &p, 0, nil)
	if bad != nil && bad.Status != 0 {
		bad = errTrailer
	}
	c.trailer.DropForbiddenTrailers()
	return bad, fatal
}

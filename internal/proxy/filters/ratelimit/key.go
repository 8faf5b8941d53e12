package ratelimit

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"
	"net/netip"

	"github.com/gridway/gridway/internal/expression"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/limit"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// keyText is as long as the text of most keys.
const keyText = 128

// part is a part of a key.
type part struct {
	ir.KeyPart
	name  []byte // of a header
	id    httpmsg.Name
	route string
	// formula of an expression.
	formula *expression.Program
}

func partsOf(list []ir.KeyPart, route string) []part {
	out := make([]part, len(list))
	for i, k := range list {
		out[i] = part{KeyPart: k, name: []byte(k.Name), id: httpmsg.LookupName([]byte(k.Name)), route: route}
	}
	return out
}

// keyHash is a key while it is read. Its text is kept where a store needs it.
type keyHash struct {
	maphash.Hash
	keep bool
	text []byte
}

// tag is the request's key as the limit's counters know it, and for a global limit
// as stores do. It is not complete where the request lacks a part.
func (o *one) tag(x *filter.Exchange) (tag uint64, key limit.Key, complete bool) {
	var h keyHash
	if o.store != nil {
		h.keep, h.text = true, x.Req.Arena.Alloc(keyText)[:0]
	}
	h.SetSeed(o.limit.Seed())
	complete = true
	for i := range o.key {
		if !o.key[i].write(&h, x) {
			// What is missing differs from what is empty.
			h.writeByte(0)
			complete = false
		}
	}
	if h.keep {
		sum := sha256.Sum256(h.text)
		copy(key[:], sum[:])
	}
	return h.Sum64(), key, complete
}

// write adds a part, in a form of which no other part can be a continuation. It
// is false, with nothing written, where the request does not have it.
func (p *part) write(h *keyHash, x *filter.Exchange) bool {
	switch p.Type {
	case ir.KeyConsumer:
		if x.Caller.Consumer == nil {
			return false
		}
		writeString(h, x.Caller.Consumer.Namespace)
		writeString(h, x.Caller.Consumer.Name)
	case ir.KeyPlan:
		if x.Caller.Consumer == nil || x.Caller.Consumer.Plan == "" {
			return false
		}
		writeString(h, x.Caller.Consumer.Plan)
	case ir.KeyCredential:
		if x.Caller.Consumer == nil || x.Caller.Credential == "" {
			return false
		}
		writeString(h, x.Caller.Consumer.Namespace)
		writeString(h, x.Caller.Consumer.Name)
		writeString(h, x.Caller.Credential)
	case ir.KeyClientIP:
		a := p.network(x.Client).As16()
		writeBytes(h, a[:])
	case ir.KeyHeader:
		return p.writeHeader(h, &x.Req.Header)
	case ir.KeyClaim:
		return p.writeClaim(h, x.Caller.Claims)
	case ir.KeyExpression:
		s, ok := text(p.formula, x)
		if ok {
			writeString(h, s)
		}
		return ok
	case ir.KeyHost:
		writeBytes(h, withoutPort(x.Req.Host))
	case ir.KeyPath:
		writeBytes(h, x.Req.Path)
	case ir.KeyMethod:
		writeBytes(h, x.Req.Method)
	case ir.KeyRoute:
		writeString(h, p.route)
	}
	return true
}

// network is the part of an address that counts. IPv4 addresses in the form of
// IPv6 are IPv4 addresses.
func (p *part) network(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	size := p.IPv6Bits
	if a.Is4() {
		size = p.IPv4Bits
	}
	if n, err := a.Prefix(size); err == nil {
		return n.Addr()
	}
	return a
}

// writeHeader adds all values of the header: whoever adds another one to have a
// counter of his own could have changed the first as well.
func (p *part) writeHeader(h *keyHash, fields *httpmsg.Header) bool {
	found := false
	for i := range fields.Len() {
		if f := fields.At(i); p.is(f) {
			writeBytes(h, f.Value)
			found = true
		}
	}
	return found
}

// is tells whether a field is of the header.
func (p *part) is(f *httpmsg.Field) bool {
	return f.ID == p.id && (p.id != httpmsg.NameOther || httpmsg.EqualFold(f.Name, p.name))
}

// writeClaim adds a claim, of a list every element. Objects are no part of a key.
func (p *part) writeClaim(h *keyHash, claims *filter.Claims) bool {
	v, ok := claims.Lookup(p.Claim)
	if !ok {
		return false
	}
	list, isList := v.([]any)
	if !isList {
		return writeScalar(h, v)
	}
	for _, one := range list {
		if !scalar(one) {
			return false
		}
	}
	h.writeByte(2) // which begins no text
	writeLength(h, len(list))
	for _, one := range list {
		writeScalar(h, one)
	}
	return true
}

func scalar(v any) bool {
	switch v.(type) {
	case string, bool, int64, float64:
		return true
	}
	return false
}

// writeScalar writes a number as the text of it: an issuer may change from one to
// the other.
func writeScalar(h *keyHash, v any) bool {
	if s, ok := v.(string); ok {
		writeString(h, s)
		return true
	}
	var buf [32]byte
	b, ok := filter.AppendScalar(buf[:0], v)
	if ok {
		writeBytes(h, b)
	}
	return ok
}

func withoutPort(host []byte) []byte {
	if i := bytes.LastIndexByte(host, ':'); i >= 0 && bytes.IndexByte(host[i:], ']') < 0 {
		return host[:i]
	}
	return host
}

func writeString(h *keyHash, s string) {
	writeLength(h, len(s))
	_, _ = h.WriteString(s)
	if h.keep {
		h.text = append(h.text, s...)
	}
}

func writeBytes(h *keyHash, b []byte) {
	writeLength(h, len(b))
	h.write(b)
}

// writeLength writes no zero, which stands for a part that is missing.
func writeLength(h *keyHash, n int) {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], uint32(n)+1)
	h.writeByte(1)
	h.write(b[:])
}

func (h *keyHash) write(b []byte) {
	_, _ = h.Write(b)
	if h.keep {
		h.text = append(h.text, b...)
	}
}

func (h *keyHash) writeByte(b byte) {
	_ = h.WriteByte(b)
	if h.keep {
		h.text = append(h.text, b)
	}
}

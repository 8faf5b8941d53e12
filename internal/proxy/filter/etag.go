package filter

import (
	"bytes"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

var weak = []byte("W/")

// WeakenTag makes the response's entity tag a weak one, as a change of its
// coding must: representations with different codings must not share a strong
// validator (RFC 9110 §8.8.3.3).
func (x *Exchange) WeakenTag() {
	tag := x.Resp.Header.Get(httpmsg.NameETag)
	if len(tag) > 0 && !bytes.HasPrefix(tag, weak) {
		x.Resp.Header.Set(httpmsg.NameETag, x.Req.Arena.Concat(weak, tag))
	}
}

// NameWeakTag weakens the tag of a 304 if that is how the client knows it: what
// it holds is a response whose tag was weakened, and a cache may not take a 304
// with another, strong tag for an answer about it (RFC 9111 §4.3.4).
func (x *Exchange) NameWeakTag() {
	tag := x.Resp.Header.Get(httpmsg.NameETag)
	h := &x.Req.Header
	if len(tag) == 0 || bytes.HasPrefix(tag, weak) || !h.Has(httpmsg.NameIfNoneMatch) {
		return
	}
	for i := range h.Len() {
		if f := h.At(i); f.ID == httpmsg.NameIfNoneMatch && namesWeak(f.Value, tag) {
			x.WeakenTag()
			return
		}
	}
}

// namesWeak tells whether a list of tags has the weak form of a strong one,
// which with its quotes is part of no other.
func namesWeak(list, tag []byte) bool {
	for {
		at := bytes.Index(list, tag)
		if at < 0 {
			return false
		}
		if bytes.HasSuffix(list[:at], weak) {
			return true
		}
		list = list[at+len(tag):]
	}
}

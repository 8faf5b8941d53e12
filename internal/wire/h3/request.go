package h3

import (
	"github.com/gridway/gridway/internal/wire/head"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

var slash = []byte("/")

// DecodeRequest decodes a request's head (RFC 9114 §4.3.1), extended CONNECT among
// them, whose protocol is r.Upgrade (RFC 9220 §3). Content may follow;
// where none does, EndRequest says so. With an error that has a Status the request
// is complete enough to be answered.
func DecodeRequest(block []byte, lim *Limits, r *httpmsg.Request) *Error {
	r.Reset()
	r.Version, r.KeepAlive = httpmsg.HTTP3, true
	fs := head.Fields{Header: &r.Header, Arena: &r.Arena, Allowed: head.OfRequest | head.Protocol, TakeHost: true}
	if fatal := decodeFields(block, lim, &fs); fatal != nil {
		return fatal
	}
	fs.Begin(r)
	fault := fs.Fault
	if fault == head.None {
		// What is malformed goes before what is only refused.
		if fault = fs.Whole(r); fault == head.None {
			fault = requestLength(r)
		}
		if bad := faults[fault]; bad != nil && bad.Status == 0 {
			return bad
		}
	} else if faults[fault].Status != 0 && fs.Whole(r) != head.None {
		r.Path = slash
		return faults[fault]
	}
	// With a fault too, as far as it goes: the reply's log has it.
	if f := fs.ResolveHost(r); fault == head.None {
		fault = f
	}
	if f := fs.ResolveTarget(r, lim.MergeSlashes); fault == head.None {
		fault = f
	}
	if fault == head.None && r.Header.Has(httpmsg.NameExpect) {
		fault = head.Expects(r)
	}
	if len(r.Path) == 0 {
		r.Path = slash
	}
	return faults[fault]
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

// requestLength reads how long the content is (RFC 9114 §4.1.2).
func requestLength(r *httpmsg.Request) head.Fault {
	r.Body, r.Length = httpmsg.BodyChunked, -1
	n, fault := head.Length(&r.Header)
	if fault != head.None {
		return fault
	}
	if n >= 0 && r.MethodID != httpmsg.MethodConnect {
		r.Body, r.Length = httpmsg.BodyLength, n
	}
	if r.MethodID == httpmsg.MethodTrace && r.Length > 0 { // RFC 9110 §9.3.8
		return head.UnexpectedContent
	}
	return head.None
}

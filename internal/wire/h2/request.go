package h2

import (
	"net/http"

	"github.com/gridway/gridway/internal/wire/head"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// decodeRequest decodes a request's head (RFC 9113 §8.3.1). bad is set if it is
// malformed, or, with a Status, if HTTP does not allow it.
func (c *Conn) decodeRequest(block []byte, r *httpmsg.Request, end bool) (bad, fatal *Error) {
	r.Reset()
	r.Version, r.KeepAlive = httpmsg.HTTP2, true
	fs := head.Fields{Header: &r.Header, Arena: &r.Arena, Allowed: head.OfRequest, TakeHost: true}
	if c.cfg.ExtendedConnect {
		fs.Allowed |= head.Protocol
	}
	if fatal = c.decodeFields(block, &fs); fatal != nil {
		return nil, fatal
	}
	fs.Begin(r)
	if bad = faults[fs.Fault]; bad != nil {
		if bad.Status != 0 && fs.Whole(r) == head.None {
			// For the reply's log, as far as it goes.
			_ = fs.ResolveHost(r)
			_ = fs.ResolveTarget(r, c.cfg.MergeSlashes)
		}
		if len(r.Path) == 0 {
			r.Path = slash
		}
		return bad, nil
	}
	// What is malformed goes before what is only refused.
	if bad = faults[fs.Whole(r)]; bad != nil {
		return bad, nil
	}
	if bad = requestBody(r, end); bad != nil {
		return bad, nil
	}
	fault := fs.ResolveHost(r)
	if fault == head.None {
		fault = fs.ResolveTarget(r, c.cfg.MergeSlashes)
	}
	if fault == head.None && r.Header.Has(httpmsg.NameExpect) {
		fault = head.Expects(r)
	}
	if fault != head.None && len(r.Path) == 0 {
		r.Path = slash
	}
	return faults[fault], nil
}

var slash = []byte("/")

// requestBody reads how long the content is (RFC 9113 §8.1.1).
func requestBody(r *httpmsg.Request, end bool) *Error {
	length, fault := head.Length(&r.Header)
	if fault != head.None {
		return faults[fault]
	}
	announced := length >= 0
	tunnel := r.MethodID == httpmsg.MethodConnect
	switch {
	case end && length > 0:
		return errLengthMismatch
	case end && !announced:
		r.Body, r.Length = httpmsg.BodyNone, 0
	case announced && !tunnel:
		r.Body, r.Length = httpmsg.BodyLength, length
	case end:
		r.Body, r.Length = httpmsg.BodyNone, 0
	default:
		r.Body, r.Length = httpmsg.BodyChunked, -1
	}
	if r.MethodID == httpmsg.MethodTrace && r.Length != 0 { // RFC 9110 §9.3.8
		return errUnexpectedContent
	}
	return nil
}

// decodeResponse decodes a response's head to where the stream wants it (RFC
// 9113 §8.3.2).
func (c *Conn) decodeResponse(block []byte, s *Stream, end bool) (bad, fatal *Error) {
	r := s.resp
	r.Reset()
	r.Version, r.KeepAlive = httpmsg.HTTP2, true
	fs := head.Fields{Header: &r.Header, Arena: s.arena, Allowed: head.OfResponse}
	if fatal = c.decodeFields(block, &fs); fatal != nil {
		return nil, fatal
	}
	if fs.Fault == head.None {
		r.Status, fs.Fault = fs.Status()
	}
	if fs.Fault != head.None {
		return faults[fs.Fault], nil
	}
	if r.Status < 200 && end { // RFC 9113 §8.1: an interim response does not end a stream
		return errStatusCode, nil
	}
	return responseBody(s, end), nil
}

// responseBody decides how long the content is (RFC 9110 §6.4.1, §8.6).
func responseBody(s *Stream, end bool) *Error {
	r := s.resp
	length, fault := head.Length(&r.Header)
	if fault != head.None {
		return faults[fault]
	}
	s.left = -1
	switch {
	case r.Status < 200, r.Status == http.StatusNoContent, r.Status == http.StatusNotModified, s.head:
		r.Body, r.Length = httpmsg.BodyNone, length
		if r.Status >= 200 {
			s.left = 0
		}
	case s.connect && r.Status < 300: // RFC 9110 §9.3.6: what follows is a tunnel
		r.Body, r.Length = httpmsg.BodyChunked, -1
	case end:
		if length > 0 {
			return errLengthMismatch
		}
		r.Body, r.Length = httpmsg.BodyLength, 0
	case length >= 0:
		r.Body, r.Length = httpmsg.BodyLength, length
		s.left = length
	default:
		r.Body, r.Length = httpmsg.BodyChunked, -1
	}
	return nil
}

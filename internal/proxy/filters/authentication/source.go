package authentication

import (
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// sources are the places where a credential may be, in the order in which they
// are looked at.
type sources []source

type source struct {
	header []byte
	id     httpmsg.Name
	prefix string
	query  string
	cookie string
}

// place says where a credential was found.
type place uint8

const (
	nowhere place = iota
	somewhere
	// ambiguous: one place holds several, so that two readers may take two of them.
	ambiguous
)

func newSources(list []ir.CredentialSource) sources {
	out := make(sources, len(list))
	for i, s := range list {
		out[i] = source{prefix: s.Prefix, query: s.Query, cookie: s.Cookie}
		if s.Header != "" {
			out[i].header = []byte(s.Header)
			out[i].id = httpmsg.LookupName(out[i].header)
		}
	}
	return out
}

// scheme is the authentication scheme that a client may use: the one before the
// credential in Authorization, or else.
func (ss sources) scheme(other string) string {
	for i := range ss {
		if s := &ss[i]; s.id == httpmsg.NameAuthorization && s.prefix != "" {
			if scheme := strings.TrimSpace(s.prefix); scheme != "" && !strings.ContainsAny(scheme, " \t,;=\"") {
				return scheme
			}
		}
	}
	return other
}

// find returns the first credential that there is.
func (ss sources) find(x *filter.Exchange) (value []byte, where place) {
	for i := range ss {
		s := &ss[i]
		switch {
		case s.header != nil:
			value, where = s.inHeader(&x.Req.Header)
		case s.query != "":
			value, where = s.inQuery(x)
		default:
			value, where = s.inCookies(&x.Req.Header)
		}
		if where != nowhere {
			return value, where
		}
	}
	return nil, nowhere
}

// strip takes the credentials out of all the places.
func (ss sources) strip(x *filter.Exchange) {
	for i := range ss {
		s := &ss[i]
		switch {
		case s.header != nil:
			s.stripHeader(&x.Req.Header)
		case s.query != "":
			s.stripQuery(&x.Req)
		default:
			s.stripCookies(&x.Req)
		}
	}
}

// is tells whether a field holds a credential, and returns that.
func (s *source) is(f *httpmsg.Field) ([]byte, bool) {
	if f.ID != s.id || s.id == httpmsg.NameOther && !httpmsg.EqualFold(f.Name, string(s.header)) {
		return nil, false
	}
	value := httpmsg.TrimOWS(f.Value)
	if len(value) < len(s.prefix) || !httpmsg.EqualFold(value[:len(s.prefix)], s.prefix) {
		return nil, false
	}
	return httpmsg.TrimOWS(value[len(s.prefix):]), true
}

func (s *source) inHeader(h *httpmsg.Header) (value []byte, where place) {
	if !h.Has(s.id) {
		return nil, nowhere
	}
	for i := range h.Len() {
		v, ok := s.is(h.At(i))
		switch {
		case !ok:
		case where == somewhere:
			return nil, ambiguous
		default:
			value, where = v, somewhere
		}
	}
	return value, where
}

func (s *source) stripHeader(h *httpmsg.Header) {
	if _, where := s.inHeader(h); where == nowhere {
		return
	}
	h.DelFunc(func(f *httpmsg.Field) bool {
		_, ok := s.is(f)
		return ok
	})
}

func (s *source) inQuery(x *filter.Exchange) (value []byte, where place) {
	for pair, rest := httpmsg.NextPair(x.Req.Query); pair != nil; pair, rest = httpmsg.NextPair(rest) {
		raw, ok := httpmsg.Parameter(pair, s.query)
		switch {
		case !ok:
		case where == somewhere:
			return nil, ambiguous
		default:
			value, where = raw, somewhere
		}
	}
	if httpmsg.Escaped(value) {
		value = httpmsg.AppendDecoded(x.Req.Arena.Alloc(len(value))[:0], value)
	}
	return value, where
}

func (s *source) stripQuery(r *httpmsg.Request) {
	if len(r.Query) == 0 {
		return
	}
	size := 0
	for pair, rest := httpmsg.NextPair(r.Query); pair != nil; pair, rest = httpmsg.NextPair(rest) {
		if _, ok := httpmsg.Parameter(pair, s.query); ok {
			size = len(r.Query)
		}
	}
	if size == 0 {
		return
	}
	out := r.Arena.Alloc(size)[:0]
	for pair, rest := httpmsg.NextPair(r.Query); pair != nil; pair, rest = httpmsg.NextPair(rest) {
		if _, ok := httpmsg.Parameter(pair, s.query); ok {
			continue
		}
		if len(out) > 0 {
			out = append(out, '&')
		}
		out = append(out, pair...)
	}
	r.Query, r.HasQuery = out, len(out) > 0
}

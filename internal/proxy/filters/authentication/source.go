package authentication

import (
	"bytes"
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
	for pair, rest := nextPair(x.Req.Query); pair != nil; pair, rest = nextPair(rest) {
		raw, ok := parameter(pair, s.query)
		switch {
		case !ok:
		case where == somewhere:
			return nil, ambiguous
		default:
			value, where = raw, somewhere
		}
	}
	if bytes.IndexByte(value, '%') >= 0 || bytes.IndexByte(value, '+') >= 0 {
		value = unescape(x.Req.Arena.Alloc(len(value))[:0], value)
	}
	return value, where
}

func (s *source) stripQuery(r *httpmsg.Request) {
	if len(r.Query) == 0 {
		return
	}
	size := 0
	for pair, rest := nextPair(r.Query); pair != nil; pair, rest = nextPair(rest) {
		if _, ok := parameter(pair, s.query); ok {
			size = len(r.Query)
		}
	}
	if size == 0 {
		return
	}
	out := r.Arena.Alloc(size)[:0]
	for pair, rest := nextPair(r.Query); pair != nil; pair, rest = nextPair(rest) {
		if _, ok := parameter(pair, s.query); ok {
			continue
		}
		if len(out) > 0 {
			out = append(out, '&')
		}
		out = append(out, pair...)
	}
	r.Query, r.HasQuery = out, len(out) > 0
}

// nextPair splits the first parameter from a query, without empty ones.
func nextPair(query []byte) (pair, rest []byte) {
	for len(query) > 0 {
		if i := bytes.IndexByte(query, '&'); i >= 0 {
			pair, query = query[:i], query[i+1:]
		} else {
			pair, query = query, nil
		}
		if len(pair) > 0 {
			return pair, query
		}
	}
	return nil, nil
}

// parameter returns the undecoded value of a pair of that (decoded) name.
func parameter(pair []byte, name string) (value []byte, ok bool) {
	key := pair
	if i := bytes.IndexByte(pair, '='); i >= 0 {
		key, value = pair[:i], pair[i+1:]
	}
	for i := range len(name) {
		if len(key) == 0 {
			return nil, false
		}
		c, n := unescapeByte(key)
		if c != name[i] {
			return nil, false
		}
		key = key[n:]
	}
	return value, len(key) == 0
}

func unescape(dst, raw []byte) []byte {
	for len(raw) > 0 {
		c, n := unescapeByte(raw)
		dst, raw = append(dst, c), raw[n:]
	}
	return dst
}

// unescapeByte is the next byte of application/x-www-form-urlencoded text and how
// many bytes it took. A '%' that starts no escape stands for itself.
func unescapeByte(raw []byte) (byte, int) {
	switch {
	case raw[0] == '+':
		return ' ', 1
	case raw[0] == '%' && len(raw) >= 3:
		high, low := unhex(raw[1]), unhex(raw[2])
		if high >= 0 && low >= 0 {
			return byte(high<<4 | low), 3
		}
	}
	return raw[0], 1
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

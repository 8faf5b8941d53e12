package extauthz

import (
	"bytes"
	"slices"

	"github.com/gridway/gridway/internal/proxy/callout"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

var (
	get = []byte("GET")

	forwardedMethod = []byte("X-Forwarded-Method")
	forwardedURI    = []byte("X-Forwarded-Uri")
	forwardedHost   = []byte("X-Forwarded-Host")
	forwardedProto  = []byte("X-Forwarded-Proto")
	forwardedFor    = []byte("X-Forwarded-For")
)

// askHTTP makes the question a request like the client's.
func (s *Server) askHTTP(q *callout.Call, x *filter.Exchange) {
	from, r := &x.Req, &q.Request
	r.Method, r.MethodID = from.Method, from.MethodID
	if s.cfg.Get {
		r.Method, r.MethodID = get, httpmsg.MethodGet
	}
	r.Path = from.Path
	if s.cfg.Prefix != "" {
		r.Path = append(from.Arena.Alloc(len(s.cfg.Prefix) + len(from.Path))[:0], s.cfg.Prefix...)
		if len(from.Path) > 0 && from.Path[0] == '/' { // OPTIONS * has another
			r.Path = append(bytes.TrimRight(r.Path, "/"), from.Path...)
		}
	}
	r.Query, r.HasQuery = from.Query, from.HasQuery
	r.SetHost(from.Host)
	for i := range from.Header.Len() {
		f := from.Header.At(i)
		if s.sends(f) {
			r.Header.AddField(f.Name, f.Value, f.ID)
		}
	}
	h := &r.Header
	h.Add(forwardedMethod, from.Method)
	h.Add(forwardedURI, from.AppendPathAndQuery(from.Arena.Alloc(len(from.Path) + len(from.Query) + 1)[:0]))
	h.Add(forwardedHost, from.Host)
	h.Add(forwardedProto, from.Arena.CopyString(from.Scheme))
	h.Add(forwardedFor, x.Client.Unmap().WithZone("").AppendTo(from.Arena.Alloc(46)[:0]))
}

// said are headers that the question has by itself.
var said = httpmsg.MakeNameSet(httpmsg.NameXForwardedHost, httpmsg.NameXForwardedProto, httpmsg.NameXForwardedFor)

func (s *Server) sends(f *httpmsg.Field) bool {
	switch {
	case f.ID == httpmsg.NameOther:
		return s.send.has(f.Name) && !httpmsg.EqualFold(f.Name, "x-forwarded-method") && !httpmsg.EqualFold(f.Name, "x-forwarded-uri")
	case ours.Has(f.ID) || said.Has(f.ID):
		return false
	case f.ID == httpmsg.NameContentType, f.ID == httpmsg.NameContentEncoding, f.ID == httpmsg.NameContentRange:
		return s.cfg.MaxBody > 0 // else they are of a body that the question has not
	case f.ID == httpmsg.NameAuthorization, f.ID == httpmsg.NameXRequestID, f.ID == httpmsg.NameTraceparent, f.ID == httpmsg.NameTracestate:
		return true
	}
	return s.send.asks(f)
}

// answerHTTP reads what a status and its header say.
func (s *Server) answerHTTP(q *callout.Call) (*Answer, error) {
	r := &q.Response
	switch {
	case r.Status >= 500:
		return nil, StatusError(r.Status)
	case r.Status < 200:
		return nil, malformed("status %d is none of an answer", r.Status)
	case r.Status < 300 && s.cfg.OnlyOK && r.Status != 200:
		return &Answer{}, nil // passed on, it would look like a success
	case r.Status < 300:
		a := &Answer{Allowed: true}
		err := firstError(copyFields(&a.upstream, r, &s.take, never), copyFields(&a.client, r, &s.admitted, never))
		if s.take.all { // what is of the answer's own content says nothing of the request's
			a.upstream = slices.DeleteFunc(a.upstream, func(m mutation) bool { return ofContent(httpmsg.LookupName(m.name)) })
		}
		// RFC 9111 §5.2.2.5, §5.2.2.7
		a.shared = len(a.client) == 0 && !r.Header.HasToken(httpmsg.NameCacheControl, "no-store") && !r.Header.HasToken(httpmsg.NameCacheControl, "private")
		a.size = answerSize
		for i := range a.upstream {
			a.size += 64 + len(a.upstream[i].name) + len(a.upstream[i].value)
		}
		return a, err
	}
	a := &Answer{own: true, status: r.Status, body: bytes.Clone(q.Answer)}
	return a, copyFields(&a.client, r, &s.deny, indispensable)
}

// ofContent tells whether a header is about the content that it comes with (RFC
// 9110 §8), or about who may keep that.
func ofContent(id httpmsg.Name) bool {
	switch id {
	case httpmsg.NameContentType, httpmsg.NameContentEncoding, httpmsg.NameContentLanguage, httpmsg.NameContentLocation, httpmsg.NameContentRange,
		httpmsg.NameContentDisposition, httpmsg.NameETag, httpmsg.NameLastModified, httpmsg.NameExpires, httpmsg.NameCacheControl, httpmsg.NameVary, httpmsg.NameAge:
		return true
	}
	return false
}

func never(httpmsg.Name) bool { return false }

// indispensable are headers of a refusal that it would be another one without.
func indispensable(id httpmsg.Name) bool {
	switch id {
	case httpmsg.NameContentType, httpmsg.NameContentEncoding, httpmsg.NameWWWAuthenticate, httpmsg.NameLocation:
		return true
	}
	return false
}

// copyFields copies those of an answer's header that are in the set, or that are
// always taken. Those of one name stay several.
func copyFields(to *mutations, r *httpmsg.Response, only *names, always func(httpmsg.Name) bool) error {
	h := &r.Header
	for i := range h.Len() {
		f := h.At(i)
		if !only.has(f.Name) && !always(f.ID) || !changeable(f.Name) || f.ID == httpmsg.NameDate || f.ID == httpmsg.NameServer ||
			h.HasToken(httpmsg.NameConnection, string(f.Name)) {
			continue
		}
		if err := checkField(f.Name, f.Value); err != nil {
			return malformed("%w", err)
		}
		if len(*to) == maxMutations {
			return malformed("it has more than %d headers", maxMutations)
		}
		m := mutation{name: bytes.Clone(f.Name), value: bytes.Clone(f.Value), how: replaces}
		if repeated(h, i) {
			m.how = appends
		}
		*to = append(*to, m)
	}
	return nil
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

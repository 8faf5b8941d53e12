package extauthz

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/syntax"
)

// Answer is what a server has said of a request. It may be shared by requests.
type Answer struct {
	// Allowed: the request may go on.
	Allowed bool
	// Claims are what the server says of the caller, nil if that is nothing.
	Claims *filter.Claims

	// shared: it holds for alike requests, too. size is roughly what it takes in memory.
	shared bool
	size   int

	// status, body and client are the answer that a client gets that is refused.
	// Without own, the server has left that to us.
	own    bool
	status int
	body   []byte
	// client is also what the client gets with the response if it is let through.
	client mutations
	// upstream, dropped, query and droppedQuery change a request that is let through.
	upstream     mutations
	dropped      [][]byte
	query        []parameter
	droppedQuery [][]byte
}

type parameter struct{ name, value []byte }

// mutations are changes of a header, in order.
type mutations []mutation

type mutation struct {
	name, value []byte
	how         how
}

// how a field comes into a header: as HeaderAppendAction of envoy.config.core.v3
// numbers it.
type how uint8

const (
	appends how = iota
	addsIfAbsent
	replaces
	replacesIfPresent
	hows
)

// deniedStatus is that of a refusal without one.
const deniedStatus = 403

// Admit makes the request what the server has said.
func (a *Answer) Admit(x *filter.Exchange) {
	h := &x.Req.Header
	for _, name := range a.dropped {
		x.Withhold(name)
	}
	for i := range a.upstream {
		m := &a.upstream[i]
		switch m.how {
		case addsIfAbsent:
			if !h.HasName(m.name) {
				h.Add(m.name, m.value)
			}
		case replacesIfPresent:
			if h.HasName(m.name) {
				h.SetName(m.name, m.value)
			}
		case replaces:
			x.Withhold(m.name)
			h.Add(m.name, m.value)
		default:
			h.Add(m.name, m.value)
		}
	}
	a.editQuery(&x.Req)
	if len(a.client) > 0 {
		x.Kept.Admitted = append(x.Kept.Admitted, a)
	}
}

// OnResponse gives the client what the server wants it to have.
func (a *Answer) OnResponse(x *filter.Exchange) { a.client.respond(&x.Resp.Header) }

// respond writes fields of a response. Those that replace may come several times,
// as Set-Cookie does.
func (list mutations) respond(h *httpmsg.Header) {
	for i := range list {
		if m := &list[i]; m.how == replaces {
			h.DelName(m.name)
		}
	}
	for i := range list {
		m := &list[i]
		switch m.how {
		case addsIfAbsent:
			if !h.HasName(m.name) {
				h.Add(m.name, m.value)
			}
		case replacesIfPresent:
			if h.HasName(m.name) {
				h.SetName(m.name, m.value)
			}
		default:
			h.Add(m.name, m.value)
		}
	}
}

// Deny answers the client with what the server has said, for a policy.
func (a *Answer) Deny(x *filter.Exchange, policy, part string) filter.Verdict {
	if !a.own {
		return x.Refuse(deniedStatus, filter.ExternalDenied, "the request is refused", policy, part)
	}
	v := x.Refuse(a.status, filter.ExternalDenied, "", policy, part)
	x.Local.Body = a.body
	if a.body == nil {
		x.Local.Body = []byte{} // an answer without a body is one, too
	}
	a.client.respond(&x.Resp.Header)
	return v
}

// editQuery sets and removes parameters.
func (a *Answer) editQuery(r *httpmsg.Request) {
	if len(a.query)+len(a.droppedQuery) == 0 {
		return
	}
	out := r.Arena.Alloc(len(r.Query) + querySize(a.query))[:0]
	for pair, rest := httpmsg.NextPair(r.Query); pair != nil; pair, rest = httpmsg.NextPair(rest) {
		is := func(name []byte) bool { _, ok := httpmsg.Parameter(pair, string(name)); return ok }
		if slices.ContainsFunc(a.droppedQuery, is) || slices.ContainsFunc(a.query, func(p parameter) bool { return is(p.name) }) {
			continue
		}
		out = appendPair(out, pair)
	}
	for i, p := range a.query {
		if i+1 < len(a.query) && slices.ContainsFunc(a.query[i+1:], func(o parameter) bool { return bytes.Equal(o.name, p.name) }) {
			continue // the last one of a name holds
		}
		out = appendPair(out, nil)
		out = appendEscaped(append(appendEscaped(out, p.name), '='), p.value)
	}
	r.Query, r.HasQuery = out, len(out) > 0
}

func querySize(list []parameter) int {
	n := 0
	for _, p := range list {
		n += 3*(len(p.name)+len(p.value)) + 2
	}
	return n
}

func appendPair(dst, pair []byte) []byte {
	if len(dst) > 0 {
		dst = append(dst, '&')
	}
	return append(dst, pair...)
}

// appendEscaped writes what is not unreserved (RFC 3986 §2.3) by its hexadecimal digits.
func appendEscaped(dst, text []byte) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range text {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~' {
			dst = append(dst, c)
			continue
		}
		dst = append(dst, '%', hex[c>>4], hex[c&15])
	}
	return dst
}

// ours are fields that belong to the connection or to the message that has them
// (RFC 9110 §7.6.1), and Host and Alt-Svc, which say who speaks.
var ours = httpmsg.MakeNameSet(
	httpmsg.NameConnection, httpmsg.NameKeepAlive, httpmsg.NameProxyConnection, httpmsg.NameTE, httpmsg.NameTrailer,
	httpmsg.NameTransferEncoding, httpmsg.NameUpgrade, httpmsg.NameHTTP2Settings, httpmsg.NameContentLength,
	httpmsg.NameHost, httpmsg.NameExpect, httpmsg.NameAltSvc, httpmsg.NameXGridwayReason,
)

// changeable tells whether a server may say something of a header. What it says
// of others is passed over, as Envoy does.
func changeable(name []byte) bool {
	id := httpmsg.LookupName(name)
	return name[0] != ':' && !(id != httpmsg.NameOther && ours.Has(id))
}

// checkField refuses what is no field (RFC 9110 §5.1, §5.5), since others may read
// something else in it.
func checkField(name, value []byte) error {
	plain := name
	if len(plain) > 1 && plain[0] == ':' {
		plain = plain[1:]
	}
	if len(plain) == 0 || !syntax.IsToken(plain) {
		return fmt.Errorf("%.60q is not the name of a header", name)
	}
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return fmt.Errorf("the value of header %.60s has a control character", name)
		}
	}
	return nil
}

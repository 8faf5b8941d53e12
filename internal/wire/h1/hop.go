package h1

import "github.com/gridway/gridway/internal/wire/httpmsg"

// hopByHop are the fields that concern one connection (RFC 9110 §7.6.1).
var hopByHop = httpmsg.MakeNameSet(
	httpmsg.NameConnection, httpmsg.NameKeepAlive, httpmsg.NameProxyConnection,
	httpmsg.NameProxyAuthenticate, httpmsg.NameProxyAuthorization,
	httpmsg.NameTransferEncoding, httpmsg.NameUpgrade, httpmsg.NameHTTP2Settings,
)

// StripHopByHop removes what must not be forwarded: the hop-by-hop fields, and
// fields that Connection names. TE is reduced to "trailers", the only member that
// a proxy passes on, or removed. Trailer stays, since trailers are forwarded, and
// so does Content-Length, which tells the size of what HEAD did not ask for;
// otherwise the writers emit the framing from Body and Length.
//
// Of the fields that Connection names only those are removed that are not
// well known: a sender must not name fields meant for all recipients
// (RFC 9110 §7.6.1), and one that names Host, Cookie or X-Forwarded-For wants
// them lost between the check and the server.
func StripHopByHop(h *httpmsg.Header) {
	if h.Has(httpmsg.NameTE) {
		if h.HasToken(httpmsg.NameTE, "trailers") {
			h.Set(httpmsg.NameTE, trailers)
		} else {
			h.Del(httpmsg.NameTE)
		}
	}
	if !h.HasAny(&hopByHop) {
		return
	}
	if h.Has(httpmsg.NameConnection) {
		stripNamed(h)
	}
	h.DelSet(&hopByHop)
}

var trailers = []byte("trailers")

func stripNamed(h *httpmsg.Header) {
	if !h.Has(httpmsg.NameOther) {
		return
	}
	// Fields move up when one is deleted, but what is before i stays, and the
	// deleted ones are never Connection fields.
	for i := 0; i < h.Len(); i++ {
		f := h.At(i)
		if f.ID != httpmsg.NameConnection {
			continue
		}
		for item, rest := httpmsg.NextItem(f.Value); item != nil; item, rest = httpmsg.NextItem(rest) {
			if httpmsg.LookupName(item) == httpmsg.NameOther {
				h.DelName(item)
			}
		}
	}
}

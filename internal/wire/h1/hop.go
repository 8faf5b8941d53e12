package h1

import "github.com/gridway/gridway/internal/wire/httpmsg"

// hopByHop are the fields that concern one connection (RFC 9110 §7.6.1).
var hopByHop = httpmsg.MakeNameSet(
	httpmsg.NameConnection, httpmsg.NameKeepAlive, httpmsg.NameProxyConnection,
	httpmsg.NameProxyAuthenticate, httpmsg.NameProxyAuthorization,
	httpmsg.NameTransferEncoding, httpmsg.NameUpgrade, httpmsg.NameHTTP2Settings,
)

// neverNamed are the well-known fields that stay although Connection names
// them. RFC 9110 §7.6.1 lets a recipient remove whatever is named, and forbids
// senders to name what is meant for all recipients; one who does wants it lost
// between who checked it and the server: who calls (credentials, cookies, the
// forwarding fields, the origin that guards against forged requests), what the
// content is, and what identifies the exchange. TE was reduced before, and the
// framing is written anew; Content-Length tells the size of what HEAD did not
// ask for.
var neverNamed = httpmsg.MakeNameSet(
	httpmsg.NameHost, httpmsg.NameContentLength, httpmsg.NameContentType, httpmsg.NameContentEncoding,
	httpmsg.NameContentRange, httpmsg.NameTE, httpmsg.NameExpect, httpmsg.NameMaxForwards,
	httpmsg.NameAuthorization, httpmsg.NameCookie, httpmsg.NameSetCookie, httpmsg.NameOrigin,
	httpmsg.NameForwarded, httpmsg.NameXForwardedFor, httpmsg.NameXForwardedProto, httpmsg.NameXForwardedHost,
	httpmsg.NameXForwardedPort, httpmsg.NameXForwardedPrefix, httpmsg.NameXForwardedClientCert, httpmsg.NameXRealIP, httpmsg.NameVia,
	httpmsg.NameXRequestID, httpmsg.NameXCorrelationID, httpmsg.NameTraceparent, httpmsg.NameTracestate,
	httpmsg.NameXAPIKey, httpmsg.NameCacheControl, httpmsg.NameStrictTransportSecurity,
)

// StripHopByHop removes what must not be forwarded: the hop-by-hop fields, and
// fields that Connection names, but for those whose loss would be an attack. TE
// is reduced to "trailers", the only member that a proxy passes on, or removed.
// Trailer stays, since trailers are forwarded.
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

// stripNamed goes by the number of the Connection field: removing others moves
// it, but never past another of its kind.
func stripNamed(h *httpmsg.Header) {
	for nth := 0; ; nth++ {
		list, ok := nthConnection(h, nth)
		if !ok {
			return
		}
		for item, rest := httpmsg.NextItem(list); item != nil; item, rest = httpmsg.NextItem(rest) {
			id := httpmsg.LookupName(item)
			switch {
			case hopByHop.Has(id), neverNamed.Has(id): // the former go anyway
			case id == httpmsg.NameOther:
				h.DelName(item)
			default:
				h.Del(id)
			}
		}
	}
}

func nthConnection(h *httpmsg.Header, n int) (value []byte, ok bool) {
	for i := range h.Len() {
		f := h.At(i)
		if f.ID != httpmsg.NameConnection {
			continue
		}
		if n == 0 {
			return f.Value, true
		}
		n--
	}
	return nil, false
}

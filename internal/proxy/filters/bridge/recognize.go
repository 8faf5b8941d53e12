package bridge

import (
	"bytes"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// either has no policy: it only gives replies their form.
var either = &Bridge{web: true, connect: true}

var connectV1 = []byte("connect=v1")

// Recognize sets the Replier of a client of gRPC-Web or Connect whom no rule has
// recognized: there is none, or its endpoints speak these protocols themselves.
// Only what can be nothing else is taken for them. A unary call of Connect looks
// like any other JSON, but its client says the protocol's version.
func Recognize(x *filter.Exchange) {
	media := mediaType(x.Req.Header.Get(httpmsg.NameContentType))
	switch x.Req.MethodID {
	case httpmsg.MethodPost:
		if unaryCodec(media) != nil && !x.Req.Header.HasName(version) {
			return
		}
	case httpmsg.MethodGet:
		if !x.Req.HasQuery || !hasPair(x.Req.Query, connectV1) {
			return
		}
	default:
		return
	}
	either.Recognize(x)
}

// hasPair tells whether a query has the pair, written without escapes.
func hasPair(query, pair []byte) bool {
	for len(query) > 0 {
		var one []byte
		if one, query, _ = bytes.Cut(query, []byte("&")); bytes.Equal(one, pair) {
			return true
		}
	}
	return false
}

// Spoken names what the client of an exchange that the bridge has translated speaks;
// empty is nothing that it knows.
func Spoken(x *filter.Exchange) string {
	switch x.Kept.Bridge {
	case web:
		return "gRPC-Web"
	case webText:
		return "gRPC-Web in base64"
	case connectUnary:
		return "Connect"
	case connectStream:
		return "a stream of Connect"
	}
	return ""
}

package pipeline

import "github.com/gridway/gridway/internal/wire/httpmsg"

// agreed tells whether a 101 switches to what the client asked for, and to
// nothing else (RFC 9110 §7.8). HTTP/1.0 has no 101.
func (x *Exchange) agreed() bool {
	if x.Resp.Version < httpmsg.HTTP11 {
		return false
	}
	item, rest := httpmsg.NextItem(x.Resp.Upgrade)
	if item == nil {
		return false
	}
	for ; item != nil; item, rest = httpmsg.NextItem(rest) {
		if !offers(x.Req.Upgrade, item) {
			return false
		}
	}
	return true
}

func offers(list, protocol []byte) bool {
	for item, rest := httpmsg.NextItem(list); item != nil; item, rest = httpmsg.NextItem(rest) {
		if httpmsg.EqualFold(item, protocol) {
			return true
		}
	}
	return false
}

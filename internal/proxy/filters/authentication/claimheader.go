package authentication

import (
	"strings"

	"github.com/gridway/gridway/internal/proxy/filter"
)

const (
	// maxClaim bounds the value of a header that a claim makes.
	maxClaim = 4096
	// roomForClaim is what most of them need.
	roomForClaim = 128
)

// writeClaim sets the header to a claim, if a header can say it so that endpoints
// read nothing else: other issuers' users choose some of what is in claims.
func (h *header) writeClaim(x *filter.Exchange) {
	claims := x.Caller.Claims
	v, ok := claims.Lookup(h.claim)
	if !ok || ambiguousList(v) {
		return
	}
	value, ok := claims.AppendText(x.Req.Arena.Alloc(roomForClaim)[:0], h.claim)
	if ok && len(value) > 0 && len(value) <= maxClaim && sayable(value) {
		x.Req.Header.Add(h.name, value)
	}
}

// ambiguousList tells whether a list has values that would look like several.
func ambiguousList(v any) bool {
	list, _ := v.([]any)
	for _, one := range list {
		if s, ok := one.(string); ok && strings.Contains(s, ",") {
			return true
		}
	}
	return false
}

// sayable tells whether a value goes into a header and comes out as the same one
// (RFC 9110 §5.5).
func sayable(value []byte) bool {
	for _, c := range value {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return value[0] != ' ' && value[len(value)-1] != ' '
}

package proxy_test

import (
	"testing"

	"github.com/gridway/gridway/internal/ir"
)

// Requests through an outbound listener cost what others do: as to a proxy, and
// inside a tunnel, which is what captured connections are.
func TestOutboundAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const reply = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
	h := start(t, []string{fixedPeer(t, 0, reply)}, outbound(ir.EgressDeny, []string{"reviews.shop"}, ""))
	t.Run("as to a proxy", func(t *testing.T) {
		bounded(t, allocsPerRequest(t, h, "GET http://reviews.shop:9080/ HTTP/1.1\r\nHost: reviews.shop:9080\r\n\r\n", 5))
	})
	t.Run("in a tunnel", func(t *testing.T) {
		r, c, _ := h.connectTo("reviews.shop:9080", "")
		in := []byte("GET / HTTP/1.1\r\nHost: reviews.shop:9080\r\n\r\n")
		bounded(t, mallocs(func() {
			if _, err := c.Write(in); err != nil || !discardHead(r) {
				t.Fatal("no response:", err)
			}
			if _, err := r.Discard(5); err != nil {
				t.Fatal(err)
			}
		}))
	})
}

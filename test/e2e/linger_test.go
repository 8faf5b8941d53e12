package e2e

import (
	"testing"
	"time"
)

// TestEarlyResponseIsNotReset: a client that still sends its body when the
// response is complete goes on for a moment; a reset could take the response from
// it (RFC 9112 §9.6).
func TestEarlyResponseIsNotReset(t *testing.T) {
	t.Parallel()
	app := startPeer(t, func(c *peerConn) {
		if c.head() != "" {
			c.say("HTTP/1.1 501 No\r\nContent-Length: 2\r\n\r\nno")
		}
	})
	g := serveYAML(t, edge("", app.addr))
	c := g.dial()
	began := time.Now()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	if resp, body := c.mustRespond("POST"); resp.StatusCode != 501 || body != "no" {
		t.Fatalf("%d %q", resp.StatusCode, body)
	}
	if rest := c.rest(); rest != "" {
		t.Errorf("%q after the response", rest)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 12 { // longer than the proxy waits between two looks at the client
		<-tick.C
		if _, err := c.Write([]byte("5\r\nhello\r\n")); err != nil {
			if after := time.Since(began); after < 2*time.Second {
				t.Errorf("cut off after %v: %v", after, err)
			}
			return
		}
	}
}

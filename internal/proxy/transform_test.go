package proxy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/ir"
)

// jsonShield has bodies looked at as they pass.
func jsonShield(cfg *ir.Config) {
	cfg.Routes[0].Rules[0].Policy.Shield = &ir.Shield{Body: &ir.BodyShield{Policy: "default/json", JSON: &ir.JSONLimits{Depth: 4, Bytes: 100_000}}}
}

func postJSON(body string) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// A body that filters read, and that has arrived with its head, is sent with it: an
// endpoint that answers at the head costs no connection.
func TestBodyOfFiltersGoesWithTheHead(t *testing.T) {
	short, middle, long := `{"a":[1,2,3]}`, `"`+strings.Repeat("m", 12_000)+`"`, `"`+strings.Repeat("l", 60_000)+`"`
	t.Run("an early answer", func(t *testing.T) {
		p := startPeer(t, func(c *peerConn) {
			for c.head() != "" {
				c.say(okReply)
				c.take(len(short))
			}
		})
		h := start(t, []string{p.addr}, jsonShield)
		c := h.dial()
		for range 5 {
			c.send(postJSON(short))
			if resp := c.want("POST", 200, "ok"); resp.Close {
				t.Fatal("the client's connection is closed")
			}
		}
		if n := p.conns.Load(); n != 1 {
			t.Errorf("%d connections to the endpoint", n)
		}
	})
	t.Run("nothing is lost", func(t *testing.T) {
		bodies := make(chan string, 1)
		p := startPeer(t, func(c *peerConn) {
			for c.head() != "" {
				want := <-bodies
				if got := c.take(len(want)); got != want {
					t.Errorf("%d bytes arrive otherwise", len(want))
				}
				c.say(okReply)
			}
		})
		h := start(t, []string{p.addr}, jsonShield)
		c := h.dial()
		for _, body := range []string{short, middle, long, short} {
			bodies <- body
			c.send(postJSON(body))
			c.want("POST", 200, "ok")
		}
		bodies <- "2\r\n[]\r\n0\r\n\r\n"
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\nX-After: gone\r\n\r\n")
		c.want("POST", 200, "ok")
	})
	t.Run("a refusal", func(t *testing.T) {
		p := startPeer(t, func(c *peerConn) {
			for c.head() != "" {
				c.take(len(short))
				c.say(okReply)
			}
		})
		h := start(t, []string{p.addr}, jsonShield)
		c := h.dial()
		for _, body := range []string{`{"a":}`, `[[[[[[]]]]]]`, `{"a":1`} {
			c.send(postJSON(body))
			if resp := c.want("POST", 400, "*"); resp.Close {
				t.Errorf("%s: the client's connection is closed", body)
			}
		}
		c.send(postJSON(short))
		c.want("POST", 200, "ok")
		if n := p.conns.Load(); n != 1 {
			t.Errorf("%d connections to the endpoint, which only one request was for", n)
		}
	})
}

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestUnknownExpectationIsRefused(t *testing.T) {
	t.Parallel()
	app := named(t, "app")
	g := serveYAML(t, edge("", app.addr))
	c := g.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: the-unexpected\r\nContent-Length: 2\r\n\r\nhi")
	resp, _ := c.mustRespond("POST")
	want(t, resp, 417, "ExpectationFailed")
	if rest := c.rest(); rest != "" || app.requests.Load() != 0 {
		t.Errorf("%q after the refusal, %d requests upstream", rest, app.requests.Load())
	}
	g.logged(`"status":417`, `"flags":"ExpectationFailed"`)
}

// What a stop cuts off was not given up by its client.
func TestWorkThatADrainCutsOff(t *testing.T) {
	t.Parallel()
	began := startPeer(t, func(c *peerConn) {
		c.head()
		c.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegin")
		c.untilClosed()
	})
	silent := startPeer(t, hangs)
	g := serveYAML(t, documents(gatewayDoc, ruleDoc(`
- matches: [{path: {value: /silent}}]
  backendRefs: [{group: gridway.dev, kind: Backend, name: silent}]
- backendRefs: [{group: gridway.dev, kind: Backend, name: began}]
`), backendDoc("silent", silent.addr), backendDoc("began", began.addr)))
	a, b := g.dial(), g.dial()
	a.send("GET /silent HTTP/1.1\r\nHost: a\r\n\r\n")
	b.send("GET /began HTTP/1.1\r\nHost: a\r\n\r\n")
	eventually(t, "both are with their endpoints", func() bool { return silent.conns.Load() == 1 && began.heads.Load() == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := g.proxy.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "2 connections were cut off") {
		t.Errorf("shutdown: %v", err)
	}
	g.logged(`"path":"/silent"`, `"status":0`, `"flags":"Draining"`)
	g.logged(`"path":"/began"`, `"status":200`, `"flags":"Draining"`)
	if n := g.metric("gridway_route_reasons_total", `reason="Draining"`); n != 2 {
		t.Errorf("%v exchanges were counted", n)
	}
}

package e2e

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A mirror that hangs has as many copies as there may be; the others get theirs
// all the same, whole.
func TestAHungMirrorLeavesTheOthersTheirs(t *testing.T) {
	const requests = 1200
	body := strings.Repeat("b", 3000)
	app := named(t, "app")
	hung := startPeer(t, hangs)
	var whole atomic.Int64
	good := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if b, err := io.ReadAll(r.Body); err == nil && string(b) == body {
			whole.Add(1)
		}
	})
	g := serveYAML(t, documents(gatewayDoc, routeDoc("app", `
filters:
- {type: RequestMirror, requestMirror: {backendRef: {group: gridway.dev, kind: Backend, name: hung}}}
- {type: RequestMirror, requestMirror: {backendRef: {group: gridway.dev, kind: Backend, name: good}}}
`), backendDoc("app", app.addr), backendDoc("hung", hung.addr), backendDoc("good", good.addr)))
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for range requests / 8 {
				if resp, _, err := g.do(g.request("POST", "/", strings.NewReader(body))); err != nil || resp.StatusCode != 200 {
					t.Error(resp, err)
					return
				}
			}
		})
	}
	clients.Wait()
	eventually(t, "the good mirror has them all", func() bool { return whole.Load() == requests })
	if n := hung.conns.Load(); n > 1024 {
		t.Errorf("%d copies are in flight to the one that hangs", n)
	}
}

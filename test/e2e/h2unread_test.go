package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/h2"
)

// unread is a client that sends HTTP/2 and reads nothing of what it gets.
func unread(t *testing.T, addr string) *h2wire {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	w := rawH2(t, c)
	w.begin()
	return w
}

// What is owed to clients that read nothing: answers without content, which no
// window holds back, and acknowledgements. It must not pile up, the connections
// are ended in their time, and a neighbour is served meanwhile.
func TestHTTP2UnreadReplies(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			io.Copy(io.Discard, r.Body)
		}
		io.WriteString(w, "ok")
	})
	port := ownPort(t)
	p := start(t, documents(plainOn(port), ruleDoc(`
- matches: [{path: {value: /moved}}]
  filters: [{type: RequestRedirect, requestRedirect: {hostname: b.example}}]
- backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
`), backendDoc("app", app.addr), clientPolicyDoc("timeouts: {bodyIdle: 4s}")))
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	neighbour := overHTTP2(t, nil)
	get := func() {
		resp, err := neighbour.Get("http://" + addr + "/")
		if err != nil {
			t.Errorf("the neighbour: %v", err)
			return
		}
		defer resp.Body.Close()
		if b, err := io.ReadAll(resp.Body); string(b) != "ok" || err != nil {
			t.Errorf("the neighbour: %d %q %v", resp.StatusCode, b, err)
		}
	}
	get()
	others := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer others.CloseIdleConnections()
	pace := func() {
		if resp, err := others.Get("http://" + addr + "/moved"); err == nil {
			resp.Body.Close()
		}
	}
	long := strings.Repeat("x", 4000)
	for name, frames := range map[string]func(c *h2wire) []byte{
		"answers without content": func(c *h2wire) (b []byte) {
			for range 64 { // and no two are alike: the coder would say the second in a byte
				_, head := c.get(fmt.Sprintf("/moved/%d/%s", c.next, long))
				b = append(b, head...)
			}
			pace() // more at a time would be refused
			return b
		},
		"acknowledgements": func() func(c *h2wire) []byte {
			begun := map[*h2wire]uint32{}
			return func(c *h2wire) (b []byte) {
				id := begun[c]
				if id == 0 {
					id, b = c.request("POST", "/", false)
					begun[c] = id
				}
				for range 500 { // content makes the pings plausible
					b = h2.AppendPing(h2.AppendData(b, id, []byte("x"), false), [8]byte{1}, false)
				}
				return b
			}
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			before, used := p.rss(), p.cpu()
			most := before
			var attackers sync.WaitGroup
			var mu sync.Mutex
			for range 4 {
				c := unread(t, addr)
				attackers.Go(func() {
					for sent := 0; sent < 200<<20; {
						mu.Lock() // of what the connections share
						b := frames(c)
						mu.Unlock()
						n, err := c.Conn.Write(b)
						if sent += n; err != nil {
							if errors.Is(err, os.ErrDeadlineExceeded) {
								t.Error("the connection is still open")
							}
							return
						}
					}
					t.Error("200 MiB were taken from a client that reads nothing")
				})
			}
			over := make(chan struct{})
			go func() { attackers.Wait(); close(over) }()
			look := time.NewTicker(20 * time.Millisecond)
			defer look.Stop()
			for going := true; going; {
				select {
				case <-over:
					going = false
				case <-look.C:
					get()
				}
				most = max(most, p.rss())
			}
			if most > before+48<<20 {
				t.Errorf("memory grew from %d to %d MiB", before>>20, most>>20)
			}
			if used = p.cpu() - used; used > 8*time.Second {
				t.Errorf("it has cost %v of CPU", used)
			}
			eventually(t, "the connections are gone", func() bool { return p.metric("gridway_listener_http2_connections") == 1 })
		})
	}
}

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/h2"
)

// deafEndpoint is one of HTTP/2 that says hello and answers nothing. It reads
// nothing either, or all of it without ever opening a window.
func deafEndpoint(t *testing.T, reads bool) (addr string, open *atomic.Int64) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	open = new(atomic.Int64)
	over := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_ = c.(*net.TCPConn).SetReadBuffer(16 << 10)
			_, _ = c.Write(h2.AppendSettingsAck(h2.AppendSettings(nil)))
			open.Add(1)
			all.Go(func() {
				defer c.Close()
				if reads {
					_, _ = io.Copy(io.Discard, c)
				} else {
					<-over
				}
			})
			if reads {
				all.Go(func() { <-over; c.Close() })
			}
		}
	})
	t.Cleanup(func() {
		ln.Close()
		close(over)
		all.Wait()
	})
	return ln.Addr().String(), open
}

// Endpoints that read nothing, or never open a window: whatever is sent to them,
// memory and CPU stay, their own requests come to an end, and those to another
// endpoint, of the same client, do not notice.
func TestHTTP2DeafEndpoints(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 8000)
	upload := make([]byte, 1<<20)
	for name, c := range map[string]struct {
		reads bool
		ask   func(url string, n int64) (*http.Request, error)
	}{
		"heads that are not read": {false, func(url string, n int64) (*http.Request, error) {
			r, err := http.NewRequest("GET", url, nil)
			if err == nil {
				r.Header.Set("X-Long", fmt.Sprint(n, long)) // no two are alike: the coder would say the second in a byte
			}
			return r, err
		}},
		"uploads that are not read": {false, func(url string, _ int64) (*http.Request, error) {
			return http.NewRequest("POST", url, bytes.NewReader(upload))
		}},
		"windows that are never opened": {true, func(url string, _ int64) (*http.Request, error) {
			return http.NewRequest("POST", url, bytes.NewReader(upload))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			endpoint, conns := deafEndpoint(t, c.reads)
			port := ownPort(t)
			p := start(t, documents(plainOn(port), ruleDoc(`
- {matches: [{path: {value: /deaf}}], timeouts: {request: 400ms}, backendRefs: [{group: gridway.dev, kind: Backend, name: deaf}]}
- {backendRefs: [{group: gridway.dev, kind: Backend, name: app}]}
`), h2Backend("deaf", endpoint), backendDoc("app", named(t, "ok").addr)))
			client := overHTTP2(t, nil)
			url := fmt.Sprintf("http://127.0.0.1:%d/", port)
			neighbour := func() {
				resp, err := client.Get(url)
				if err != nil {
					t.Errorf("the neighbour: %v", err)
					return
				}
				defer resp.Body.Close()
				if b, err := io.ReadAll(resp.Body); string(b) != "ok" || err != nil {
					t.Errorf("the neighbour: %q %v", b, err)
				}
			}
			neighbour()
			before, used := p.rss(), p.cpu()
			most := before
			var asked atomic.Int64
			statuses := make(map[int]int)
			var mu sync.Mutex // guards statuses
			var all sync.WaitGroup
			for range 64 {
				all.Go(func() {
					for range 8 {
						r, err := c.ask(url+"deaf", asked.Add(1))
						if err != nil {
							t.Error(err)
							return
						}
						resp, err := client.Do(r)
						if err != nil {
							t.Errorf("no answer: %v", err)
							return
						}
						_, _ = io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
						mu.Lock()
						statuses[resp.StatusCode]++
						mu.Unlock()
					}
				})
			}
			over := make(chan struct{})
			go func() { all.Wait(); close(over) }()
			look := time.NewTicker(20 * time.Millisecond)
			defer look.Stop()
			for going := true; going; {
				select {
				case <-over:
					going = false
				case <-look.C:
					neighbour()
				}
				most = max(most, p.rss())
			}
			t.Logf("%d requests: %v; %d connections; memory %d to %d MiB; CPU %v", asked.Load(), statuses, conns.Load(), before>>20, most>>20, p.cpu()-used)
			for status := range statuses {
				if status/100 != 5 && status != 408 { // the latter if the client, too, was late
					t.Errorf("answered %d", status)
				}
			}
			if most > before+48<<20 {
				t.Errorf("memory grew from %d to %d MiB", before>>20, most>>20)
			}
			if used = p.cpu() - used; used > 6*time.Second {
				t.Errorf("it has cost %v of CPU", used)
			}
			eventually(t, "nothing is open", func() bool { return p.metric("gridway_cluster_active_requests") == 0 })
		})
	}
}

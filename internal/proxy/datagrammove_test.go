package proxy_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// mute is a server that answers like answers until it is told to be silent. Then
// it still takes what comes, so that no ICMP tells.
type mute struct {
	mu     sync.Mutex
	silent bool
}

func (m *mute) shut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.silent = true
}

func (m *mute) serve(t *testing.T, name string) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	go func() {
		buf := make([]byte, 65536)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			m.mu.Lock()
			silent := m.silent
			m.mu.Unlock()
			if !silent {
				pc.WriteTo([]byte(name+" "+from.String()+" "+itoa(n)), from)
			}
		}
	}()
	return pc.LocalAddr().String()
}

// A client that never changes its port leaves an endpoint that was removed once
// that does not answer any more, and not before.
func TestDatagramsLeaveARemovedEndpoint(t *testing.T) {
	for what, remove := range map[string]func(cfg *ir.Config, well string){
		"endpoint": func(cfg *ir.Config, well string) {
			cfg.Clusters[0].Endpoints = []ir.Endpoint{{Address: well, Weight: 1}}
		},
		"cluster rebuilt": func(cfg *ir.Config, well string) {
			cfg.Clusters[0].Endpoints = []ir.Endpoint{{Address: well, Weight: 1}}
			cfg.Clusters[0].Hash += 100
		},
		"cluster": func(cfg *ir.Config, well string) {
			c := *cfg.Clusters[0]
			c.Name, c.Hash = "Backend/default/other/udp", 99
			c.Endpoints = []ir.Endpoint{{Address: well, Weight: 1}}
			cfg.Clusters = []*ir.Cluster{&c}
			cfg.Streams[0].Backends[0].Cluster = c.Name
		},
	} {
		t.Run(what, func(t *testing.T) {
			m := &mute{}
			leaving, well := m.serve(t, "leaving"), answers(t, "well")
			h := start(t, nil, datagrams([]string{leaving}))
			c := h.udp()
			is := func(want string) {
				t.Helper()
				if got, _, err := ask(c, 1, 10*time.Second); err != nil || got != want {
					t.Fatalf("%q answered, %v; want %q", got, err, want)
				}
			}
			is("leaving")
			next := config()
			datagrams([]string{leaving})(next)
			remove(next, well)
			if err := h.proxy.Apply(context.Background(), next); err != nil {
				t.Fatal(err)
			}
			if got, _, err := ask(h.udp(), 1, 10*time.Second); err != nil || got != "well" {
				t.Fatalf("a new client gets %q, %v", got, err)
			}
			for range 20 {
				is("leaving")
			}
			m.shut()
			waitFor(t, "another endpoint answers", func() bool {
				got, _, _ := ask(c, 1, 100*time.Millisecond)
				return got == "well"
			})
			if n := h.proxy.Connections()["127.0.0.1:0"]; n != 2 {
				t.Error(n, "sessions")
			}
		})
	}
}

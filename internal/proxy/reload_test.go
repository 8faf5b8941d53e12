package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// clone makes a configuration that shares nothing that a test changes.
func clone(cfg *ir.Config) *ir.Config {
	c := *cfg
	route := *cfg.Routes[0]
	rule := *route.Rules[0]
	route.Rules = []*ir.Rule{&rule}
	c.Routes = []*ir.Route{&route}
	c.Clusters = append([]*ir.Cluster(nil), cfg.Clusters...)
	listeners := make([]*ir.Listener, len(cfg.Listeners))
	for i, l := range cfg.Listeners {
		copied := *l
		listeners[i] = &copied
	}
	c.Listeners = listeners
	return &c
}

func TestReloadsUnderLoadLoseNothing(t *testing.T) {
	slow := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "a") })
	other := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "b") })
	h := start(t, []string{slow})
	var failed, done atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}, Timeout: patience}
			defer client.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				default:
				}
				resp, err := client.Get("http://" + h.addr + "/")
				if err != nil {
					failed.Add(1)
					t.Errorf("request failed: %v", err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != 200 || len(body) != 1 {
					failed.Add(1)
					t.Errorf("%d %q %v", resp.StatusCode, body, err)
					return
				}
				done.Add(1)
			}
		})
	}
	backends := []string{slow, other}
	for i := 0; i < 300 || done.Load() < 1000 && failed.Load() == 0; i++ {
		h.cfg = clone(h.cfg)
		cluster := *h.cfg.Clusters[0]
		cluster.Endpoints = []ir.Endpoint{{Address: backends[i%2], Weight: 1}}
		cluster.Hash = uint64(i % 3) // now and then the same, mostly another
		h.cfg.Clusters = []*ir.Cluster{&cluster}
		h.cfg.Routes[0].Hash = uint64(i)
		h.apply()
	}
	close(stop)
	wg.Wait()
	if failed.Load() != 0 {
		t.Errorf("%d requests done, %d failed", done.Load(), failed.Load())
	}
}

func TestRemovedListenerLetsWorkEnd(t *testing.T) {
	release := make(chan struct{})
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
		io.WriteString(w, "late")
	})
	h := start(t, []string{app})
	c := h.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	h.cfg = clone(h.cfg)
	h.cfg.Listeners = nil
	h.apply()
	waitFor(t, "the port to be closed", func() bool {
		conn, err := (&http.Client{Timeout: time.Second}).Get("http://" + h.addr)
		if err == nil {
			conn.Body.Close()
		}
		return err != nil
	})
	close(release)
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "late" {
		t.Fatalf("%q %v", body, err)
	}
}

func TestShutdownEndsKeepAliveAfterTheAnswer(t *testing.T) {
	release, arrived := make(chan struct{}), make(chan struct{})
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		io.WriteString(w, "late")
	})
	h := start(t, []string{app})
	c := h.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-arrived
	idle := h.dial()
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		stopped <- h.proxy.Shutdown(ctx)
	}()
	idle.ended()
	close(release)
	if resp := c.want("GET", 200, "late"); !resp.Close {
		t.Error("the last response must say that the connection closes")
	}
	c.ended()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestShutdownDeadlineCutsOff(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	arrived := make(chan struct{})
	app := startPeer(t, func(c *peerConn) { c.head(); close(arrived); <-release })
	h := start(t, []string{app.addr})
	c := h.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-arrived
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := h.proxy.Shutdown(ctx); err == nil {
		t.Error("a connection was cut off, and nobody was told")
	}
}

func waitFor(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("gave up waiting for %s", what)
		}
	}
}

func TestTakenPortIsReportedAndTheRestServes(t *testing.T) {
	app := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
	h := start(t, []string{app})
	h.cfg = clone(h.cfg)
	taken := *h.cfg.Listeners[0]
	taken.Name, taken.Address, taken.Port = "192.0.2.1:80", "192.0.2.1", 80 // not an address of this machine
	h.cfg.Listeners = append(h.cfg.Listeners, &taken)
	err := h.proxy.Apply(context.Background(), h.cfg)
	if err == nil {
		t.Fatal("no error for a listener that cannot be opened")
	}
	if resp, body := h.get("/"); resp.StatusCode != 200 || body != "ok" {
		t.Error(fmt.Sprint("the other listener does not serve: ", resp.StatusCode, body))
	}
}

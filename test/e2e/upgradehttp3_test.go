package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// http3Lineage is processes that serve HTTP/3, for a.example.
func http3Lineage(t *testing.T, port int, backend string, flags ...string) *lineage {
	t.Helper()
	cert, key := newAuthority(t, "servers").issue("a.example")
	return startLineage(t, documents(
		gatewayOn("", fmt.Sprintf("{name: https, port: %d, protocol: HTTPS, hostname: a.example, tls: {certificateRefs: [{name: a}]}}", port)),
		secretDoc("a", cert, key), http3Policy("http3: {}"), routeDoc("app", ""), backendDoc("app", backend)), flags...)
}

// dialHTTP3 makes a connection that is never replaced without being told so.
func dialHTTP3(ctx context.Context, port int) (*quic.Conn, *http3.ClientConn, error) {
	c, err := quic.DialAddr(ctx, fmt.Sprintf("127.0.0.1:%d", port),
		&tls.Config{ServerName: "a.example", InsecureSkipVerify: true, NextProtos: []string{"h3"}}, &quic.Config{MaxIdleTimeout: 4 * patience})
	if err != nil {
		return nil, nil, err
	}
	return c, new(http3.Transport).NewClientConn(c), nil
}

// http3 is a client of HTTP/3 that keeps its connection until it is told that it
// closes; without keep it makes a new one for each request.
func (l *load) http3(port int, keep bool, body, path, want string) {
	ask := func(ctx context.Context, client *http3.ClientConn) error {
		r, _ := http.NewRequestWithContext(ctx, "POST", "https://a.example"+path, slowly(body))
		resp, err := client.RoundTrip(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if got, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 || string(got) != want {
			return fmt.Errorf("%d %q %w", resp.StatusCode, got, err)
		}
		return nil
	}
	l.wg.Go(func() {
		ctx, cancel := context.WithTimeout(l.t.Context(), 12*patience)
		defer cancel()
		for l.going() {
			c, client, err := dialHTTP3(ctx, port)
			for err == nil && l.going() {
				if err = ask(ctx, client); err == nil {
					l.done.Add(1)
				}
				if !keep {
					break
				}
			}
			if c != nil {
				c.CloseWithError(0, "")
			}
			if keep && err != nil && strings.Contains(err.Error(), "conn unusable: connection in graceful shutdown") {
				err = nil // it was told to go, and has not sent the request
			}
			if err != nil {
				l.failed.Add(1)
				l.t.Errorf("HTTP/3 to %s: %v", path, err)
				return
			}
		}
	})
}

// slowly sends what is long in pieces that take their time.
func slowly(body string) io.Reader {
	if len(body) < pieces {
		return strings.NewReader(body)
	}
	r, w := io.Pipe()
	go func() {
		tick := time.NewTicker(pieceTick)
		defer tick.Stop()
		for i := range pieces {
			<-tick.C
			if _, err := io.WriteString(w, body[i*len(body)/pieces:(i+1)*len(body)/pieces]); err != nil {
				return
			}
		}
		w.Close()
	}()
	return r
}

// pooled is a client of HTTP/3 that shares a connection among requests, as
// programs and browsers do.
func (l *load) pooled(port int) {
	tr := &http3.Transport{
		TLSClientConfig: &tls.Config{ServerName: "a.example", InsecureSkipVerify: true},
		QUICConfig:      &quic.Config{MaxIdleTimeout: 4 * patience},
	}
	l.t.Cleanup(func() { tr.Close() })
	client := &http.Client{Transport: tr, Timeout: 4 * patience}
	for range 4 {
		l.wg.Go(func() {
			for l.going() {
				r, _ := http.NewRequest("POST", fmt.Sprintf("https://127.0.0.1:%d/", port), strings.NewReader("hi"))
				r.Host = "a.example"
				resp, err := client.Do(r)
				var body []byte
				if err == nil {
					body, err = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
				if err != nil || string(body) != "a" {
					l.failed.Add(1)
					l.t.Errorf("HTTP/3, pooled: %q %v", body, err)
					return
				}
				l.done.Add(1)
			}
		})
	}
}

// Six processes in a row serve HTTP/3 on one port: connections stay with the
// process that they began with, which the next ones pass datagrams on to, until
// it has told them to go; no request is lost and no connection refused.
func TestUpgradesUnderHTTP3(t *testing.T) { // not parallel: it takes the whole machine
	port := ownPort(t)
	g := http3Lineage(t, port, longWork(t).addr)
	l := newLoad(t)
	var download strings.Builder
	for i := range pieces {
		fmt.Fprintf(&download, "%04d", i)
	}
	long := strings.Repeat("x", 200_000)
	for range 2 {
		l.http3(port, true, "hi", "/", "a")
		l.http3(port, false, "hi", "/", "a")
		l.http3(port, false, "", "/download", download.String())
		l.http3(port, true, long, "/upload", fmt.Sprint(len(long)))
	}
	l.pooled(port)
	for range 5 {
		l.passed(100)
		g.upgrade()
	}
	l.passed(100)
	t.Logf("%d requests, %d failed", l.end(), l.failed.Load())
	g.stop()
	if text := g.logged(); strings.Contains(text, "cut off") || strings.Contains(text, "level=ERROR") || strings.Contains(text, "panic") {
		t.Error("something went wrong")
	}
}

// An HTTP/3 connection outlives the processes after its own: those before them and
// those that fail make no difference to it.
func TestUpgradeKeepsHTTP3Connections(t *testing.T) {
	t.Parallel()
	proceed := make(chan struct{})
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		now := http.NewResponseController(w)
		_ = now.EnableFullDuplex()
		_ = now.Flush()
		b := make([]byte, 32<<10)
		for {
			n, err := r.Body.Read(b)
			_, _ = w.Write(b[:n])
			_ = now.Flush()
			if err == io.EOF {
				break
			}
			if err != nil {
				panic(http.ErrAbortHandler)
			}
		}
		<-proceed
	})
	port := ownPort(t)
	g := http3Lineage(t, port, app.addr)
	type open struct {
		body io.WriteCloser
		resp *http.Response
	}
	var all []open
	begin := func() {
		t.Helper()
		c, client, err := dialHTTP3(t.Context(), port)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.CloseWithError(0, "") })
		r, w := io.Pipe()
		req, _ := http.NewRequestWithContext(t.Context(), "POST", "https://a.example/", r)
		resp, err := client.RoundTrip(req)
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		all = append(all, open{w, resp})
	}
	piece := bytes.Repeat([]byte("x"), 100_000)
	echo := func() {
		t.Helper()
		for i, o := range all {
			go o.body.Write(piece)
			got := make([]byte, len(piece))
			if _, err := io.ReadFull(o.resp.Body, got); err != nil || !bytes.Equal(got, piece) {
				t.Fatalf("connection %d after %d upgrades: %v", i, len(g.pids)-1, err)
			}
		}
	}
	begin()
	for range 3 {
		g.upgrade()
		begin()
		echo()
	}
	// The last process is not missed by those before it, which have no other one to
	// receive for them any more.
	for i, pid := range g.pids[:3] {
		if gone(pid) {
			t.Errorf("process %d ended although it had a connection", i)
		}
	}
	all[3].body.Close()
	all = all[:3]
	kill(t, g.pid())
	echo()
	close(proceed)
	for _, o := range all {
		o.body.Close()
		if rest, err := io.ReadAll(o.resp.Body); len(rest) > 0 || err != nil {
			t.Errorf("the end of a response: %q, %v", rest, err)
		}
	}
	for i, pid := range g.pids {
		eventually(t, fmt.Sprintf("process %d ends", i), func() bool { return gone(pid) })
	}
}

// kill ends a process without giving it the time to do anything.
func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process to be gone", func() bool { return gone(pid) })
}

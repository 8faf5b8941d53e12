package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/gridway/gridway/internal/wire/h3"
)

// told is whether a request failed in a way that lets a client send it again: it
// was not sent, or its refusal says that nothing was done with it.
func told(err error) bool {
	var e *http3.Error
	return strings.Contains(err.Error(), "conn unusable: ") || errors.As(err, &e) && h3.Code(e.ErrorCode) == h3.RequestRejected
}

// shared asks on connections that several goroutines use, and makes another when
// one takes no more, as a client has to do that hides nothing.
func (l *load) shared(addr string, tellsGone *atomic.Int64) {
	type shared struct {
		conn   *quic.Conn
		client *http3.ClientConn
		users  sync.WaitGroup
	}
	var mu sync.Mutex
	var now *shared
	use := func(old *shared) (*shared, error) {
		mu.Lock()
		defer mu.Unlock()
		if old != nil {
			old.users.Done()
		}
		if now == old {
			if old != nil {
				go func() { // what others have under way on it comes to its end
					old.users.Wait()
					old.conn.CloseWithError(quic.ApplicationErrorCode(h3.NoError), "")
				}()
			}
			ctx, cancel := context.WithTimeout(l.t.Context(), 4*patience)
			defer cancel()
			conn, err := quic.DialAddr(ctx, addr, h3TLS(nil), &quic.Config{MaxIdleTimeout: 4 * patience})
			if err != nil {
				return nil, err
			}
			now = &shared{conn: conn, client: new(http3.Transport).NewClientConn(conn)}
		}
		now.users.Add(1)
		return now, nil
	}
	for g := range 8 {
		l.wg.Go(func() {
			ctx, cancel := context.WithTimeout(l.t.Context(), 12*patience)
			defer cancel()
			s, err := use(nil)
			for i := 0; err == nil && l.going(); i++ {
				body := strings.Repeat("x", i%7*3000)
				r, _ := http.NewRequestWithContext(ctx, "POST", fmt.Sprintf("https://a.example/%d/%d", g, i), strings.NewReader(body))
				resp, asked := s.client.RoundTrip(r)
				var got []byte
				if asked == nil {
					got, asked = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
				switch {
				case asked == nil && resp.StatusCode == 200 && string(got) == fmt.Sprint(len(body)):
					l.done.Add(1)
				case asked != nil && told(asked):
					tellsGone.Add(1)
					s, err = use(s)
				default:
					err = fmt.Errorf("%s: %v %q: %w", r.URL.Path, resp, got, asked)
				}
			}
			if s != nil {
				s.users.Done()
			}
			if err != nil {
				l.failed.Add(1)
				l.t.Errorf("HTTP/3: %v", err)
			}
		})
	}
}

func lengths(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	fmt.Fprint(w, n)
}

// Connections are left all the time, because of their number of requests and their
// age, and the listener changes: every request is answered, or its client told
// that it may send it again.
func TestHTTP3LeavesUnderLoad(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "servers")
	app := serve(t, lengths)
	config := func(age string) string {
		return http3Config(t, ca, "http3: {}, limits: {requestsPerConnection: 40}, timeouts: {maxConnectionDuration: "+age+"}",
			routeDoc("app", ""), backendDoc("app", app.addr))
	}
	g := serveYAML(t, config("200ms"))
	l := newLoad(t)
	var gone atomic.Int64
	l.shared(g.addr, &gone)
	for i := range 10 {
		l.passed(100)
		g.apply(config([]string{"150ms", "300ms"}[i%2]))
	}
	g.apply(config("10s")) // in which the slowest machine has the requests of one connection
	eventually(t, "a connection to be left because of its number of requests", func() bool {
		return g.metric("gridway_listener_http3_goaways_total", `reason="RequestLimit"`) > 0 || l.failed.Load() > 0
	})
	t.Logf("%d requests, %d failed; %d times a client was told to go elsewhere", l.end(), l.failed.Load(), gone.Load())
	if gone.Load() == 0 {
		t.Error("no connection was left")
	}
	eventually(t, "no stream to be open", func() bool { return g.metric("gridway_listener_http3_streams") == 0 })
}

// An endpoint drains again and again, with GOAWAY, and another takes new
// connections at its address: no request fails.
func TestHTTP3EndpointDrains(t *testing.T) {
	t.Parallel()
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	cert := newAuthority(t, "endpoints").pair("endpoint.example")
	ln, err := quic.ListenEarly(socket, http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{cert}}), &quic.Config{MaxIncomingStreams: 20})
	if err != nil {
		t.Fatal(err)
	}
	// A server that is told to leave before it has counted a connection that it was
	// given cuts that off. So it is told when it has counted all.
	var arriving sync.RWMutex
	var counted sync.Map // by connection, what is to be called
	server := func() *http3.Server {
		return &http3.Server{Handler: http.HandlerFunc(lengths), ConnContext: func(ctx context.Context, c *quic.Conn) context.Context {
			if done, ok := counted.LoadAndDelete(c); ok {
				done.(func())()
			}
			return ctx
		}}
	}
	var present atomic.Pointer[http3.Server]
	present.Store(server())
	var serving sync.WaitGroup
	var conns atomic.Int64
	serving.Go(func() {
		for {
			conn, err := ln.Accept(context.Background())
			if err != nil {
				return
			}
			conns.Add(1)
			arriving.RLock()
			counted.Store(conn, arriving.RUnlock)
			serving.Go(func() {
				present.Load().ServeQUICConn(conn)
				if done, ok := counted.LoadAndDelete(conn); ok {
					done.(func())()
				}
			})
		}
	})
	t.Cleanup(func() {
		present.Load().Close()
		ln.Close()
		socket.Close()
		serving.Wait()
	})
	g := http3Edge(t, "http3: {}", routeDoc("app", ""), h3Backend("app", "", socket.LocalAddr().String()))
	l := newLoad(t)
	var gone atomic.Int64
	l.shared(g.addr, &gone)
	config := &tls.Config{ServerName: "a.example", InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}
	_, port, _ := net.SplitHostPort(g.addr)
	number := 0
	fmt.Sscan(port, &number)
	for range 3 {
		l.add(true, number, config, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\n\r\nhi", saying("2"))
	}
	for range 10 {
		l.passed(100)
		ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
		arriving.Lock()
		old := present.Swap(server())
		arriving.Unlock()
		if err := old.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	}
	l.passed(100)
	t.Logf("%d requests, %d failed, %d connections to the endpoint", l.end(), l.failed.Load(), conns.Load())
	if gone.Load() > 0 {
		t.Errorf("%d times a client was told to go", gone.Load())
	}
	if n := conns.Load(); n < 11 {
		t.Errorf("%d connections to the endpoint", n)
	}
}

// An endpoint says that it has not seen a request, and nothing more: it neither resets the
// stream nor ends the connection. The request is sent again, on another connection.
func TestHTTP3EndpointLeavesAStreamAlone(t *testing.T) {
	t.Parallel()
	srv := &http3.Server{Handler: http.HandlerFunc(lengths)}
	addr, conns := h3Accept(t, 20, func(conn *quic.Conn, number int64) {
		if number > 1 {
			srv.ServeQUICConn(conn)
			return
		}
		control, err := conn.OpenUniStream()
		if err != nil {
			t.Error(err)
			return
		}
		control.Write(h3.AppendSettings(h3.AppendVarint(nil, uint64(h3.StreamControl)), h3.Settings{}))
		if _, err := conn.AcceptStream(t.Context()); err != nil {
			t.Error(err)
		}
		control.Write(h3.AppendGoAway(nil, 0))
		<-conn.Context().Done()
	})
	t.Cleanup(func() { srv.Close() })
	g := serveYAML(t, documents(gatewayDoc, routeDoc("app", ""), h3Backend("app", "", addr)))
	resp, err := g.client.Do(g.request("POST", "/", strings.NewReader("hi")))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(body) != "2" || conns.Load() != 2 {
		t.Errorf("%d %q over %d connections", resp.StatusCode, body, conns.Load())
	}
}

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestHTTP2NeverStalls sends what might make streams wait for each other for
// ever: many at once on one connection, in both directions, through windows that
// are small on any side, with readers that are slow, peers that give up in the
// middle and a machine that is busy. Each exchange has to come to its end. With
// H2STRESS=10m it goes on for that long, with more windows.
func TestHTTP2NeverStalls(t *testing.T) {
	t.Parallel()
	lasts, windows := 100*time.Millisecond, stressWindows[:2]
	if s := os.Getenv("H2STRESS"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatal(err)
		}
		windows = stressWindows
		lasts = d / time.Duration(len(stressSides)*len(windows))
	}
	for _, side := range stressSides {
		for _, w := range windows {
			t.Run(fmt.Sprintf("%s/%d,%d", side.name, w.client, w.endpoint), func(t *testing.T) {
				s := &stress{t: t, client: side.client(t, w.client), window: min(w.client, w.endpoint), http1: strings.Contains(side.name, "h1")}
				s.g = serveYAML(t, documents(plainOn(80), routeDoc("app", ""), side.backend(t, w.endpoint, s.handle)))
				s.run(lasts)
			})
		}
	}
}

var stressSides = []struct {
	name    string
	client  func(t *testing.T, window int) *http.Client
	backend func(t *testing.T, window int, h http.HandlerFunc) string
}{
	{"h2 to h1", stressClient, stressHTTP1},
	{"h2 to h2", stressClient, stressHTTP2},
	{"h1 to h2", func(t *testing.T, _ int) *http.Client {
		tr := &http.Transport{MaxIdleConnsPerHost: 100}
		t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr}
	}, stressHTTP2},
}

// stressWindows are what the client and the endpoint let a stream send; those of
// the connection are always 65,535.
var stressWindows = []struct{ client, endpoint int }{{1 << 20, 1 << 20}, {1, 100}, {65535, 100}, {100, 65535}, {3000, 1}}

func stressClient(t *testing.T, window int) *http.Client {
	tr := &http.Transport{Protocols: new(http.Protocols), HTTP2: &http.HTTP2Config{
		MaxReceiveBufferPerConnection: 65535, MaxReceiveBufferPerStream: window, StrictMaxConcurrentRequests: true,
	}}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func stressHTTP1(t *testing.T, _ int, h http.HandlerFunc) string {
	return backendDoc("app", serve(t, h).addr)
}

func stressHTTP2(t *testing.T, window int, h http.HandlerFunc) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h, Protocols: new(http.Protocols), HTTP2: &http.HTTP2Config{
		MaxConcurrentStreams: 30, MaxReceiveBufferPerConnection: 65535, MaxReceiveBufferPerStream: window,
	}}
	srv.Protocols.SetUnencryptedHTTP2(true)
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	return h2Backend("app", ln.Addr().String())
}

// stress is one run.
type stress struct {
	t      *testing.T
	g      *gateway
	client *http.Client
	window int
	http1  bool // on either side
	counts [4]atomic.Int64
}

// pattern is content whose every byte is known; it is read in pieces of any size.
type pattern struct{ at, size int }

func byteAt(n int) byte { return byte(n ^ n>>8 ^ n>>16) }

func (p *pattern) Read(b []byte) (int, error) {
	if p.at == p.size {
		return 0, io.EOF
	}
	n := min(len(b), p.size-p.at)
	for i := range n {
		b[i] = byteAt(p.at + i)
	}
	p.at += n
	return n, nil
}

var errContent = errors.New("the content has changed on its way")

// check reads all of r, which is content, with pauses if it is slow.
func check(r io.Reader, slow bool) (int, error) {
	size := 4 << 10
	if slow {
		size = 700
	}
	buf := make([]byte, size)
	for at := 0; ; {
		n, err := r.Read(buf)
		for i := range n {
			if buf[i] != byteAt(at+i) {
				return at, errContent
			}
		}
		if at += n; err != nil {
			if err == io.EOF {
				err = nil
			}
			return at, err
		}
		if slow && rand.IntN(4) == 0 {
			pause()
		}
	}
}

// pause is what makes a reader slow.
func pause() {
	timer := time.NewTimer(time.Duration(rand.IntN(3000)) * time.Microsecond)
	<-timer.C
}

func (s *stress) handle(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	size, _ := strconv.Atoi(q.Get("down"))
	if after, _ := strconv.Atoi(q.Get("abort")); after > 0 {
		io.CopyN(io.Discard, r.Body, int64(after))
		io.CopyN(w, &pattern{size: size}, int64(after))
		panic(http.ErrAbortHandler)
	}
	switch r.URL.Path {
	case "/echo": // as it comes
		if r.ProtoMajor == 1 {
			http.NewResponseController(w).EnableFullDuplex()
		}
		buf := make([]byte, 1+rand.IntN(20_000))
		for {
			n, err := r.Body.Read(buf)
			w.Write(buf[:n])
			if rand.IntN(3) == 0 {
				w.(http.Flusher).Flush()
			}
			if err != nil {
				return
			}
		}
	case "/whole":
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	case "/early": // answers without reading
		io.Copy(w, &pattern{size: size})
	default:
		n, err := check(r.Body, q.Has("slow"))
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("X-Got", strconv.Itoa(n))
		io.Copy(w, &pattern{size: size})
	}
}

func (s *stress) run(lasts time.Duration) {
	const workers = 60
	by := time.Now().Add(lasts)
	var all sync.WaitGroup
	var begun [workers]atomic.Int64
	var doing [workers]atomic.Pointer[string]
	for i := range workers {
		all.Go(func() {
			for n := 0; n < 1 || time.Now().Before(by); n++ {
				begun[i].Store(time.Now().UnixNano())
				s.exchange(&doing[i])
				begun[i].Store(0)
			}
		})
	}
	over, busy := make(chan struct{}), make(chan struct{})
	for range runtime.GOMAXPROCS(0) {
		go func() { // takes the processor away now and then
			for {
				select {
				case <-busy:
					return
				default:
				}
				for at := time.Now(); time.Since(at) < 10*time.Millisecond; {
				}
				pause()
			}
		}()
	}
	go func() { all.Wait(); close(over) }()
	defer close(busy)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-over:
			s.t.Logf("%d whole, %d given up by the client, %d by the endpoint, %d early", s.counts[0].Load(), s.counts[1].Load(), s.counts[2].Load(), s.counts[3].Load())
			eventually(s.t, "no stream to be open", func() bool { return s.g.metric("gridway_listener_http2_streams") == 0 })
			return
		case <-tick.C:
		}
		for i := range workers {
			if at := begun[i].Load(); at != 0 && time.Since(time.Unix(0, at)) > 60*time.Second {
				s.dump(*doing[i].Load())
			}
		}
	}
}

// dump says what everybody waits for.
func (s *stress) dump(what string) {
	var b strings.Builder
	pprof.Lookup("goroutine").WriteTo(&b, 2)
	m := httptest.NewRecorder()
	s.g.metrics.Handler().ServeHTTP(m, httptest.NewRequest("GET", "/metrics", nil))
	fmt.Fprintf(os.Stderr, "metrics:\n%s\ngoroutines:\n%s\n", m.Body, &b)
	panic("stalled: " + what)
}

// exchange is one request of a random kind.
func (s *stress) exchange(doing *atomic.Pointer[string]) {
	most := 300_000
	if s.window <= 3000 {
		most = 20_000
	}
	if s.window < 100 {
		most = 300
	}
	up, down := rand.IntN(most), rand.IntN(most)
	if rand.IntN(5) == 0 {
		up, down = up/100, down/100
	}
	path := []string{"/echo", "/whole", "/early", "/sum", "/sum"}[rand.IntN(5)]
	u := fmt.Sprintf("http://%s%s?down=%d", s.g.addr, path, down)
	want, kind := down, 0
	if path == "/echo" || path == "/whole" {
		want = up
	}
	if path == "/early" {
		kind = 3
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	switch rand.IntN(10) {
	case 0:
		u += fmt.Sprint("&abort=", 1+rand.IntN(most))
		kind = 2
	case 1:
		kind = 1
		stop := time.AfterFunc(time.Duration(rand.IntN(20_000))*time.Microsecond, cancel)
		defer stop.Stop()
	}
	slow := rand.IntN(6) == 0
	if rand.IntN(6) == 0 {
		u += "&slow"
	}
	doing.Store(&u)
	var body io.Reader = &pattern{size: up}
	if rand.IntN(4) == 0 {
		body = &drip{pattern{size: up}}
	}
	req, err := http.NewRequestWithContext(ctx, "POST", u, io.NopCloser(body))
	if err != nil {
		s.t.Error(err)
		return
	}
	req.ContentLength = -1
	if rand.IntN(2) == 0 {
		req.ContentLength = int64(up)
	}
	if up == 0 {
		req.Body, req.ContentLength = nil, 0
	}
	got := 0
	resp, err := s.client.Do(req)
	switch {
	case err != nil:
	case resp.StatusCode != 200: // Gridway's own
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	default:
		got, err = check(resp.Body, slow)
		resp.Body.Close()
	}
	s.counts[kind].Add(1)
	switch {
	case kind == 3 && s.http1 && err != nil:
		// With HTTP/1 the end of the connection may overtake the answer.
	case errors.Is(err, errContent), kind == 0 && err != nil, kind == 3 && err != nil:
		s.t.Errorf("%s: %d bytes up: %v after %d bytes", u, up, err, got)
	case kind == 0 && (resp.StatusCode != 200 || got != want):
		s.t.Errorf("%s: %d bytes up: %d %s with %d bytes", u, up, resp.StatusCode, resp.Header.Get("X-Gridway-Reason"), got)
	}
}

// drip is content that comes in small pieces, with pauses.
type drip struct{ pattern }

func (d *drip) Read(b []byte) (int, error) {
	if rand.IntN(4) == 0 {
		pause()
	}
	return d.pattern.Read(b[:min(len(b), 1+rand.IntN(3000))])
}

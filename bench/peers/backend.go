package peers

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gridway/gridway/bench/load"
)

// Backend is an NGINX that answers downloads.
type Backend struct {
	*Process
	HTTP2 string // where it speaks HTTP/2 without TLS
}

// StartBackend starts it: 1 KiB on any path, files of 64 KiB and 10 MiB under
// /files/, a message of gRPC as /bench.Echo/Unary, and yes as /auth, as /introspect and
// by Envoy's protocol for external authorization.
func (l *Lab) StartBackend(ctx context.Context) (*Backend, error) {
	files := map[string][]byte{
		"files/64k": make([]byte, 64<<10), "files/10m": make([]byte, 10<<20), "bench.Echo/Unary": load.Message(),
		"envoy.service.auth.v3.Authorization/Check": make([]byte, 5), // a message without content: it may go on
	}
	for name, body := range files {
		if strings.HasPrefix(name, "files/") {
			if _, err := rand.Read(body); err != nil {
				return nil, err
			}
		}
		path := filepath.Join(l.Dir, "www", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, body, 0o644); err != nil {
			return nil, err
		}
	}
	addr, err := l.address()
	if err != nil {
		return nil, err
	}
	second, err := l.address()
	if err != nil {
		return nil, err
	}
	p := params{Dir: l.Dir, Addr: addr, HTTP2Addr: second, KiB: strings.Repeat("0123456789abcdef", 64), Root: os.Geteuid() == 0}
	file, err := l.render("backend.conf.tmpl", "backend.conf", p)
	if err != nil {
		return nil, err
	}
	argv := []string{find("nginx"), "-c", file, "-p", l.Dir, "-e", filepath.Join(l.Dir, "backend-start.log")}
	process, err := l.Launch(ctx, "backend", argv, load.Target{Addr: addr, Path: "/1k"}, -1)
	return &Backend{process, second}, err
}

// Sink is a server that swallows uploads and answers when it has all of one.
type Sink struct {
	Addr string
	srv  *http.Server
	done chan struct{}
}

// StartSink starts it inside this process.
func StartSink(ctx context.Context) (*Sink, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Sink{Addr: ln.Addr().String(), done: make(chan struct{}), srv: &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			if err != nil || n != r.ContentLength && r.ContentLength >= 0 {
				http.Error(w, "cut off", http.StatusBadRequest)
				return
			}
			w.Header().Set("Content-Length", "2")
			_, _ = io.WriteString(w, "ok") // a client that is gone is counted there
		}),
	}}
	go func() {
		defer close(s.done)
		_ = s.srv.Serve(ln) // returns when closed
	}()
	return s, nil
}

// Stop closes it.
func (s *Sink) Stop() {
	_ = s.srv.Close()
	<-s.done
}

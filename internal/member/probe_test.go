package member

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/declared"
)

// A workload is unwell after two failures in a row, and well after one answer.
func TestProbe(t *testing.T) {
	var status atomic.Int32
	status.Store(http.StatusOK)
	asked := make(chan *http.Request, 16)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(int(status.Load()))
	}))
	defer s.Close()
	at := s.Listener.Addr().(*net.TCPAddr).AddrPort()
	d := &declared.Workload{Address: at.Addr(), Health: declared.Health{Port: at.Port(), Path: "/ready?deep=1", Interval: time.Hour, Timeout: 10 * time.Second}}
	p := &probe{}
	look := func(status32 int32, wantWell, wantKnown bool) {
		t.Helper()
		status.Store(status32)
		if well, known := p.look(t.Context(), d); well != wantWell || known != wantKnown {
			t.Errorf("status %d: well %v, known %v", status32, well, known)
		}
	}
	look(200, true, true)
	if r := <-asked; r.URL.RequestURI() != "/ready?deep=1" || r.UserAgent() != "gridway-health" {
		t.Errorf("asked %s as %s", r.URL, r.UserAgent())
	}
	look(500, false, false) // it is not time yet
	if len(asked) > 0 {
		t.Error("asked before it was time")
	}
	p.due = time.Time{}
	look(503, false, false) // once is no reason
	look(404, false, true)  // and the second look follows at once
	look(200, false, false) // then it is an hour until the next
	p.due = time.Time{}
	look(302, true, true) // a redirect is an answer, and is not followed
	for len(asked) > 0 {
		if r := <-asked; r.URL.Path == "/elsewhere" {
			t.Error("a redirect was followed")
		}
	}
	p.due = time.Time{}
	look(500, false, false) // failures before an answer do not count
}

func TestProbeOfPorts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().(*net.TCPAddr).AddrPort()
	h := declared.Health{Port: at.Port(), Interval: time.Second, Timeout: 10 * time.Second}
	if err := ask(t.Context(), at.String(), &h); err != nil {
		t.Errorf("it listens: %v", err)
	}
	h.Path, h.Timeout = "/", time.Nanosecond
	if err := ask(t.Context(), at.String(), &h); err == nil || !strings.Contains(err.Error(), context.DeadlineExceeded.Error()) {
		t.Errorf("it does not answer: %v", err)
	}
	_ = l.Close()
	h.Path, h.Timeout = "", 10*time.Second
	if err := ask(t.Context(), at.String(), &h); err == nil {
		t.Error("nobody listens")
	}
	p := &probe{}
	if well, known := p.look(t.Context(), &declared.Workload{Address: netip.MustParseAddr("127.0.0.1")}); !well || !known {
		t.Error("what nobody asks is well")
	}
}

package proxy_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/h3"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// ourAllocations counts what the process has allocated in code of Gridway's, or of
// the standard library on its behalf.
func ourAllocations() (n int64) {
	runtime.GC() // the profile is of the cycle before the last
	runtime.GC()
	records := make([]runtime.MemProfileRecord, 1<<12)
	for {
		count, ok := runtime.MemProfile(records, true)
		if ok {
			records = records[:count]
			break
		}
		records = make([]runtime.MemProfileRecord, 2*count)
	}
	for i := range records {
		frames := runtime.CallersFrames(records[i].Stack())
		for more := true; more; {
			var f runtime.Frame
			f, more = frames.Next()
			if first, _, _ := strings.Cut(f.Function, "/"); !strings.Contains(first, ".") || first == f.Function {
				continue // of the standard library
			}
			if strings.HasPrefix(f.Function, "github.com/gridway/gridway/internal/") && !strings.Contains(f.Function, "_test.") {
				n += records[i].AllocObjects
			}
			break
		}
	}
	return n
}

// The QUIC library allocates for its packets and streams; what is ours of a request
// over HTTP/3 allocates nothing but what it takes to hear of the client's giving up:
// five small pieces of package context. The whole is pinned too, for both sides, since the
// client is in this process.
func TestHTTP3RequestPathAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const reply = "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
	cert, key := selfSigned(t, "web.example")
	h := start(t, []string{fixedPeer(t, 0, reply)}, func(cfg *ir.Config) {
		l := cfg.Listeners[0]
		l.Protocol, l.Client.HTTP3 = ir.HTTPS, &ir.HTTP3{}
		l.Sections[0].Protocol = ir.HTTPS
		l.Sections[0].TLS = &ir.ServerTLS{Certificates: []*ir.Certificate{{Name: "c", Chain: cert, Key: key}}}
	})
	conn, err := quic.DialAddr(t.Context(), h.addr, &tls.Config{InsecureSkipVerify: true, ServerName: "web.example", NextProtos: []string{"h3"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseWithError(0x100, "")
	control, err := conn.OpenUniStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := control.Write(h3.AppendSettings([]byte{0}, h3.Settings{})); err != nil {
		t.Fatal(err)
	}
	var req httpmsg.Request
	req.Method, req.MethodID, req.Scheme = []byte("GET"), httpmsg.MethodGet, "https"
	req.Host, req.Target, req.Path = []byte("web.example"), []byte("/a/path?with=query"), []byte("/a/path")
	req.Header.Add([]byte("user-agent"), []byte("test/1.0"))
	request := h3.EndHeaders(h3.AppendRequest(h3.BeginHeaders(nil), &req), 0)
	into := make([]byte, 4096)
	one := func() {
		s, err := conn.OpenStreamSync(t.Context())
		if err == nil {
			_, err = s.Write(request)
		}
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		n := 0
		for err == nil {
			var m int
			m, err = s.Read(into[n:])
			n += m
		}
		if err != io.EOF || !bytes.HasSuffix(into[:n], []byte("hello")) {
			t.Fatalf("%q, %v", into[:n], err)
		}
	}
	const ceiling = 95 // 72, and more packets where the machine is busy
	got := mallocs(one)
	t.Logf("%.1f allocations per request on both sides", got)
	if got > ceiling {
		t.Errorf("%.1f allocations per request on both sides, want at most %d", got, ceiling)
	}
	defer func(rate int) { runtime.MemProfileRate = rate }(runtime.MemProfileRate)
	runtime.MemProfileRate = 1
	const n = 1000
	one()
	before := ourAllocations()
	for range n {
		one()
	}
	got = float64(ourAllocations()-before) / n
	t.Logf("%.2f allocations per request of our own", got)
	if got >= 5.5 { // pools that the collections have emptied are filled again
		t.Errorf("%.2f allocations per request of our own", got)
	}
}

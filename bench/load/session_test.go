package load

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const h2loadGood = `starting benchmark...
finished in 1.00s, 52345.00 req/s, 60.10MB/s
requests: 52350 total, 52450 started, 52345 done, 52345 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 52345 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 60.10MB (63018201) total, 511.18KB (523450) headers (space savings 95.12%), 51.12MB (53601280) data
`

func TestParseH2Load(t *testing.T) {
	mixed := strings.NewReplacer("52345 succeeded, 0 failed", "52340 succeeded, 5 failed", "52345 2xx, 0 3xx, 0 4xx, 0 5xx", "52350 2xx, 0 3xx, 1 4xx, 2 5xx").Replace(h2loadGood)
	for out, want := range map[string][2]int64{h2loadGood: {52345, 0}, mixed: {52337, 8}} {
		r, err := parseH2Load(out)
		if err != nil || r.Requests != want[0] || r.Errors != want[1] || r.Took != time.Second || (r.First != nil) != (want[1] > 0) {
			t.Errorf("got %+v, %v, want %v", r, err, want)
		}
	}
	if _, err := parseH2Load("[ERROR] Failed to connect"); err == nil {
		t.Error("a report without a result was taken")
	}
}

// Each kind of traffic makes requests that a server of its kind answers.
func TestSessionsOfEachKind(t *testing.T) {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Upgrade") == "websocket":
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
			var frame [6 + webSocketBytes]byte
			for {
				if _, err := io.ReadFull(rw, frame[:]); err != nil {
					return
				}
				_, _ = conn.Write(append([]byte{0x82, webSocketBytes}, frame[6:]...))
			}
		case r.Header.Get("Content-Type") == "application/grpc":
			w.Header().Set("Trailer", "Grpc-Status")
			_ = http.NewResponseController(w).Flush()
			buf := make([]byte, len(grpcMessage))
			for {
				if _, err := io.ReadFull(r.Body, buf); err != nil {
					break
				}
				_, _ = w.Write(buf)
				_ = http.NewResponseController(w).Flush()
			}
			w.Header().Set("Grpc-Status", "0")
		case r.ProtoMajor == 2:
			fmt.Fprint(w, "ok")
		default:
			http.Error(w, "unexpected", http.StatusBadRequest)
		}
	}))
	s.Config.Protocols = &protocols
	s.Start()
	defer s.Close()
	for kind, name := range map[Traffic]string{HTTP2: "HTTP/2", GRPC: "gRPC", GRPCStream: "gRPC streams", WebSocket: "WebSocket"} {
		target := Target{Addr: strings.TrimPrefix(s.URL, "http://"), Path: "/", Traffic: kind, Streams: 3}
		if err := Probe(t.Context(), target); err != nil {
			t.Errorf("%s: probe: %v", name, err)
		}
		r, err := Closed(t.Context(), target, 2, 20*time.Millisecond)
		if err != nil || r.Errors != 0 || r.Requests < 6 {
			t.Errorf("%s: got %d requests, %d errors (%v), %v", name, r.Requests, r.Errors, r.First, err)
		}
		r, err = Open(t.Context(), target, 2, 500, 20*time.Millisecond)
		if err != nil || r.Errors != 0 || r.Requests != 10 {
			t.Errorf("%s at a fixed rate: got %d requests, %d errors (%v), %v", name, r.Requests, r.Errors, r.First, err)
		}
	}
}

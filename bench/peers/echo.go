package peers

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"time"
)

// Echo is a server that answers each gRPC message with itself, on HTTP/2
// without TLS, and each message of a WebSocket.
type Echo struct {
	Addr string
	srv  *http.Server
	done chan struct{}
}

// StartEcho starts it inside this process.
func StartEcho(ctx context.Context) (*Echo, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	e := &Echo{Addr: ln.Addr().String(), done: make(chan struct{}), srv: &http.Server{
		ReadHeaderTimeout: time.Minute, Protocols: &protocols, Handler: http.HandlerFunc(echo),
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 1024},
	}}
	go func() {
		defer close(e.done)
		_ = e.srv.Serve(ln) // returns when closed
	}()
	return e, nil
}

// Stop closes it.
func (e *Echo) Stop() {
	_ = e.srv.Close()
	<-e.done
}

func echo(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Header.Get("Upgrade") == "websocket":
		echoWebSocket(w)
	case r.Header.Get("Content-Type") == "application/grpc":
		echoGRPC(w, r)
	default:
		http.Error(w, "neither gRPC nor WebSocket", http.StatusBadRequest)
	}
}

func echoGRPC(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status")
	flush := func() { _ = http.NewResponseController(w).Flush() } // a client that is gone ends the loop
	stream := r.URL.Path == "/bench.Echo/Stream"
	if stream {
		flush()
	}
	status := "0"
	buf := make([]byte, 4096)
	for {
		if _, err := io.ReadFull(r.Body, buf[:5]); err != nil {
			if err != io.EOF {
				status = "13"
			}
			break
		}
		n := int(binary.BigEndian.Uint32(buf[1:]))
		if n > len(buf)-5 {
			status = "8"
			break
		}
		if _, err := io.ReadFull(r.Body, buf[5:5+n]); err != nil {
			status = "13"
			break
		}
		if _, err := w.Write(buf[:5+n]); err != nil {
			return
		}
		if stream {
			flush()
		}
	}
	w.Header().Set("Grpc-Status", status)
}

// echoWebSocket takes frames of up to 125 bytes, as the load sends them.
func echoWebSocket(w http.ResponseWriter) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
	var frame [6 + 125]byte
	for rw.Flush() == nil {
		if _, err := io.ReadFull(rw, frame[:6]); err != nil {
			return
		}
		n := int(frame[1] & 0x7f)
		if n > 125 || frame[0] != 0x82 {
			return
		}
		if _, err := io.ReadFull(rw, frame[6:6+n]); err != nil {
			return
		}
		reply(rw.Writer, frame[2:6], frame[6:6+n])
	}
}

// reply writes a frame with what the client sent.
func reply(w *bufio.Writer, mask, message []byte) {
	for i := range message {
		message[i] ^= mask[i%4]
	}
	_, _ = w.Write([]byte{0x82, byte(len(message))})
	_, _ = w.Write(message)
}

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"golang.org/x/net/http2"
)

// allowExtendedConnect lets net/http's client and server speak RFC 8441, which
// they decide before the tests begin.
func allowExtendedConnect() {
	const setting = "http2xconnect=1"
	if debug := os.Getenv("GODEBUG"); !strings.Contains(debug, setting) {
		os.Setenv("GODEBUG", strings.Trim(debug+","+setting, ","))
		fmt.Fprintln(os.Stderr, syscall.Exec("/proc/self/exe", os.Args, os.Environ()))
	}
}

// socket is a WebSocket as gobwas/ws sees it, whatever carries it.
type socket struct {
	io.Reader
	io.Writer
	// closeWrite ends this side only, reset all at once.
	closeWrite, reset func()
	resp              *http.Response // of a client's
}

// say sends a message, as a client.
func (s *socket) say(op ws.OpCode, p []byte) error { return wsutil.WriteClientMessage(s, op, p) }

// hear reads the next frame that a server has sent, and answers pings.
func (s *socket) hear() (ws.OpCode, []byte, error) {
	for {
		head, err := ws.ReadHeader(s)
		if err != nil {
			return 0, nil, err
		}
		payload := make([]byte, head.Length)
		if _, err := io.ReadFull(s, payload); err != nil {
			return 0, nil, err
		}
		if head.OpCode == ws.OpPing {
			if err := wsutil.WriteClientMessage(s, ws.OpPong, payload); err != nil {
				return 0, nil, err
			}
			continue
		}
		return head.OpCode, payload, nil
	}
}

// farewell reads up to the Close frame and answers it; then the end must come.
func (s *socket) farewell() (ws.StatusCode, string, error) {
	for {
		op, p, err := s.hear()
		if err != nil {
			return 0, "", err
		}
		if op == ws.OpClose {
			code, reason := ws.ParseCloseFrameData(p)
			err := wsutil.WriteClientMessage(s, ws.OpClose, p)
			if err == nil {
				_, err = io.Copy(io.Discard, s)
			}
			s.closeWrite()
			return code, reason, err
		}
	}
}

// wsServer is an endpoint that speaks WebSocket over HTTP/1.1 and HTTP/2.
type wsServer struct {
	*server
	closes chan ws.StatusCode // of the Close frames that came; 1006 for none
	heard  chan string        // messages, if there is room
}

// serveWS runs one that calls each for each message; nil echoes.
func serveWS(t *testing.T, each func(s *socket, op ws.OpCode, p []byte) error) *wsServer {
	t.Helper()
	w := &wsServer{closes: make(chan ws.StatusCode, 64), heard: make(chan string, 4096)}
	w.server = serveProtocols(t, plainProtocols(), w.handler(each))
	return w
}

// handler accepts WebSockets.
func (w *wsServer) handler(each func(s *socket, op ws.OpCode, p []byte) error) http.HandlerFunc {
	if each == nil {
		each = func(s *socket, op ws.OpCode, p []byte) error { return wsutil.WriteServerMessage(s, op, p) }
	}
	return func(rw http.ResponseWriter, r *http.Request) {
		s, err := acceptWS(rw, r)
		if err != nil {
			http.Error(rw, err.Error(), 400)
			return
		}
		defer s.closeWrite()
		for {
			p, op, err := wsutil.ReadClientData(s)
			var closed wsutil.ClosedError
			switch {
			case errors.As(err, &closed):
				w.closes <- closed.Code
				return
			case err != nil:
				w.closes <- 1006
				return
			}
			select {
			case w.heard <- string(p):
			default:
			}
			if err := each(s, op, p); err != nil {
				w.closes <- 1006
				return
			}
		}
	}
}

// saw is the next of what the endpoint has seen.
func saw[T any](t *testing.T, from chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(6 * patience):
		t.Fatal("the endpoint has seen nothing")
	}
	return v
}

// acceptWS opens a WebSocket for a request of either protocol.
func acceptWS(rw http.ResponseWriter, r *http.Request) (*socket, error) {
	if r.ProtoMajor == 3 {
		return acceptWS3(rw, r)
	}
	if r.ProtoMajor == 2 {
		if r.Method != "CONNECT" || r.Header.Get(":protocol") != "websocket" || r.Header.Get("Sec-Websocket-Version") != "13" || r.Header.Get("Sec-Websocket-Key") != "" {
			return nil, fmt.Errorf("no extended CONNECT: %s %v", r.Method, r.Header)
		}
		rw.Header().Set("Sec-Websocket-Protocol", r.Header.Get("Sec-Websocket-Protocol"))
		rw.WriteHeader(200)
		control := http.NewResponseController(rw)
		_ = control.Flush()
		return &socket{Reader: r.Body, Writer: flushed{rw, control}, closeWrite: func() {}}, nil
	}
	upgrader := ws.HTTPUpgrader{Protocol: func(string) bool { return true }}
	c, brw, _, err := upgrader.Upgrade(r, rw)
	if err != nil {
		return nil, err
	}
	return &socket{Reader: brw, Writer: c, closeWrite: func() { c.Close() }}, nil
}

type flushed struct {
	io.Writer
	control *http.ResponseController
}

func (f flushed) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p)
	if err == nil {
		err = f.control.Flush()
	}
	return n, err
}

// openWS opens a WebSocket over HTTP/1.1 with gobwas/ws.
func openWS(t *testing.T, addr, path string, config *tls.Config) (*socket, error) {
	t.Helper()
	scheme := "ws"
	if config != nil {
		scheme = "wss"
	}
	s := &socket{}
	d := ws.Dialer{Timeout: 4 * patience, TLSConfig: config, Protocols: []string{"chat"}}
	d.OnStatusError = func(status int, _ []byte, _ io.Reader) { s.resp = &http.Response{StatusCode: status} }
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	c, br, hs, err := d.Dial(ctx, scheme+"://"+addr+path)
	if err != nil {
		return s, err
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(6 * patience))
	s.resp = &http.Response{StatusCode: 101, Header: http.Header{"Sec-Websocket-Protocol": {hs.Protocol}}}
	s.Reader, s.Writer = c, c
	if br != nil {
		s.Reader = io.MultiReader(br, c)
	}
	s.closeWrite = func() { c.(interface{ CloseWrite() error }).CloseWrite() }
	s.reset = func() {
		if tc, ok := c.(*net.TCPConn); ok {
			tc.SetLinger(0)
		}
		c.Close()
	}
	return s, nil
}

// openWS2 opens one over HTTP/2 with net/http.
func openWS2(t *testing.T, client *http.Client, url string) (*socket, error) {
	t.Helper()
	body, out := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	late := time.AfterFunc(6*patience, cancel)
	t.Cleanup(func() { late.Stop(); cancel(); out.Close() })
	req, err := http.NewRequestWithContext(ctx, "CONNECT", url, body)
	if err != nil {
		return nil, err
	}
	req.Header[":protocol"] = []string{"websocket"}
	req.Header.Set("Sec-WebSocket-Version", "13")
	req.Header.Set("Sec-WebSocket-Protocol", "chat")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	s := &socket{resp: resp, Reader: bufio.NewReader(resp.Body), Writer: out, closeWrite: func() { out.Close() }}
	s.reset = func() {
		cancel()
		out.CloseWithError(context.Canceled) // it may wait for more of the body
	}
	if resp.StatusCode != 200 {
		out.Close()
		return s, fmt.Errorf("status %d", resp.StatusCode)
	}
	return s, nil
}

// http2Client is golang.org/x/net/http2's: that of net/http refuses :protocol.
//
//nolint:staticcheck // as was said
func http2Client(t *testing.T, config *tls.Config) *http.Client {
	tr := &http2.Transport{TLSClientConfig: config, DisableCompression: true}
	if config == nil {
		tr.AllowHTTP = true
		tr.DialTLSContext = func(ctx context.Context, network, addr string, _ *tls.Config) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// conversation sends messages of all sizes, in fragments too, with a ping in the
// middle of them, and wants them back.
func conversation(s *socket) error {
	random := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for _, size := range []int{0, 1, 125, 126, 4096, 65535, 65536, 1 << 20} {
		if err := s.say(ws.OpBinary, random[:size]); err != nil {
			return fmt.Errorf("size %d: %w", size, err)
		}
		op, p, err := s.hear()
		if err != nil || op != ws.OpBinary || !bytes.Equal(p, random[:size]) {
			return fmt.Errorf("size %d: %d bytes came back, %v, %w", size, len(p), op, err)
		}
	}
	for _, f := range []ws.Frame{
		ws.NewFrame(ws.OpText, false, []byte("one, ")),
		ws.NewFrame(ws.OpPing, true, []byte("?")),
		ws.NewFrame(ws.OpContinuation, true, []byte("two")),
	} {
		if err := ws.WriteFrame(s, ws.MaskFrameInPlace(f)); err != nil {
			return err
		}
	}
	var got []string
	for range 2 {
		op, p, err := s.hear()
		if err != nil {
			return err
		}
		got = append(got, fmt.Sprintf("%d %s", op, p))
	}
	if want := []string{"10 ?", "1 one, two"}; !slices.Equal(got, want) {
		return fmt.Errorf("heard %q, want %q", got, want)
	}
	return nil
}

// conversationMessages is how many messages it has each way.
const conversationMessages = 9

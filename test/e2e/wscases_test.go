package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// The categories of the Autobahn test suite, which needs a Python of long ago: what
// a strict server of another language makes of all that there is in RFC 6455, and
// must not be, is what its client hears over each version of HTTP.
func TestWebSocketCategories(t *testing.T) {
	t.Parallel()
	const python = "/usr/bin/python3"
	if _, err := os.Stat("/usr/lib/python3/dist-packages/websockets"); err != nil {
		t.Skip("python3-websockets is not installed; scripts/setup test installs it")
	}
	out := launch(t, python, "testdata/wspeer.py", "serve")
	eventually(t, "the server tells its port", func() bool { return strings.Contains(out.String(), "\n") })
	addr := "127.0.0.1:" + strings.TrimSpace(out.String())
	for _, down := range wsClients {
		g := wsGateway(t, down, "http", addr, "")
		for name, c := range wsCases() {
			t.Run(down+"/"+name, func(t *testing.T) {
				t.Parallel()
				s, err := g.openWS(down, "/")
				if err != nil {
					t.Fatal(err)
				}
				said := make(chan struct{})
				go func() { // a server that has heard enough need not read the rest
					defer close(said)
					for _, f := range c.say {
						if _, err := s.Write(f); err != nil {
							return
						}
					}
				}()
				hear := func(want string) {
					t.Helper()
					op, p, err := s.frame()
					if err != nil {
						t.Fatalf("%v, want %s", err, want)
					}
					if got := inWords(op, p); got != want {
						t.Fatalf("%s, want %s", got, want)
					}
				}
				for _, want := range c.hear {
					hear(want)
				}
				<-said
				if !strings.HasPrefix(c.hear[len(c.hear)-1], "close") { // the client begins the end
					if _, err := s.Write(bye); err != nil {
						t.Fatal(err)
					}
					hear("close 1000")
				}
				s.closeWrite()
				if rest, err := io.ReadAll(s); len(rest) > 0 || err != nil && down != "h1" {
					t.Errorf("after the end: %d bytes, %v", len(rest), err)
				}
			})
		}
	}
}

// frame reads a frame, whatever it is.
func (s *socket) frame() (ws.OpCode, []byte, error) {
	head, err := ws.ReadHeader(s)
	if err != nil {
		return 0, nil, err
	}
	payload := make([]byte, head.Length)
	_, err = io.ReadFull(s, payload)
	return head.OpCode, payload, err
}

// inWords is a frame in words.
func inWords(op ws.OpCode, p []byte) string {
	switch {
	case op == ws.OpClose && len(p) >= 2:
		return fmt.Sprintf("close %d", int(p[0])<<8|int(p[1]))
	case op == ws.OpClose:
		return "close"
	case len(p) > 40:
		return fmt.Sprintf("%d: %d bytes", op, len(p))
	}
	return fmt.Sprintf("%d: %q", op, p)
}

type wsCase struct {
	say  [][]byte
	hear []string
}

// raw is a frame, masked.
func raw(first byte, payload []byte) []byte {
	var b bytes.Buffer
	f := ws.MaskFrame(ws.NewFrame(ws.OpCode(first&0xf), first&0x80 != 0, payload))
	f.Header.Rsv = first >> 4 & 7
	_ = ws.WriteFrame(&b, f)
	return b.Bytes()
}

// The first bytes of frames: whole messages, the first, next and last piece of one,
// and what is about the connection.
const (
	wsText, wsBinary               = 0x81, 0x82
	wsFirst, wsMiddle, wsLast      = 0x01, 0x00, 0x80
	wsClose, wsPing, wsPong   byte = 0x88, 0x89, 0x8a
)

// bye is the end that a client begins, and its server answers.
var bye = raw(wsClose, ws.NewCloseFrameBody(1000, ""))

func wsCases() map[string]wsCase {
	long := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	euro := []byte("€ euro €")
	cases := map[string]wsCase{
		"empty": {[][]byte{raw(wsText, nil), raw(wsBinary, nil)}, []string{`1: ""`, `2: ""`}},
		"fragments": {
			[][]byte{raw(wsFirst, []byte("a")), raw(wsMiddle, nil), raw(wsMiddle, []byte("b")), raw(wsLast, []byte("c"))},
			[]string{`1: "abc"`},
		},
		"pings between fragments": {
			[][]byte{raw(wsFirst, []byte("a")), raw(wsPing, []byte("1")), raw(wsMiddle, []byte("b")), raw(wsPing, nil), raw(wsLast, []byte("c"))},
			[]string{`10: "1"`, `10: ""`, `1: "abc"`},
		},
		"pongs that nobody has asked for": {[][]byte{raw(wsPong, []byte("?")), raw(wsText, []byte("x"))}, []string{`1: "x"`}},
		"a ping of 125 bytes":             {[][]byte{raw(wsPing, long[:125])}, []string{"10: 125 bytes"}},
		"16 MiB":                          {[][]byte{raw(wsBinary, long)}, []string{fmt.Sprintf("2: %d bytes", len(long))}},
		"characters in two fragments":     {[][]byte{raw(wsFirst, euro[:1]), raw(wsMiddle, euro[1:2]), raw(wsLast, euro[2:])}, []string{fmt.Sprintf("1: %q", euro)}},
		"a close without a code":          {[][]byte{raw(wsClose, nil)}, []string{"close"}},
		"a close with a long reason":      {[][]byte{raw(wsClose, ws.NewCloseFrameBody(4000, strings.Repeat("r", 123)))}, []string{"close 4000"}},
		"nothing after a close":           {[][]byte{bye, raw(wsText, []byte("late"))}, []string{"close 1000"}},
	}
	for name, first := range map[string][]byte{
		"half of a character":            raw(wsText, euro[:2]),
		"no characters":                  raw(wsText, []byte{0xff}),
		"no characters in a reason":      raw(wsClose, append(ws.NewCloseFrameBody(1000, ""), 0xff)),
		"half of a character, fragments": slices.Concat(raw(wsFirst, euro[:2]), raw(wsLast, []byte("x"))),
	} {
		cases[name] = wsCase{[][]byte{first}, []string{"close 1007"}}
	}
	for name, first := range map[string][]byte{
		"without a mask":            ws.MustCompileFrame(ws.NewTextFrame([]byte("x"))),
		"an unknown kind":           raw(0x83, nil),
		"an unknown control frame":  raw(0x8b, nil),
		"a reserved bit":            raw(0xc1, []byte("x")),
		"another reserved bit":      raw(0x91, []byte("x")),
		"a ping in pieces":          raw(0x09, nil),
		"a ping of 126 bytes":       raw(wsPing, long[:126]),
		"a continuation of nothing": raw(wsLast, []byte("x")),
		"a message within another":  slices.Concat(raw(wsFirst, []byte("x")), raw(wsText, []byte("x"))),
		"a close of one byte":       raw(wsClose, []byte{3}),
	} {
		cases[name] = wsCase{[][]byte{first}, []string{"close 1002"}}
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999} {
		cases[fmt.Sprint("close ", code)] = wsCase{[][]byte{raw(wsClose, ws.NewCloseFrameBody(ws.StatusCode(code), "why"))}, []string{fmt.Sprint("close ", code)}}
	}
	for _, code := range []int{0, 999, 1004, 1005, 1006, 1016, 2999, 5000} {
		cases[fmt.Sprint("close ", code)] = wsCase{[][]byte{raw(wsClose, ws.NewCloseFrameBody(ws.StatusCode(code), "why"))}, []string{"close 1002"}}
	}
	return cases
}

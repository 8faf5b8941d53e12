package e2e

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// A side that takes nothing holds the other one back: what is on its way stays
// within what sockets and windows hold. Its neighbour on the same connections goes
// on, in both directions.
func TestWebSocketSlowReaders(t *testing.T) {
	t.Parallel()
	const (
		size   = 64 << 10
		pieces = 640 // 40 MiB, more than all buffers on the way
	)
	piece := bytes.Repeat([]byte{1}, size)
	for _, down := range wsClients {
		for _, up := range wsEndpoints {
			t.Run(down+" to "+up, func(t *testing.T) {
				t.Parallel()
				var sent atomic.Int64
				release := make(chan struct{})
				letGo := sync.OnceFunc(func() { close(release) })
				defer letGo()
				app := serveWSOver(t, up, func(s *socket, op ws.OpCode, p []byte) error {
					switch string(p) {
					case "flood":
						for range pieces {
							if err := wsutil.WriteServerBinary(s, piece); err != nil {
								return err
							}
							sent.Add(1)
						}
					case "stop":
						<-release
					default:
						return wsutil.WriteServerMessage(s, op, p)
					}
					return nil
				})
				g := wsGateway(t, down, up, app.addr, "")
				open := g.wsOpener(down)
				neighbour, err := open("/")
				if err != nil {
					t.Fatal(err)
				}
				stalls := func(who string) { // until no more is taken, and longer
					t.Helper()
					last, same := int64(-1), 0
					for same < 20 {
						p := bytes.Repeat([]byte("?"), 4000)
						if err := neighbour.say(ws.OpText, p); err != nil {
							t.Fatalf("beside %s: %v", who, err)
						}
						if _, got, err := neighbour.hear(); err != nil || !bytes.Equal(got, p) {
							t.Fatalf("beside %s the neighbour hears %d bytes, %v", who, len(got), err)
						}
						if now := sent.Load(); now == last {
							same++
						} else {
							last, same = now, 0
						}
					}
					if last == pieces {
						t.Errorf("all was taken from %s", who)
					}
				}
				s, err := open("/")
				if err != nil {
					t.Fatal(err)
				}
				if err := s.say(ws.OpText, []byte("flood")); err != nil {
					t.Fatal(err)
				}
				stalls("an endpoint whose client reads nothing")
				for range 10 {
					if _, p, err := s.hear(); err != nil || !bytes.Equal(p, piece) {
						t.Fatalf("the client reads again: %d bytes, %v", len(p), err)
					}
				}
				s.reset()

				if s, err = open("/"); err != nil {
					t.Fatal(err)
				}
				if err := s.say(ws.OpText, []byte("stop")); err != nil {
					t.Fatal(err)
				}
				sent.Store(0)
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					for range pieces {
						if s.say(ws.OpBinary, piece) != nil {
							return // cut off below
						}
						sent.Add(1)
					}
				}()
				stalls("a client whose endpoint reads nothing")
				letGo()
				if n, err := io.CopyN(io.Discard, s, 10*size); err != nil {
					t.Errorf("the endpoint reads again: %d bytes came back, %v", n, err)
				}
				s.reset()
				<-ended
			})
		}
	}
}

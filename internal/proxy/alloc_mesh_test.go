package proxy_test

import (
	"bufio"
	"net"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// Between two proxies of the mesh neither allocates anything for a request, nor for a
// message in a tunnel and the answer to it. What is counted is crypto/tls's own: 24
// bytes for each attempt to read from a connection, of which one finds a record and
// one that there is no more.
func TestMeshAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	echo := servePeer(t, func(c net.Conn, r *bufio.Reader) {
		buf := make([]byte, 64<<10)
		for {
			n, err := r.Read(buf)
			if err != nil {
				return
			}
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
	})
	t.Run("requests", func(t *testing.T) {
		const reply = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
		app := servePeer(t, func(c net.Conn, r *bufio.Reader) {
			for discardHead(r) {
				if _, err := c.Write([]byte(reply)); err != nil {
					return
				}
			}
		})
		c := startMesh(t, app, func(client, _ *ir.Config) { client.Listeners[0].Client.RequestIDHeader = "" }).client.connect()
		c.SetDeadline(time.Now().Add(12 * patience))
		r := bufio.NewReader(c)
		request := []byte("GET / HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\n\r\n")
		ofTLS(t, mallocsOf(someMessages, func() {
			if _, err := c.Write(request); err != nil {
				t.Fatal(err)
			}
			if !discardHead(r) {
				t.Fatal("no answer")
			}
			if _, err := r.Discard(5); err != nil {
				t.Fatal(err)
			}
		}))
	})
	t.Run("tunnel", func(t *testing.T) {
		c := startMeshStreams(t, echo).client.connect()
		c.SetDeadline(time.Now().Add(12 * patience))
		out, in := make([]byte, 100), make([]byte, 100)
		ofTLS(t, mallocsOf(someMessages, func() { exchanged(t, c, c, out, in) }))
	})
}

// someMessages are few: where the loops have all processors, clients in the same
// process wait for them.
const someMessages = 500

// ofTLS judges a number of allocations, for two records and their answers.
func ofTLS(t *testing.T, got float64) {
	t.Helper()
	const ceiling = 6
	t.Logf("%.2f allocations", got)
	if got > ceiling {
		t.Errorf("%.2f allocations, want at most %d", got, ceiling)
	}
}

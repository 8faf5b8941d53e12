package mesh

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// silence is longer than a client may say nothing before it counts as one that waits for
// the server.
const silence = 200 * time.Millisecond

// What a port speaks of which nobody was told is found out without a stall, at both ends:
// where a program's connection is taken up, whose bytes then ride to the workload in a
// tunnel or as requests, and where a client outside of the mesh comes to it.
func TestSniffing(t *testing.T) {
	t.Parallel()
	n, m := newHosts(t, fmt.Sprintf(meshPolicy, "Permissive"))
	server, client, stranger := n.Host("server"), n.Host("client"), n.Host("stranger")
	web := m.sidecarOn(server, []string{asProgram + "=web [::]:9080"}, []string{"--service", "web", "--port", "9080"}, os.Args[0])
	mail := m.sidecarOn(server, nil, []string{"--service", "mail", "--port", "2525", "--state-dir", filepath.Join(m.dir, "mail")}, "python3", "-c", speaksFirst, "2525")
	web.said("application listens")
	mail.said("application listens")
	folder := filepath.Join(m.dir, "prober")
	prober := runOn(t, client, []string{"GRIDWAY_JOIN_TOKEN=" + m.token}, "sidecar", "--control", m.address, "--service", "prober", "--http-proxy", "--log-level", "info",
		"--state-dir", folder, "--", "tail", "-f", "/dev/null")
	prober.said("application started")
	proxy := proxyPort(t, folder)

	for name, dial := range map[string]func(t *testing.T, service string, port uint16) net.Conn{
		"a program": func(t *testing.T, service string, port uint16) net.Conn {
			var c net.Conn
			var err error
			client.Do(func() { c, err = net.Dial("tcp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), proxy).String()) })
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(c, "CONNECT %s:%d HTTP/1.1\r\nHost: %s:%d\r\n\r\n", service, port, service, port)
			r := bufio.NewReaderSize(c, 16) // whose buffer has nothing of what follows
			if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, " 200 ") {
				t.Fatalf("CONNECT: %q, %v", line, err)
			}
			for line := ""; line != "\r\n"; {
				if line, err = r.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
			return &buffered{c, r}
		},
		"a stranger": func(t *testing.T, _ string, port uint16) net.Conn {
			var c net.Conn
			var err error
			stranger.Do(func() { c, err = net.Dial("tcp", netip.AddrPortFrom(server.IP4, port).String()) })
			if err != nil {
				t.Fatal(err)
			}
			return c
		},
	} {
		path := "/" + strings.ReplaceAll(name, " ", "-")
		request := "GET " + path + "/%s HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n"
		open := func(t *testing.T, service string, port uint16) net.Conn {
			c := dial(t, service, port)
			_ = c.SetDeadline(time.Now().Add(patience))
			t.Cleanup(func() { _ = c.Close() })
			return c
		}
		t.Run(name+", the server speaks first", func(t *testing.T) {
			if line, err := bufio.NewReader(open(t, "mail", 2525)).ReadString('\n'); line != "220 ready\r\n" {
				t.Errorf("%q, %v", line, err)
			}
		})
		// Who has begun like HTTP is slow, and waited for.
		t.Run(name+", the first letters alone", func(t *testing.T) {
			c := open(t, "web", 9080)
			whole := fmt.Sprintf(request, "letters")
			fmt.Fprint(c, whole[:2])
			quiet(t, c)
			fmt.Fprint(c, whole[2:])
			answered(t, c, path+"/letters")
			eventually(t, "it was routed as a request", func() error {
				if !strings.Contains(web.log.String(), `"path":"`+path+`/letters"`) {
					return errors.New(web.log.String())
				}
				return nil
			})
		})
		// One letter may be a command of anything, and silence is: both are streams then,
		// in which everything gets through.
		for what, first := range map[string]int{"one byte alone": 1, "silent for long": 0} {
			t.Run(name+", "+what, func(t *testing.T) {
				c, at := open(t, "web", 9080), fmt.Sprint("stream", first)
				whole := fmt.Sprintf(request, at)
				fmt.Fprint(c, whole[:first])
				quiet(t, c)
				fmt.Fprint(c, whole[first:])
				answered(t, c, path+"/"+at)
				if strings.Contains(web.log.String(), path+"/"+at) {
					t.Error("it was routed as a request")
				}
			})
		}
		t.Run(name+", HTTP/2 in pieces", func(t *testing.T) {
			c := open(t, "web", 9080)
			const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
			fmt.Fprint(c, preface[:5])
			quiet(t, c)
			fmt.Fprint(c, preface[5:]+"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
			head := make([]byte, 9)
			if _, err := io.ReadFull(c, head); err != nil || head[3] != 4 { // SETTINGS
				t.Errorf("%q, %v", head, err)
			}
		})
	}
	prober.end()
}

// buffered is a connection of which a reader has begun to read.
type buffered struct {
	net.Conn
	r *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

// quiet lets a client hear nothing for a while.
func quiet(t *testing.T, c net.Conn) {
	t.Helper()
	defer func() { _ = c.SetDeadline(time.Now().Add(patience)) }()
	_ = c.SetReadDeadline(time.Now().Add(silence))
	var timeout net.Error
	if n, err := c.Read(make([]byte, 1)); n > 0 || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Fatalf("%d bytes, %v: nobody has anything to say yet", n, err)
	}
}

// answered reads an answer of the program.
func answered(t *testing.T, c net.Conn, path string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var a answer
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil || a.Path != path {
		t.Errorf("%s: %+v, %v", resp.Status, a, err)
	}
}

// proxyPort is that of a sidecar's HTTP proxy.
func proxyPort(t *testing.T, folder string) uint16 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "ports.json"))
	if err != nil {
		t.Fatal(err)
	}
	var p struct{ Proxy uint16 }
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	return p.Proxy
}

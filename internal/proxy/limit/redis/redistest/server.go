// Package redistest runs real Redis servers for tests, which need redis-server
// (Debian's package of that name; scripts/setup installs it). Tests import it.
package redistest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"
)

// Server is a Redis on a port of loopback, which is its own for the test's time.
type Server struct {
	Addr string

	t    testing.TB
	dir  string
	file []string // of its configuration, if it has one
	args []string
	cmd  *exec.Cmd
	out  bytes.Buffer
}

// Start runs a Redis with arguments of its configuration ("--name", "value") until
// the test ends.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("there is no redis-server; scripts/setup installs it")
	}
	return start(t, nil, args...)
}

func start(t testing.TB, file []string, args ...string) *Server {
	s := &Server{t: t, dir: t.TempDir(), file: file, args: args, Addr: freeAddr(t)}
	s.Run()
	t.Cleanup(s.Kill)
	return s
}

var portsTaken atomic.Int64

// freeAddr has a port that nobody has, and that the kernel gives to nobody by
// itself while the server is away: it is below the range of ephemeral ports.
func freeAddr(t testing.TB) string {
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10000+(os.Getpid()*41+int(portsTaken.Add(1)))%9000)
		if l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

// StartTLS is Start with a second port, which takes TLS by the certificate and key, and
// clients with a certificate of the authority alone. They are files of PEM.
func StartTLS(t testing.TB, certificate, key, authority string, args ...string) (s *Server, addr string) {
	t.Helper()
	addr = freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	return Start(t, append([]string{
		"--tls-port", port, "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", authority, "--tls-auth-clients", "yes",
	}, args...)...), addr
}

// Port is that of Addr.
func (s *Server) Port() string {
	_, port, _ := net.SplitHostPort(s.Addr)
	return port
}

// Run starts it, again after Kill, with nothing in memory, and waits until it serves.
func (s *Server) Run() {
	s.t.Helper()
	s.out.Reset()
	args := append(slices.Clone(s.file), "--port", s.Port(), "--bind", "127.0.0.1", "--dir", s.dir, "--daemonize", "no")
	if s.file == nil {
		args = append(args, "--save", "")
	}
	args = append(args, s.args...)
	s.cmd = exec.CommandContext(context.WithoutCancel(s.t.Context()), "redis-server", args...)
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.wait()
}

// wait asks until there is an answer, whatever it says.
func (s *Server) wait() {
	s.t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-ticker.C {
		if c, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.WithoutCancel(s.t.Context()), "tcp", s.Addr); err == nil {
			_ = c.SetDeadline(time.Now().Add(time.Second))
			_, _ = c.Write([]byte("PING\r\n"))
			n, _ := c.Read(make([]byte, 64))
			_ = c.Close()
			if n > 0 {
				return
			}
		}
		if time.Now().After(deadline) {
			s.Kill()
			s.t.Fatalf("redis-server does not answer: %s", s.out.String())
		}
	}
}

// Kill ends it at once.
func (s *Server) Kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// Pause stops it as it is, connections open, and Continue has it go on.
func (s *Server) Pause()    { s.signal(syscall.SIGSTOP) }
func (s *Server) Continue() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// Do sends a command and returns the answer as text.
func (s *Server) Do(words ...string) string {
	s.t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.Addr}, ForceSingleClient: true, DisableCache: true})
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	m, err := c.Do(context.Background(), c.B().Arbitrary(words...).Build()).ToMessage()
	if err != nil {
		s.t.Fatalf("%q: %v", words, err)
	}
	if n, err := m.AsInt64(); err == nil {
		return strconv.FormatInt(n, 10)
	}
	if list, err := m.AsStrSlice(); err == nil {
		return fmt.Sprint(list)
	}
	text, _ := m.ToString()
	return text
}

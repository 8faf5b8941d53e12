package systemd_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/systemd"
)

func TestNotifier(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), fmt.Sprintf("@gridway-test-%d", os.Getpid())} {
		l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		n := systemd.New(name)
		for want, send := range map[string]func() error{
			"READY=1\nMAINPID=7": func() error { return n.Ready(7) },
			"STOPPING=1":         n.Stopping,
			"MAINPID=8":          func() error { return n.MainPID(8) },
		} {
			if err := send(); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 100)
			l.SetReadDeadline(time.Now().Add(5 * time.Second))
			got, err := l.Read(b)
			if err != nil || string(b[:got]) != want {
				t.Errorf("got %q, %v; want %q", b[:got], err, want)
			}
		}
	}
	if err := systemd.New("").Ready(1); err != nil {
		t.Error("outside of a service:", err)
	}
	if err := systemd.New(filepath.Join(t.TempDir(), "none")).Ready(1); err == nil {
		t.Error("nobody was told, and no error")
	}
}

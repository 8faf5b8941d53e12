package capture

import (
	"bytes"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/test/netns"
)

// postgres runs PostgreSQL on a host, which refuses to be root, and returns its port.
func postgres(t *testing.T, h *netns.Host) (port uint16) {
	t.Helper()
	initdb, server := need(t, "initdb"), need(t, "postgres")
	dir, err := os.MkdirTemp("", "pg") // whose parents anybody may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(nobody.Uid)
	gid, _ := strconv.Atoi(nobody.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	as := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	data := filepath.Join(dir, "data")
	c := exec.Command(initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
	c.Dir, c.SysProcAttr = dir, &syscall.SysProcAttr{Credential: as}
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	if err := appendTo(filepath.Join(data, "pg_hba.conf"), "host all all 10.77.0.0/24 trust\n"); err != nil {
		t.Fatal(err)
	}
	port = 5432
	run := h.Command(server, "-D", data, "-p", "5432", "-h", "*", "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "shared_buffers=8MB")
	run.Dir, run.SysProcAttr.Credential = dir, as
	var log bytes.Buffer
	run.Stderr = &log
	if err := h.Start(run); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Process.Signal(syscall.SIGQUIT)
		_ = run.Wait()
		if t.Failed() {
			t.Logf("postgres said: %s", log.String())
		}
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(60 * time.Second); ; <-tick.C {
		if _, err := h.Run("psql", "-h", "127.0.0.1", "-U", "postgres", "-c", "select 1"); err == nil {
			return port
		}
		if time.Now().After(end) {
			t.Fatal("PostgreSQL is not ready")
		}
	}
}

func appendTo(name, text string) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}

// PostgreSQL, captured and by name: what the port speaks is known, so nobody waits
// for whoever begins.
func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	psql := need(t, "psql")
	n := netns.New(t)
	client, server := n.Host("client"), n.Host("server")
	w := world{client: client, server: server}
	cfg := config(ir.EgressDeny, service{"db", ir.TCP, w.at(postgres(t, server)), []string{"240.0.0.1:5432"}, []string{"db.shop:5432"}})
	known := names{"db.shop": services["web.shop"][:1]}
	for _, to := range []string{"240.0.0.1", "db.shop"} {
		out, log, err := beside(t, client, setup{Config: cfg, Intercept: true, Names: known},
			psql, "-XAt", "-h", to, "-U", "postgres", "-c", "select inet_client_addr()")
		if strings.TrimSpace(out) != client.IP4.String() || err != nil {
			t.Errorf("%s: it says %q, %v; %q", to, out, err, log)
		}
	}
}

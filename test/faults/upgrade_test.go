package faults

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/join"
	"github.com/gridway/gridway/test/netns"
)

// joiner is who joins from a host, as a service.
func joiner(t *testing.T, m *mesh, h *netns.Host, service, token string) (*join.Client, *identity.Keyring) {
	t.Helper()
	k := identity.NewKeyring(identity.Options{})
	c, err := join.NewClient(join.ClientOptions{
		Addresses: strings.Split(m.at(), ","), Keyring: k, Token: token, As: identity.Name{Role: identity.RoleWorkload, Namespace: "default", Service: service},
		Dial: func(ctx context.Context, address string) (net.Conn, error) {
			return h.Dial(ctx, "tcp", address)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, k
}

// joins are machines that join on and on.
type joins struct {
	stop   context.CancelFunc
	work   sync.WaitGroup
	good   atomic.Int64
	mu     sync.Mutex
	failed []error // guarded by mu
}

func newJoins(m *mesh, h *netns.Host) *joins {
	ctx, stop := context.WithCancel(m.t.Context())
	j := &joins{stop: stop}
	j.work.Go(func() {
		for ctx.Err() == nil {
			c, _ := joiner(m.t, m, h, "job", m.token)
			switch err := c.Join(ctx); {
			case err == nil:
				j.good.Add(1)
			case ctx.Err() == nil:
				j.mu.Lock()
				j.failed = append(j.failed, err)
				j.mu.Unlock()
			}
		}
	})
	m.t.Cleanup(j.end)
	return j
}

func (j *joins) end() {
	j.stop()
	j.work.Wait()
}

// The control plane is replaced by a new process, twice, with proxies connected, under load
// and while machines join: nobody notices.
func TestControlPlaneUpgraded(t *testing.T) {
	m := newMesh(t, "")
	pids := filepath.Join(m.dir, "pid")
	m.flags = []string{"--pid-file", pids}
	c := &replica{m: m, host: m.net.Host("control"), dir: filepath.Join(m.dir, "control"), upgrades: filepath.Join(m.dir, "upgrade")}
	m.replicas = append(m.replicas, c)
	c.start()
	pid := func() (n int) {
		text, err := os.ReadFile(pids)
		if err == nil {
			n, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	t.Cleanup(func() {
		if n := pid(); n != c.cmd.Process.Pid {
			_ = syscall.Kill(n, syscall.SIGKILL) // nobody else waits for a successor
		}
	})
	m.token = c.joinToken(`{"services":["*"],"reusable":true}`)
	m.ratings("one")
	client := m.reviews()
	client.served("one")
	l, j := client.load(), newJoins(m, m.net.Host("joining"))
	l.goesOn(100)
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		before, joined := pid(), j.good.Load()
		out := c.host.MustRun(program, "upgrade", "--upgrade-socket", c.upgrades)
		if !strings.Contains(out, "serves") {
			t.Errorf("%s", out)
		}
		eventually(t, "the process before ends", func() error {
			if syscall.Kill(before, 0) == nil && !zombie(before) {
				return fmt.Errorf("process %d is there", before)
			}
			return nil
		})
		if after := pid(); after == before {
			t.Errorf("process %d serves still", after)
		}
		c.serves("default/ratings/")
		c.serves("default/reviews/")
		name := fmt.Sprint("late", round)
		m.ratings(name)
		l.answeredBy(name)
		eventually(t, "machines join", func() error {
			if n := j.good.Load() - joined; n < 5 {
				return fmt.Errorf("%d", n)
			}
			return nil
		})
	}
	j.end()
	t.Logf("%d machines joined", j.good.Load())
	for _, err := range j.failed {
		t.Errorf("join: %v", err)
	}
	l.clean()
}

// zombie tells whether a process has ended, and nobody has asked for its exit code.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

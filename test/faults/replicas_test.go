package faults

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/statedb/statetest"
	"github.com/gridway/gridway/test/netns"
)

// database is a PostgreSQL on a host, which replicas reach over the network.
type database struct {
	*statetest.Server
	host *netns.Host
}

func newDatabase(m *mesh) *database {
	m.t.Helper()
	d := &database{statetest.OwnPostgres(m.t), m.net.Host("db")}
	l := d.host.Listen("tcp", ":5432")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go d.forward(c)
		}
	}()
	return d
}

// forward carries a connection to the server, which has a socket in the file system.
func (d *database) forward(c net.Conn) {
	defer c.Close()
	s, err := net.Dial("unix", d.Socket())
	if err != nil {
		return
	}
	defer s.Close()
	go func() {
		_, _ = io.Copy(s, c)
		_ = s.Close()
		_ = c.Close()
	}()
	_, _ = io.Copy(c, s)
}

// shared is a mesh whose control planes share a PostgreSQL.
func shared(t *testing.T, replicas int) (*mesh, *database) {
	t.Helper()
	m := newMesh(t, "")
	d := newDatabase(m)
	key := filepath.Join(m.dir, "key")
	if err := os.WriteFile(key, []byte(strings.Repeat("a secret of these tests ", 2)), 0o600); err != nil {
		t.Fatal(err)
	}
	m.flags = append(m.flags, "--state", fmt.Sprintf("postgres://postgres@%s:5432/postgres?sslmode=disable", d.host.IP4), "--ca-key-file", key)
	for range replicas {
		m.control()
	}
	return m, d
}

// serves waits until a replica has a proxy whose name begins so.
func (r *replica) serves(name string) {
	r.m.t.Helper()
	eventually(r.m.t, name+" is connected to "+r.host.Name, func() error {
		list, err := r.proxies()
		if err != nil {
			return err
		}
		for line := range strings.Lines(list) {
			if strings.HasPrefix(line, name) && strings.HasSuffix(line, " Serving\n") {
				return nil
			}
		}
		return fmt.Errorf("%s", list)
	})
}

// used makes a token for one machine and has one join by it.
func used(m *mesh, r *replica, n int) (token string) {
	m.t.Helper()
	token = r.joinToken(`{"services":["billing"]}`)
	before := m.token
	m.token = token
	x := m.member("billing", fmt.Sprintf("billing%d", n))
	m.token = before
	x.end()
	return token
}

// refused: nobody joins by a token any more, at any replica.
func refused(m *mesh, token string) {
	m.t.Helper()
	h := m.net.Host("late")
	for i, r := range m.replicas {
		p := run(m.t, h, []string{"GRIDWAY_JOIN_TOKEN=" + token}, "sidecar", "--service", "billing", "--control", net.JoinHostPort(r.host.IP4.String(), meshPort),
			"--state-dir", filepath.Join(m.dir, fmt.Sprintf("late%d", i)), "--", "true")
		if code := p.ended(); code != 1 || !strings.Contains(p.log.String(), "joining the mesh") {
			m.t.Errorf("%s let somebody in by a token that was used: exit code %d, %s", r.host.Name, code, p.log)
		}
	}
}

// PostgreSQL ends without a word and is away for a while: clients notice nothing, and
// what was acknowledged is there when it is back.
func TestDatabaseRestarts(t *testing.T) {
	m, db := shared(t, 2)
	m.ratings("one")
	client := m.reviews()
	client.served("one")
	token := used(m, m.replicas[0], 1)
	w, l := newWriter(m), client.load()
	l.goesOn(100)
	for range 2 {
		db.Stop()
		l.goesOn(300)
		db.Start()
		l.goesOn(100)
	}
	// The control planes work again, together.
	late := m.prepare("ratings", "two")
	late.start()
	l.answeredBy("two")
	w.check()
	refused(m, token)
	l.clean()
}

// A replica is killed: its proxies go to another one, and what they were is not forgotten.
func TestReplicaKilled(t *testing.T) {
	m, _ := shared(t, 3)
	m.ratings("one")
	client := m.reviews()
	client.served("one")
	w, l := newWriter(m), client.load()
	l.goesOn(100)
	for i, r := range m.replicas {
		token := used(m, r, i)
		was, elected := m.elected()
		r.kill()
		l.goesOn(200)
		// Those that are left know all workloads, and learn of new ones.
		name := fmt.Sprintf("late%d", i)
		m.ratings(name)
		l.answeredBy(name)
		if elected == r {
			eventually(t, "another one is elected", func() error {
				if now, by := m.elected(); by == nil || by == r || now <= was {
					return fmt.Errorf("term %d after %d", now, was)
				}
				return nil
			})
		}
		r.start()
		refusedBy := m.replicas[(i+1)%len(m.replicas)]
		refusedAt(m, refusedBy, token, i)
	}
	l.answeredBy("one")
	w.check()
	l.clean()
}

// refusedAt is refused at one replica.
func refusedAt(m *mesh, r *replica, token string, n int) {
	m.t.Helper()
	one := &mesh{t: m.t, net: m.net, dir: filepath.Join(m.dir, fmt.Sprint("refused", n)), replicas: []*replica{r}}
	if err := os.MkdirAll(one.dir, 0o700); err != nil {
		m.t.Fatal(err)
	}
	refused(one, token)
}

// The network is cut between a replica and PostgreSQL, between replicas, and between
// proxies and a replica.
func TestNetworkCut(t *testing.T) {
	m, db := shared(t, 2)
	one, two := m.replicas[0], m.replicas[1]
	m.ratings("one")
	client := m.reviews()
	client.served("one")
	w, l := newWriter(m), client.load()
	l.goesOn(100)

	// What replicas ask each other is about traffic alone: no client and no proxy notices.
	one.host.Part(two.host)
	m.ratings("two")
	l.answeredBy("two")
	one.host.Part()

	// One goes on with what it knows without PostgreSQL, and takes part again after.
	one.host.Part(db.host)
	l.goesOn(300)
	m.ratings("three")
	l.goesOn(100)
	one.host.Part()
	l.answeredBy("three")
	facts := w.known()
	within(t, 45*time.Second, "the replica that was cut off knows what the other one was told", func() error { return w.missing(one, facts) })

	// Proxies that do not reach one replica any more go to the other.
	for _, r := range m.replicas {
		r.host.Part(client.host)
		other := two
		if r == two {
			other = one
		}
		other.serves("default/reviews/")
		r.host.Part()
	}
	l.answeredBy("one")
	w.check()
	l.clean()
}

// elected waits until all control planes that run know who does the periodic work, and
// returns it with its term.
func (m *mesh) elected() (term int64, by *replica) {
	m.t.Helper()
	eventually(m.t, "one is elected, and all know it", func() error {
		term, by = 0, nil
		for _, r := range m.replicas {
			select {
			case <-r.done:
				continue
			default:
			}
			var s struct {
				Election struct {
					Process string
					Term    int64
					Self    bool
				}
			}
			if err := r.read("/v1/status", &s); err != nil {
				return err
			}
			switch e := s.Election; {
			case e.Process == "":
				return fmt.Errorf("%s does not know", r.host.Name)
			case term != 0 && e.Term != term:
				return fmt.Errorf("%s knows of term %d, another one of %d", r.host.Name, e.Term, term)
			case e.Self && by != nil:
				return fmt.Errorf("both %s and %s are elected", by.host.Name, r.host.Name)
			default:
				if term = e.Term; e.Self {
					by = r
				}
			}
		}
		if by == nil {
			return fmt.Errorf("nobody is, in term %d", term)
		}
		return nil
	})
	return term, by
}

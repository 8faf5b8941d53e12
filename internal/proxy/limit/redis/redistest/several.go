package redistest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// slots of a cluster.
const slots = 16384

// StartCluster runs a cluster of so many masters.
func StartCluster(t testing.TB, n int) []*Server {
	t.Helper()
	nodes := make([]*Server, n)
	bus := make([]string, n)
	for i := range nodes {
		_, bus[i], _ = net.SplitHostPort(freeAddr(t))
		nodes[i] = Start(t, "--cluster-enabled", "yes", "--cluster-port", bus[i], "--cluster-node-timeout", "5000")
		nodes[i].Do("CLUSTER", "ADDSLOTSRANGE", fmt.Sprint(i*slots/n), fmt.Sprint((i+1)*slots/n-1))
	}
	for i := 1; i < n; i++ {
		nodes[0].Do("CLUSTER", "MEET", "127.0.0.1", nodes[i].Port(), bus[i])
	}
	for _, s := range nodes {
		s.until("the cluster to be whole", func() bool {
			info := s.Do("CLUSTER", "INFO")
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d", n))
		})
	}
	return nodes
}

// StartSentinel runs a sentinel that looks after a master, which has a replica.
func StartSentinel(t testing.TB, name string) (sentinel, master, replica *Server) {
	t.Helper()
	master = Start(t)
	replica = Start(t, "--replicaof", "127.0.0.1 "+master.Port(), "--repl-diskless-sync-delay", "0")
	master.until("the replica", func() bool { return strings.Contains(master.Do("INFO", "replication"), "state=online") })
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("sentinel monitor %s 127.0.0.1 %s 1\nsentinel down-after-milliseconds %[1]s 500\nsentinel failover-timeout %[1]s 3000\n", name, master.Port())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	sentinel = start(t, []string{file, "--sentinel"})
	sentinel.until("the sentinel to know the replica", func() bool { return strings.Contains(sentinel.Do("INFO", "sentinel"), "slaves=1") })
	return sentinel, master, replica
}

func (s *Server) until(what string, f func() bool) {
	s.t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(30 * time.Second); !f(); <-ticker.C {
		if time.Now().After(deadline) {
			s.t.Fatalf("redis-server: %s: not after 30 seconds: %s", what, s.out.String())
		}
	}
}

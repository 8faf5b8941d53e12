package mesh

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gridway/gridway/test/netns"
)

// needAll skips the test where a program is missing.
func needAll(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not here: scripts/setup installs it", p)
		}
	}
}

// Servers and clients that know of no mesh, each beside a sidecar on a host of its own,
// find each other by the names of services: over HTTP with IPv4 and IPv6, and in protocols
// of which nobody was told, whoever speaks first.
func TestHosts(t *testing.T) {
	t.Parallel()
	needAll(t, "curl", "nginx", "redis-server", "redis-cli", "psql", "pgbench", "initdb", "postgres", "setpriv", "bash")
	n, m := newHosts(t, fmt.Sprintf(meshPolicy, "Strict"))
	store, site, client, stranger := n.Host("store"), n.Host("site"), n.Host("client"), n.Host("stranger")

	data := database(t)
	db := m.sidecarOn(store, nil, []string{"--service", "db", "--port", "5432"},
		"setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups",
		"postgres", "-D", data, "-h", "*", "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "shared_buffers=8MB")
	cache := m.sidecarOn(store, nil, []string{"--service", "cache", "--port", "6379", "--state-dir", filepath.Join(m.dir, "cache")},
		"redis-server", "--port", "6379", "--protected-mode", "no", "--save", "", "--dir", t.TempDir())
	web := m.sidecarOn(site, nil, []string{"--service", "web", "--port", "80/http"}, "nginx", "-c", nginxConfig(t))
	for _, p := range []*process{db, cache, web} {
		p.said("application listens")
	}

	for name, c := range map[string]struct {
		script string
		want   []string
		code   int
	}{
		"http": {"curl -sSf -4 http://web/four && curl -sSf -6 http://web.default.svc.cluster.local/six; exit 7", []string{"nginx says /four", "nginx says /six"}, 7},
		"h2c":  {"curl -sSf --http2-prior-knowledge http://web/two", []string{"nginx says /two"}, 0},
		"postgres": {
			`for mode in disable prefer; do psql -XAt "host=db user=postgres sslmode=$mode" -c "select 'by $mode'"; done
psql -XAt "host=db user=postgres sslmode=require" -c "select 1" || echo "TLS is not there: $?"
pgbench -q -i -s 1 -h db -U postgres postgres && pgbench -c 4 -t 50 -h db -U postgres postgres`,
			[]string{"by disable", "by prefer", "TLS is not there: 2", "number of transactions actually processed: 200/200"},
			0,
		},
		"redis": {
			`redis-cli -h cache set greeting hello
for i in $(seq 2000); do echo "incr many"; done | redis-cli -h cache --pipe | tail -1
redis-cli -h cache get many
await() { while read -t 20 line <&$1; do echo "$line"; [[ $line == *$2* ]] && return; done; echo "no $2"; }
exec 3< <(redis-cli -h cache --csv subscribe news)
await 3 subscribe
redis-cli -h cache publish news today
await 3 message
exec 4< <(redis-cli -h cache --csv blpop later 0)
until redis-cli -h cache client list | grep -q cmd=blpop; do :; done
redis-cli -h cache rpush later now
await 4 later; true`,
			[]string{"replies: 2000", "\n2000\n", `"subscribe","news",1`, `"message","news","today"`, `"later","now"`},
			0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := m.sidecarOn(client, nil, []string{"--service", "job-" + name, "--log-level", "warn", "--state-dir", filepath.Join(m.dir, "job-"+name)}, "bash", "-c", c.script)
			if code := p.ended(); code != c.code {
				t.Errorf("it ended with %d, want %d", code, c.code)
			}
			for _, want := range c.want {
				if !strings.Contains(p.log.String(), want) {
					t.Errorf("%q is missing in\n%s", want, p.log)
				}
			}
		})
	}
	// A program on a host without the mesh.
	query := func() (string, error) {
		return stranger.Run("psql", "-XAt", "-h", store.IP4.String(), "-U", "postgres", "-c", "select 'let in'")
	}
	if out, err := query(); err == nil {
		t.Errorf("strict: %s", out)
	}
	if status, reason, _ := asked(t, clientOn(stranger), "http://"+site.IP4.String()+"/"); status != 403 || reason != "MeshTLSRequired" {
		t.Errorf("strict: %d %s", status, reason)
	}
	m.write(fmt.Sprintf(meshPolicy, "Permissive"))
	eventually(t, "permissive", func() error {
		out, err := query()
		if err == nil && !strings.Contains(out, "let in") {
			err = errors.New(out)
		}
		return err
	})
	if status, _, body := asked(t, clientOn(stranger), "http://["+site.IP6.String()+"]/six"); status != 200 || !strings.Contains(body, "nginx says /six") {
		t.Errorf("permissive: %d %s", status, body)
	}
	for _, p := range []*process{db, cache, web} {
		if code := p.end(); code != 0 {
			t.Errorf("it ended with %d\n%s", code, p.log)
		}
	}
}

// database makes one of PostgreSQL, which refuses to be root's.
func database(t *testing.T) (data string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "pg") // whose parents anybody may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	const nobody = 65534
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	data = filepath.Join(dir, "data")
	c := exec.Command("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
	c.Dir, c.SysProcAttr = dir, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	hba := filepath.Join(data, "pg_hba.conf")
	text, err := os.ReadFile(hba)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(hba, append(text, "host all all samenet trust\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	return data
}

// nginxConfig is a file of one that says what it was asked.
func nginxConfig(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "nginx.conf")
	text := strings.ReplaceAll(`daemon off; pid DIR/pid; error_log stderr; worker_processes 1;
events {}
http {
  access_log off; client_body_temp_path DIR/b; proxy_temp_path DIR/p; fastcgi_temp_path DIR/f; uwsgi_temp_path DIR/u; scgi_temp_path DIR/s;
  server { listen 80; listen [::]:80; location / { return 200 "nginx says $uri\n"; } }
}`, "DIR", dir)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A workload that leaves takes no request with it, whether its clients keep their
// connections or not.
func TestHostsDrain(t *testing.T) {
	t.Parallel()
	n, m := newHosts(t, "")
	client := n.Host("client")
	start := func(name string) *process {
		p := m.sidecarOn(n.Host(name), []string{asProgram + "=" + name + " 9080"}, []string{"--service", "web", "--port", "9080/http"}, os.Args[0])
		p.said("application listens")
		return p
	}
	one, two := start("one"), start("two")
	load := m.sidecarOn(client, []string{asProgram + "=load http://web:9080/"}, []string{"--service", "load"}, os.Args[0])
	load.said("answered by one")
	load.said("answered by two")
	if code := one.end(); code != 143 {
		t.Errorf("the first ended with %d", code)
	}
	three := start("three")
	load.said("answered by three")
	if code := two.end(); code != 143 {
		t.Errorf("the second ended with %d", code)
	}
	load.end()
	if !strings.Contains(load.log.String(), "0 failed") {
		t.Errorf("%s", load.log)
	}
	three.end()
}

// loadProgram asks a URL until it is told to end, and says who answered and how many
// requests failed.
func loadProgram(url string) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	keep, fresh := &http.Client{Timeout: patience}, &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	by, failed := map[string]int{}, 0
	for i := 0; ; i++ {
		select {
		case <-told:
			fmt.Printf("%d requests, %d failed\n", i, failed)
			os.Exit(0)
		default:
		}
		who, err := whoAnswers([]*http.Client{keep, fresh}[i%2], url)
		if err != nil {
			failed++
			fmt.Println(err)
		}
		if by[who]++; who != "" && by[who] == 1 {
			fmt.Println("answered by", who)
		}
	}
}

// whoAnswers is the name of the program that does.
func whoAnswers(c *http.Client, url string) (string, error) {
	resp, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var a answer
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil || resp.StatusCode != 200 {
		return "", fmt.Errorf("%s, %s, %w", resp.Status, resp.Header.Get("X-Gridway-Reason"), err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return a.Name, err
}

// How programs start and end, beside a sidecar that intercepts.
func TestHostsPrograms(t *testing.T) {
	t.Parallel()
	n, m := newHosts(t, "")
	host, client := n.Host("host"), n.Host("client")

	t.Run("slow to listen", func(t *testing.T) {
		gate := filepath.Join(t.TempDir(), "gate")
		if err := syscall.Mkfifo(gate, 0o600); err != nil {
			t.Fatal(err)
		}
		slow := m.sidecarOn(host, nil, []string{"--service", "slow", "--port", "9080/http"}, "bash", "-c",
			"read line <"+gate+"; exec python3 -m http.server 9080")
		slow.said("application started")
		p := m.sidecarOn(client, nil, []string{"--service", "early"}, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}\n", "http://slow:9080/")
		p.ended()
		if !strings.Contains(p.log.String(), "503\n") {
			t.Errorf("before it listens: %s", p.log)
		}
		if strings.Contains(slow.log.String(), "application listens") {
			t.Error("it cannot listen yet")
		}
		if err := os.WriteFile(gate, []byte("go\n"), 0); err != nil {
			t.Fatal(err)
		}
		slow.said("application listens")
		p = m.sidecarOn(client, nil, []string{"--service", "late"}, "curl", "-s", "--retry", "20", "--retry-delay", "1", "-o", "/dev/null", "-w", "%{http_code}\n", "http://slow:9080/")
		if p.ended(); !strings.Contains(p.log.String(), "200\n") {
			t.Errorf("once it listens: %s", p.log)
		}
		slow.end()
	})
	t.Run("never listens", func(t *testing.T) {
		p := m.sidecarOn(host, nil, []string{"--service", "mute", "--port", "9081", "--start-timeout", "300ms", "--state-dir", filepath.Join(m.dir, "mute")},
			"python3", "-m", "http.server", "9082")
		if code := p.ended(); code == 0 || !strings.Contains(p.log.String(), "9081") {
			t.Errorf("%d: %s", code, p.log)
		}
	})
	t.Run("dies at once", func(t *testing.T) {
		p := m.sidecarOn(host, nil, []string{"--service", "brief", "--port", "9083", "--state-dir", filepath.Join(m.dir, "brief")}, "sh", "-c", "exit 3")
		if code := p.ended(); code != 3 {
			t.Errorf("%d: %s", code, p.log)
		}
	})
	t.Run("is not there", func(t *testing.T) {
		p := m.sidecarOn(host, nil, []string{"--service", "none", "--state-dir", filepath.Join(m.dir, "none")}, "no-such-program")
		if code := p.ended(); code != 127 {
			t.Errorf("%d: %s", code, p.log)
		}
	})
	eventually(t, "no rules are left", func() error {
		for _, h := range []*netns.Host{host, client} {
			if left := tables(t, h); len(left) > 0 {
				return fmt.Errorf("%s: %q", h.Name, left)
			}
		}
		return nil
	})
}

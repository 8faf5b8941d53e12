package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ran runs a client to its end and returns what it printed.
func ran(t *testing.T, input, name string, args ...string) string {
	t.Helper()
	path := program(t, name)
	ctx, cancel := context.WithTimeout(t.Context(), 12*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = strings.NewReader(input)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s %q: %v\n%s%s", name, args, err, out, errs.String())
	}
	return string(out)
}

// program finds a command that scripts/setup installs, also where Debian hides it.
func program(t *testing.T, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	places, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	for _, path := range append(places, "/usr/sbin/"+name) {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	t.Fatalf("there is no %s; scripts/setup installs it", name)
	return ""
}

// postgres runs a PostgreSQL server with TLS in a temporary folder.
func postgres(t *testing.T, ca *authority) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cert, key := ca.issue("db.test")
	for name, text := range map[string]string{"crt": cert, "key": key} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	as := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 { // which PostgreSQL refuses to be
		u, err := user.Lookup("nobody")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		for _, path := range []string{dir, filepath.Join(dir, "crt"), filepath.Join(dir, "key")} {
			if err := os.Chown(path, uid, gid); err != nil {
				t.Fatal(err)
			}
		}
	}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(program(t, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = dir, as
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	port := ownPort(t)
	server := exec.Command(program(t, "postgres"), "-D", data, "-p", strconv.Itoa(port), "-h", "127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "shared_buffers=8MB",
		"-c", "ssl=on", "-c", "ssl_cert_file="+filepath.Join(dir, "crt"), "-c", "ssl_key_file="+filepath.Join(dir, "key"))
	var log lockedBuffer
	server.Dir, server.SysProcAttr, server.Stderr = dir, as, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGQUIT)
		_ = server.Wait()
		if t.Failed() {
			t.Logf("postgres said: %s", log.String())
		}
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(12 * patience); !strings.Contains(log.String(), "ready to accept connections"); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("PostgreSQL is not ready")
		}
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

func on(name, protocol string, port int) string {
	return fmt.Sprintf("{name: %s, port: %d, protocol: %s}", name, port, protocol)
}

// PostgreSQL through a port that it shares with HTTP: the client asks for TLS
// within the protocol, and server and client agree on it through the gateway.
func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "postgres")
	port := ownPort(t)
	p := start(t, documents(
		gatewayOn("", on("web", "HTTP", port), on("db", "TCP", port)),
		policyDoc("detect", "Gateway", "edge", "client: {protocolDetection: {timeout: 50ms}}"),
		routeDoc("app", ""), backendDoc("app", named(t, "web").addr),
		streamRoute("TCPRoute", "db", "", "db"), backendDoc("db", postgres(t, ca)),
	))
	root := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(root, []byte(ca.pem), 0o600); err != nil {
		t.Fatal(err)
	}
	at := fmt.Sprintf("host=db.test hostaddr=127.0.0.1 port=%d user=postgres dbname=postgres connect_timeout=30 ", port)
	const encrypted = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
	if out := ran(t, "", "psql", "-XAt", at+"sslmode=disable", "-c", encrypted); out != "f\n" {
		t.Errorf("without TLS: %q", out)
	}
	if out := ran(t, "", "psql", "-XAt", at+"sslmode=verify-full sslrootcert="+root, "-c", encrypted); out != "t\n" {
		t.Errorf("with TLS: %q", out)
	}
	const long = 8 << 20
	if out := ran(t, "", "psql", "-XAt", at+"sslmode=disable", "-c", fmt.Sprintf("select repeat('0123456789abcdef', %d)", long/16)); out != strings.Repeat("0123456789abcdef", long/16)+"\n" {
		t.Errorf("a long value came as %d bytes", len(out))
	}
	ran(t, "", "pgbench", "-i", "-q", at+"sslmode=disable")
	if out := ran(t, "", "pgbench", "-n", "-c", "4", "-t", "25", at+"sslmode=verify-full sslrootcert="+root); !strings.Contains(out, "100/100") {
		t.Errorf("pgbench: %s", out)
	}
	if out := ran(t, "", "curl", "-s", fmt.Sprintf("http://127.0.0.1:%d/", port)); out != "web" {
		t.Errorf("HTTP beside it: %q", out)
	}
	p.accessed(`"protocol":"TCP"`, `"route":"TCPRoute/default/db"`, `"cluster":"Backend/default/db/tcp"`)
	if n := p.metric("gridway_stream_connections_total", `route="TCPRoute/default/db"`); n < 5 {
		t.Errorf("%v streams were counted", n)
	}
	if n := p.metric("gridway_stream_sent_bytes_total", `route="TCPRoute/default/db"`); n < long {
		t.Errorf("%v bytes to clients were counted", n)
	}
}

// Redis, as it is and with TLS that the gateway terminates.
func TestRedis(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "redis")
	cert, key := ca.issue("redis.test")
	plain, secure, behind := ownPort(t), ownPort(t), ownPort(t)
	redis := background(t, behind, "redis-server", "--port", strconv.Itoa(behind), "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir())
	p := start(t, documents(
		gatewayOn("", on("plain", "TCP", plain), fmt.Sprintf("{name: secure, port: %d, protocol: TLS, hostname: redis.test, tls: {mode: Terminate, certificateRefs: [{name: redis}]}}", secure)),
		secretDoc("redis", cert, key),
		streamRoute("TCPRoute", "plain", "", "redis"), streamRoute("TLSRoute", "secure", "hostnames: [redis.test]", "redis"), backendDoc("redis", redis),
	))
	root := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(root, []byte(ca.pem), 0o600); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 4<<20)
	withTLS := []string{"-p", strconv.Itoa(secure), "--tls", "--sni", "redis.test", "--cacert", root}
	if out := ran(t, long, "redis-cli", append(withTLS, "-x", "set", "long")...); out != "OK\n" {
		t.Errorf("set over TLS: %.100q", out)
	}
	if out := ran(t, "", "redis-cli", "-p", strconv.Itoa(plain), "get", "long"); strings.TrimSpace(out) != long {
		t.Errorf("a long value came as %d bytes", len(out))
	}
	for _, args := range [][]string{{"-p", strconv.Itoa(plain)}, withTLS} {
		out := ran(t, "", "redis-benchmark", slices.Concat(args, []string{"-q", "-n", "1000", "-c", "10", "-P", "4", "-t", "set,get"})...)
		if !strings.Contains(out, "GET:") || strings.Contains(out, "ERR") {
			t.Errorf("redis-benchmark: %s", out)
		}
	}
	p.accessed(`"protocol":"TLS"`, `"route":"TLSRoute/default/secure"`, `"tls_server_name":"redis.test"`, `"tls_version"`)
	if n := p.metric("gridway_stream_received_bytes_total", `route="TLSRoute/default/secure"`); n < float64(len(long)) {
		t.Errorf("%v bytes from clients were counted", n)
	}
}

// DNS over UDP and TCP on one port number, from a real server to dig.
func TestDNSServer(t *testing.T) {
	t.Parallel()
	port := ownPort(t)
	dnsmasq := func(answer string) string {
		behind := ownPort(t)
		return background(t, behind, program(t, "dnsmasq"), "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=", "--listen-address=127.0.0.1",
			"--bind-interfaces", "--no-resolv", "--no-hosts", "--edns-packet-max=4096", fmt.Sprintf("--port=%d", behind), "--address=/shop.test/"+answer,
			"--txt-record=long.test,"+strings.Join(slices.Repeat([]string{strings.Repeat("t", 250)}, 8), ","))
	}
	weighted := `apiVersion: gateway.networking.k8s.io/v1
kind: UDPRoute
metadata: {name: dns}
spec:
  parentRefs: [{name: edge, sectionName: dns}]
  rules:
  - backendRefs:
    - {group: gridway.dev, kind: Backend, name: one, weight: 1}
    - {group: gridway.dev, kind: Backend, name: two, weight: 1}
    - {group: gridway.dev, kind: Backend, name: none, weight: 0}
`
	p := start(t, documents(
		gatewayOn("", on("dns", "UDP", port), on("tcp", "TCP", port)), weighted, streamRoute("TCPRoute", "tcp", "", "one"),
		backendDoc("one", dnsmasq("192.0.2.1")), backendDoc("two", dnsmasq("192.0.2.2")), backendDoc("none", refused(t)),
		policyDoc("idle", "UDPRoute", "dns", "timeouts: {idle: 1s}"),
	))
	dig := func(args ...string) string {
		return strings.TrimSpace(ran(t, "", "dig", append([]string{"@127.0.0.1", "-p", strconv.Itoa(port), "+short", "+time=30", "+tries=1"}, args...)...))
	}
	seen := map[string]int{}
	for range 24 { // each is a session of its own
		seen[dig("shop.test")]++
	}
	if len(seen) != 2 || seen["192.0.2.1"] == 0 || seen["192.0.2.2"] == 0 {
		t.Errorf("answers %v", seen)
	}
	if out := dig("+bufsize=4096", "long.test", "TXT"); strings.Count(out, "t") != 2000 {
		t.Errorf("a long answer: %d bytes", len(out))
	}
	if out := dig("+tcp", "shop.test"); out != "192.0.2.1" {
		t.Errorf("over TCP: %q", out)
	}
	p.accessed(`"protocol":"UDP"`, `"route":"UDPRoute/default/dns"`, `"endpoint":"127.0.0.1:`)
	eventually(t, "all sessions end", func() bool { return p.metric("gridway_stream_connections_total", `route="UDPRoute/default/dns"`) == 25 })
	if n := p.metric("gridway_stream_datagrams_total", `route="UDPRoute/default/dns"`); n != 50 {
		t.Errorf("%v datagrams were counted", n)
	}
}

// TLS passed through by server name, to NGINX, from OpenSSL; and half-closed TCP
// from socat.
func TestOpenSSLAndSocat(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "tls")
	site := func(name string) string {
		dir, port := t.TempDir(), ownPort(t)
		cert, key := ca.issue(name)
		for file, text := range map[string]string{"crt": cert, "key": key} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return nginxWith(t, port, fmt.Sprintf(`listen 127.0.0.1:%d ssl; ssl_certificate %s/crt; ssl_certificate_key %[2]s/key; location / { return 200 "%s $ssl_server_name"; }`, port, dir, name))
	}
	port, plain := ownPort(t), ownPort(t)
	p := start(t, documents(
		gatewayOn("", fmt.Sprintf("{name: tls, port: %d, protocol: TLS, hostname: \"*.test\", tls: {mode: Passthrough}}", port), on("plain", "TCP", plain)),
		strings.Replace(streamRoute("TLSRoute", "one", "hostnames: [one.test]", "one"), "sectionName: one", "sectionName: tls", 1),
		strings.Replace(streamRoute("TLSRoute", "rest", "hostnames: [\"*.test\"]", "rest"), "sectionName: rest", "sectionName: tls", 1),
		backendDoc("one", site("one.test")), backendDoc("rest", site("two.test")),
		streamRoute("TCPRoute", "plain", "", "wc"), backendDoc("wc", counting(t)),
	))
	root := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(root, []byte(ca.pem), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one.test", "two.test"} {
		request := fmt.Sprintf("GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", name)
		out := ran(t, request, "openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile", root, "-verify_hostname", name, "-servername", name, "-connect", fmt.Sprintf("127.0.0.1:%d", port))
		if !strings.HasSuffix(out, name+" "+name) {
			t.Errorf("%s: %q", name, out)
		}
	}
	if out, err := exec.Command("openssl", "s_client", "-servername", "nobody.example", "-connect", fmt.Sprintf("127.0.0.1:%d", port)).CombinedOutput(); err == nil {
		t.Errorf("a name that nobody serves: %s", out)
	}
	p.accessed(`"tls_server_name":"nobody.example"`, `"reason":"RouteNotFound"`)
	// The server answers after the end of what socat has sent.
	long := strings.Repeat("y", 3<<20)
	if out := ran(t, long, "socat", "-t", "60", "-", fmt.Sprintf("TCP:127.0.0.1:%d", plain)); out != fmt.Sprint(len(long)) {
		t.Errorf("socat: %q", out)
	}
}

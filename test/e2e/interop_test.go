package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// tool finds a program, also where Debian keeps those of administrators.
func tool(t *testing.T, name string) string {
	t.Helper()
	if filepath.IsAbs(name) {
		return name
	}
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin") {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 && !info.IsDir() {
			return path
		}
	}
	t.Skipf("%s is not installed; scripts/setup test installs it", name)
	return ""
}

// run runs a program that must succeed, and returns what it printed.
func run(t *testing.T, stdin, name string, args ...string) string {
	t.Helper()
	out, code := output(t, stdin, name, args...)
	if code != 0 {
		t.Fatalf("%s %s: exit code %d\n%s", name, strings.Join(args, " "), code, out)
	}
	return out
}

// output runs a program to its end.
func output(t *testing.T, stdin, name string, args ...string) (printed string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool(t, name), args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// launch starts a server that ends with the test, and returns what it prints.
func launch(t *testing.T, name string, args ...string) *lockedBuffer {
	t.Helper()
	out := &lockedBuffer{}
	cmd := exec.Command(tool(t, name), args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() && out.String() != "" {
			t.Logf("%s said: %s", name, out)
		}
	})
	return out
}

// backgroundSaying starts a server that must not be probed, and waits until it
// prints a text.
func backgroundSaying(t *testing.T, text, name string, args ...string) {
	t.Helper()
	out := launch(t, name, args...)
	eventually(t, name+" says "+text, func() bool { return strings.Contains(out.String(), text) })
}

// background starts a server and waits until it accepts connections.
func background(t *testing.T, port int, name string, args ...string) string {
	t.Helper()
	launch(t, name, args...)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	eventually(t, name+" listens on "+addr, func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return addr
}

// site is a folder with a short and a long file.
func site(t *testing.T) (dir, long string) {
	dir = t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil { // NGINX's workers are somebody else
		t.Fatal(err)
	}
	long = strings.Repeat("0123456789abcdef", 50_000)
	for name, text := range map[string]string{"index.html": "hello", "long.txt": long} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, long
}

func nginx(t *testing.T) (addr, long string) {
	dir, long := site(t)
	port := ownPort(t)
	return nginxWith(t, port, fmt.Sprintf(`listen 127.0.0.1:%d; root %s;
    location = /echo { return 200 "$request_method $http_x_forwarded_for $content_length"; }
    location = /close { keepalive_timeout 0; return 200 "closed"; }`, port, dir)), long
}

// nginxWith runs NGINX with one server.
func nginxWith(t *testing.T, port int, server string) string {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	user := ""
	if os.Getuid() == 0 {
		user = "user root;"
	}
	text := fmt.Sprintf(`%s daemon off; master_process off; pid %s/pid; error_log /dev/null;
events {}
http {
  access_log off; client_body_temp_path %[2]s; proxy_temp_path %[2]s; fastcgi_temp_path %[2]s; uwsgi_temp_path %[2]s; scgi_temp_path %[2]s;
  server { %[3]s }
}`, user, dir, server)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return background(t, port, "nginx", "-e", "/dev/null", "-c", conf)
}

func TestServersInFrontOfRealServers(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) (string, string){
		"nginx": nginx,
		"python": func(t *testing.T) (string, string) {
			dir, long := site(t)
			port := ownPort(t)
			return background(t, port, "python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory", dir, fmt.Sprint(port)), long
		},
		"go": func(t *testing.T) (string, string) {
			dir, long := site(t)
			files := http.FileServer(http.Dir(dir))
			return serve(t, files.ServeHTTP).addr, long
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, long := start(t)
			g := serveYAML(t, edge("", addr))
			for range 3 {
				if resp, body := g.get("/"); resp.StatusCode != 200 || body != "hello" {
					t.Fatalf("%d %q", resp.StatusCode, body)
				}
				if resp, body := g.get("/long.txt"); resp.StatusCode != 200 || body != long {
					t.Fatalf("%d %d bytes", resp.StatusCode, len(body))
				}
				resp, body, err := g.do(g.request("HEAD", "/long.txt", nil))
				if err != nil || body != "" || resp.ContentLength != int64(len(long)) {
					t.Errorf("HEAD: %v %v", resp, err)
				}
				if resp, _ := g.get("/missing"); resp.StatusCode != 404 || resp.Header.Get("X-Gridway-Reason") != "" {
					t.Errorf("missing: %d %v", resp.StatusCode, resp.Header)
				}
				if name != "python" {
					resp, body := g.get("/long.txt", header("Range", "bytes=16-31"))
					if resp.StatusCode != 206 || body != long[:16] {
						t.Errorf("range: %d %q", resp.StatusCode, body)
					}
				}
				if name == "nginx" {
					if _, body := g.get("/echo"); body != "GET 127.0.0.1 " {
						t.Errorf("nginx saw %q", body)
					}
					if _, body := g.get("/close"); body != "closed" {
						t.Errorf("%q", body)
					}
				}
			}
		})
	}
}

// summer answers with the length of the body and the path.
func summer(w http.ResponseWriter, r *http.Request) {
	n := 0
	buf := make([]byte, 32<<10)
	for {
		m, err := r.Body.Read(buf)
		n += m
		if err != nil {
			break
		}
	}
	fmt.Fprintf(w, "%s %s %d", r.Method, r.URL.Path, n)
}

func TestCurl(t *testing.T) {
	t.Parallel()
	g := serveYAML(t, edge("compression: {minBytes: 1}", serve(t, summer).addr))
	url := "http://" + g.addr
	long := strings.Repeat("x", 300_000)
	for name, c := range map[string]struct {
		args  []string
		stdin string
		want  string
	}{
		"get":             {[]string{url + "/a"}, "", "GET /a 0"},
		"HTTP/1.0":        {[]string{"-0", url + "/a"}, "", "GET /a 0"},
		"twice":           {[]string{url + "/a", url + "/b"}, "", "GET /a 0GET /b 0"},
		"post":            {[]string{"--data-binary", "@-", url + "/p"}, "hello", "POST /p 5"},
		"expect continue": {[]string{"-H", "Expect: 100-continue", "--data-binary", "@-", url + "/p"}, long, "POST /p 300000"},
		"chunked":         {[]string{"-T", "-", "-H", "Transfer-Encoding: chunked", url + "/p"}, long, "PUT /p 300000"},
		"compressed":      {[]string{"--compressed", url + "/a"}, "", "GET /a 0"},
		"status":          {[]string{"-o", "/dev/null", "-w", "%{http_code} %{num_connects}", url + "/a"}, "", "200 1"},
	} {
		if got := run(t, c.stdin, "curl", append([]string{"-sS", "--max-time", "10"}, c.args...)...); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	// HEAD, and a path that must not be normalised away by the client.
	if got := run(t, "", "curl", "-sS", "-I", url+"/a"); !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") {
		t.Errorf("HEAD: %q", got)
	}
	if got := run(t, "", "curl", "-sS", "--path-as-is", url+"/a/../b"); got != "GET /b 0" {
		t.Errorf("dot segments: %q", got)
	}
}

const pythonClient = `
import http.client, sys
c = http.client.HTTPConnection(sys.argv[1], timeout=10)
def ask(want, *args, **kw):
    c.request(*args, **kw)
    r = c.getresponse()
    got = r.read().decode()
    assert (r.status, got) == (200, want), (args, r.status, got, r.getheaders())
for i in range(3):  # on one connection
    ask("GET /a 0", "GET", "/a")
    ask("POST /p 5", "POST", "/p", body=b"hello")
    ask("POST /c 15", "POST", "/c", body=iter([b"hello"] * 3), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    ask("PUT /l 500000", "PUT", "/l", body=b"x" * 500000)
    ask("", "HEAD", "/h")
print("fine")
`

func TestPythonClient(t *testing.T) {
	t.Parallel()
	g := serveYAML(t, edge("", serve(t, summer).addr))
	if got := run(t, pythonClient, "python3", "-", g.addr); got != "fine\n" {
		t.Error(got)
	}
}

func TestWrk(t *testing.T) {
	t.Parallel()
	g := serveYAML(t, edge("", serve(t, summer).addr))
	out := run(t, "", "wrk", "-t1", "-c16", "-d1s", "http://"+g.addr+"/")
	m := regexp.MustCompile(`(\d+) requests in`).FindStringSubmatch(out)
	if m == nil || len(m[1]) < 3 || strings.Contains(out, "Socket errors") || strings.Contains(out, "Non-2xx") {
		t.Error(out)
	}
}

package tour

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gridway/gridway/test/built"
)

type demoCommand struct {
	begins string
	// has tells commands apart that begin alike.
	has  string
	want *regexp.Regexp
	// endless commands are ended when they have printed that.
	endless bool
	// unless names a program, or a feature of curl, without which the demo leaves
	// the command out.
	unless string
}

// demoCommands are what the demo prints to try, by how the command begins after
// the program's own name, and what each must print. A command that is not here
// fails the test, as does one that the demo must print and did not.
var demoCommands = []demoCommand{
	{begins: "gridway top", want: regexp.MustCompile(`(?s)catalog/products .*[0-9]`)},
	{begins: "gridway get clusters --admin unix:", want: regexp.MustCompile(`(?s)payments:80.*(open|closed)`)},
	{begins: "gridway get clusters", want: regexp.MustCompile(`(?s)stock .*inventory:80 `)},
	{begins: "curl -i http", has: "/api/products", want: regexp.MustCompile(`(?s)HTTP/1.1 200 .*"id":"lamp-01"`)},
	{begins: "curl -i http", has: "/api/partner", want: regexp.MustCompile(`(?s)HTTP/1.1 401 .*X-Gridway-Reason: Unauthenticated`)},
	{begins: "for i in", has: "X-API-Key", want: regexp.MustCompile(`[0-9]+ 200\n +[0-9]+ 429`)},
	{begins: "curl -si -H", has: "/api/partner/reviews", want: regexp.MustCompile(`(?s)HTTP/1.1 (403 .*X-Gridway-Reason: AccessDenied|429 )`)},
	{begins: "curl -si -A sqlmap", want: regexp.MustCompile(`(?s)HTTP/1.1 403 .*X-Gridway-Reason: UserAgentDenied`)},
	{begins: "curl -ks -u", want: regexp.MustCompile(`"access_token":"ey.*"scope":"products reviews"`)},
	{begins: "gridway consumer list", want: regexp.MustCompile(`(?s)corner-store .*trial.*hearth-and-oak .*gold`)},
	{begins: "for i in", has: "/api/reviews", want: regexp.MustCompile(`(?i)[0-9]+ X-Served-By: reviews-v1`)},
	{begins: "gridway explain", has: "X-Canary", want: regexp.MustCompile(`100% reviews-v2`)},
	{begins: "gridway tap", want: regexp.MustCompile(`(?s)default/(catalog|orders|edge) ⇒ default/inventory +(GET|PUT) /stock.*10 events`)},
	{begins: "gridway status", want: regexp.MustCompile(`(?s)[0-9]+ of [0-9]+ proxies serve.*default/catalog.*Serving`)},
	{begins: "gridway cert", want: regexp.MustCompile(`(?s)spiffe://cluster.local/ns/default/sa/orders.*root`)},
	{begins: "gridway routes", want: regexp.MustCompile(`/api/reviews/\* .*reviews [59]0%, reviews-v2 [15]0%`)},
	{begins: "gridway explain --from catalog", want: regexp.MustCompile(`(?s)[59]0% reviews .*[15]0% reviews-v2`)},
	{begins: "gridway explain --from orders", want: regexp.MustCompile(`rule take matches`)},
	{begins: "curl -si -X PUT", want: regexp.MustCompile(`(?s)HTTP/1.1 403 .*x-gridway-reason: AccessDenied`)},
	{begins: "kill -9", want: regexp.MustCompile(`^$`)},
	{begins: "curl -H 'Content-Type: application/json'", want: regexp.MustCompile(`\{"id":"lamp-01","count":[0-9]+\}`)},
	{begins: "grpcurl", want: regexp.MustCompile(`"count": [0-9]+`), endless: true, unless: "grpcurl"},
	{begins: "curl -sN", has: "invoice", want: regexp.MustCompile(`"payment":"invoice"`), endless: true},
	{begins: "curl -N", want: regexp.MustCompile(`(?s)event: order\ndata: \{"id":"o-`), endless: true},
	{begins: "curl -ki --http2", want: regexp.MustCompile(`(?s)HTTP/2 200 .*alt-svc: h3=.*"id":"lamp-01"`), unless: "HTTP2"},
	{begins: "curl -ki --http3", want: regexp.MustCompile(`(?s)HTTP/3 200 .*"id":"lamp-01"`), unless: "HTTP3"},
	{begins: "sed -i", want: regexp.MustCompile(`serving revision [2-9]`)},
}

// TestDemo runs the demo and every command that it prints.
func TestDemo(t *testing.T) {
	t.Parallel()
	binary, err := built.Gridway()
	if err != nil {
		t.Fatal(err)
	}
	// As people have it: in the PATH under its name.
	bin := t.TempDir()
	if err := os.Symlink(binary, filepath.Join(bin, "gridway")); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	curl, err := exec.Command("curl", "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, err = exec.LookPath("grpcurl")
	there := map[string]bool{"": true, "grpcurl": err == nil}
	for _, feature := range strings.Fields(string(curl)) {
		there[feature] = true
	}
	lines := startDemo(t, binary, env)
	for _, line := range lines {
		if file, ok := strings.CutPrefix(strings.TrimSpace(line), "export GRIDWAY_TOKEN=$(cat "); ok {
			token, err := os.ReadFile(strings.TrimSuffix(file, ")"))
			if err != nil {
				t.Fatal(err)
			}
			env = append(env, "GRIDWAY_TOKEN="+strings.TrimSpace(string(token)))
		}
	}
	known := make([]bool, len(demoCommands))
	live := ""
	for i, line := range lines {
		if m := regexp.MustCompile(`^ +live +(http://\S+)`).FindStringSubmatch(line); m != nil {
			live = m[1]
		}
		if !strings.HasPrefix(line, "  # ") {
			continue
		}
		command := strings.TrimSpace(lines[i+1])
		if strings.HasPrefix(command, "export ") {
			continue
		}
		n := slices.IndexFunc(demoCommands, func(c demoCommand) bool {
			return strings.HasPrefix(command, c.begins) && strings.Contains(command, c.has)
		})
		if n < 0 {
			t.Errorf("the demo prints %q, which this test does not know", command)
			continue
		}
		known[n] = true
		t.Run(demoCommands[n].begins+demoCommands[n].has, func(t *testing.T) {
			try(t, env, command, demoCommands[n].want, demoCommands[n].endless)
		})
	}
	for i, c := range demoCommands {
		if known[i] != there[c.unless] {
			t.Errorf("%s: printed %v, though it would work: %v", c.begins, known[i], there[c.unless])
		}
	}
	t.Run("live", func(t *testing.T) {
		try(t, env, "curl -s "+live, regexp.MustCompile(`new WebSocket`), false)
		opening := ` -N -i --http1.1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='`
		try(t, env, "curl -s "+live+"/stock"+opening, regexp.MustCompile(`(?s)HTTP/1.1 101 .*"count":[0-9]+\}`), true)
	})
}

// startDemo returns what the demo prints at its start.
func startDemo(t *testing.T, binary string, env []string) []string {
	t.Helper()
	cmd := exec.Command(binary, "demo", "--any-port", "--rate", "100")
	cmd.Env = env
	complaints := &bytes.Buffer{}
	cmd.Stderr = complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	scan := bufio.NewScanner(out)
	t.Cleanup(func() {
		late.Reset(patience)
		defer late.Stop()
		_ = cmd.Process.Signal(syscall.SIGINT)
		last := ""
		for scan.Scan() {
			last += scan.Text() + "\n"
		}
		if err := cmd.Wait(); err != nil || !strings.Contains(last, "requests were sent") {
			t.Errorf("the demo ends with %v\n%s%s", err, last, complaints)
		}
	})
	var lines []string
	for scan.Scan() {
		lines = append(lines, scan.Text())
		if strings.HasPrefix(scan.Text(), "Ctrl-C") {
			late.Stop()
			return lines
		}
	}
	t.Fatalf("the demo says only %q", lines)
	return nil
}

// try runs a command, again and again until it prints what it must, as the shop
// has bad moments.
func try(t *testing.T, env []string, command string, want *regexp.Regexp, endless bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(again)
	defer tick.Stop()
	for ; ; <-tick.C {
		out, err := once(ctx, env, command, want, endless)
		if err == nil && want.MatchString(out) {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%s: %v, no %s in\n%s", command, err, want, out)
		}
	}
}

// once runs a command in a process group of its own, to end all of it.
func once(ctx context.Context, env []string, command string, want *regexp.Regexp, endless bool) (string, error) {
	cmd := exec.Command("bash", "-c", command)
	cmd.Env = env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	seen := &output{want: want, found: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = seen, seen
	if err := cmd.Start(); err != nil {
		return "", err
	}
	end := func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	stop := context.AfterFunc(ctx, end)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if endless {
		select {
		case <-seen.found:
			end()
			<-ended
			return seen.String(), nil
		case err := <-ended:
			return seen.String(), err
		}
	}
	err := <-ended
	return seen.String(), err
}

// output keeps what a command prints, and tells when it has printed what it must.
type output struct {
	want  *regexp.Regexp
	found chan struct{}
	once  sync.Once

	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	if o.want.Match(o.text.Bytes()) {
		o.once.Do(func() { close(o.found) })
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

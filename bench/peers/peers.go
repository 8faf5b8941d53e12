// Package peers starts what is measured, each proxy pinned to one core, and the
// backend behind it. The templates beside it are the whole configuration of
// each. A Process is owned by who started it, and stopped by Stop. Only bench
// imports it.
package peers

import (
	"bytes"
	"context"
	"crypto/tls"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/template"
	"time"

	"github.com/gridway/gridway/bench/load"
)

//go:embed *.tmpl
var templates embed.FS

// Kind is a program.
type Kind string

// The proxies.
const (
	Gridway      Kind = "gridway"
	NGINX        Kind = "nginx"
	HAProxy      Kind = "haproxy"
	ReverseProxy Kind = "reverseproxy"
	// Before is another build of Gridway, which this one is compared with.
	Before Kind = "before"
	// Uncounted is a build of this Gridway that counts nothing.
	Uncounted Kind = "uncounted"
)

// Spec says what a proxy is to do.
type Spec struct {
	Kind    Kind
	Label   string // names it among the proxies of a case
	Backend string // IP:PORT
	Judge   string // IP:PORT of who is asked about requests
	TLS     *Certificate
	Routes  int  // 0 is one route for everything, else /r0/ to /r(Routes-1)/
	Full    bool // access log, forwarding headers, request ID, timeouts, retries
	// Telemetry is what Gridway sees of the traffic and hands on.
	Telemetry Telemetry
	// Collector is the address of a receiver of OTLP.
	Collector string
	Door
	// Traffic is what clients speak; gRPC is spoken to the backend, too.
	Traffic load.Traffic
	// BackendHTTP2 is HTTP/2 to the backend, without TLS.
	BackendHTTP2 bool
	// Mesh is for a pair of them with mutual TLS between.
	Mesh Mesh
	// Services is how many of them Gridway's sidecars know; 0 is one.
	Services int
	// Callers has the first of a pair be an edge, which knows its callers by API keys.
	Callers Callers
	// Raw passes bytes on without a look at them: TCP to TCP.
	Raw bool
}

// Client is the setting of TLS of clients.
func (s Spec) Client() *tls.Config {
	if s.Certificate {
		return s.TLS.Showing()
	}
	return s.TLS.Client()
}

// HTTP2 tells whether clients speak it.
func (s Spec) HTTP2() bool { return s.Traffic == load.HTTP2 || s.GRPC() }

// GRPC tells whether clients speak it.
func (s Spec) GRPC() bool { return s.Traffic == load.GRPC || s.Traffic == load.GRPCStream }

// WebSocket tells whether clients speak it.
func (s Spec) WebSocket() bool { return s.Traffic == load.WebSocket }

// ToHTTP2 tells whether the backend is spoken to by HTTP/2.
func (s Spec) ToHTTP2() bool { return s.BackendHTTP2 || s.GRPC() }

// Lab is where processes are started.
type Lab struct {
	Core  int             // of the proxies
	Dir   string          // scratch
	Tools map[Kind]string // paths of the programs that are built here
	Ports func() (int, error)
	// Profiled sidecars give profiles at their Admin sockets.
	Profiled bool
}

// Process is a running program.
type Process struct {
	Label string
	Addr  string
	// AccessLog is the file that it writes its access log to; "" if it has none.
	AccessLog string

	cmd *exec.Cmd
	log string
	// beside is what was started for it, and ends with it.
	beside *Process
	// paired: it is measured together with beside.
	paired bool
	done   chan struct{} // closed when it has ended
}

// PID of the program.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Measured are the programs whose cost counts.
func (p *Process) Measured() []int {
	if p.paired {
		return []int{p.PID(), p.beside.PID()}
	}
	return []int{p.PID()}
}

// Inner is the address at which the second of a pair takes what the first sends; ""
// if it is no pair.
func (p *Process) Inner() string {
	if p.paired {
		return p.beside.Addr
	}
	return ""
}

// params are what the templates see.
type params struct {
	Spec
	Dir, Addr, HTTP2Addr, Cert, Key, Pem, CertBase64, KeyBase64, KiB string
	RedisAddr                                                        string // of Store
	Port                                                             int
	Root                                                             bool
}

// Files is how many descriptors the servers may ask for: what the kernel
// grants, at most 65,536.
func (params) Files() (uint64, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	return min(limit.Max, 1<<16), nil
}

// RouteNumbers counts the routes of a template.
func (p params) RouteNumbers() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range p.Routes {
			if !yield(i) {
				return
			}
		}
	}
}

// Start configures and starts a proxy, and returns when it answers.
func (l *Lab) Start(ctx context.Context, s Spec) (*Process, error) {
	if s.Mesh != "" {
		return l.startMesh(ctx, s)
	}
	port, err := l.Ports()
	if err != nil {
		return nil, err
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	p := params{Spec: s, Dir: l.Dir, Addr: addr, Port: port, Root: os.Geteuid() == 0}
	if s.TLS != nil {
		p.Cert, p.Key, p.Pem = s.TLS.CertFile, s.TLS.KeyFile, s.TLS.PemFile
		p.CertBase64 = base64.StdEncoding.EncodeToString(s.TLS.CertPEM)
		p.KeyBase64 = base64.StdEncoding.EncodeToString(s.TLS.KeyPEM)
	}
	if err := l.door(s); err != nil {
		return nil, err
	}
	if s.logs() { // the log of a case before must not count
		if err := os.Remove(l.accessLog(s)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	var redis *Process
	if s.Store == Redis {
		if redis, err = l.redis(ctx); err != nil {
			return nil, err
		}
		p.RedisAddr = redis.Addr
	}
	process, err := l.startBeside(ctx, s, p, redis)
	if err != nil && redis != nil {
		redis.Stop()
	}
	return process, err
}

// startBeside starts a proxy that needs redis, if that is not nil.
func (l *Lab) startBeside(ctx context.Context, s Spec, p params, redis *Process) (*Process, error) {
	addr := p.Addr
	var argv []string
	switch s.Kind {
	case Gridway, Before, Uncounted:
		file, err := l.render("gridway.yaml.tmpl", s.Label+".yaml", p)
		if err != nil {
			return nil, err
		}
		argv = l.gridway(s, file)
	case NGINX:
		file, err := l.render("nginx.conf.tmpl", s.Label+".conf", p)
		if err != nil {
			return nil, err
		}
		argv = []string{find("nginx"), "-c", file, "-p", l.Dir, "-e", filepath.Join(l.Dir, "nginx-start.log")}
	case HAProxy:
		file, err := l.render("haproxy.cfg.tmpl", s.Label+".cfg", p)
		if err != nil {
			return nil, err
		}
		if err := l.routeMap(p); err != nil {
			return nil, err
		}
		argv = []string{find("haproxy"), "-db", "-f", file}
	case ReverseProxy:
		argv = []string{l.Tools[ReverseProxy], "-listen", addr, "-backend", s.Backend}
		if s.TLS != nil {
			argv = append(argv, "-cert", p.Cert, "-key", p.Key)
		}
		if s.ToHTTP2() {
			argv = append(argv, "-http2")
		}
	}
	path := "/1k"
	switch {
	case s.Routes > 0:
		path = fmt.Sprintf("/r%d/x", s.Routes-1)
	case s.GRPC():
		path = "/bench.Echo/Unary"
	}
	target := load.Target{Addr: addr, Path: path, Traffic: s.Traffic, Callers: s.callers(), Headers: s.Headers(), Signed: s.Signature}
	if s.TLS != nil {
		target.TLS = s.Client()
	}
	process, err := l.Launch(ctx, s.Label, argv, target, l.Core)
	if err == nil && s.logs() {
		process.AccessLog = l.accessLog(s)
	}
	if err == nil {
		process.beside = redis
	}
	return process, err
}

// redis starts one that keeps nothing, on any core.
func (l *Lab) redis(ctx context.Context) (*Process, error) {
	addr, err := l.address()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	p, err := l.begin("redis", []string{find("redis-server"), "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", l.Dir}, -1)
	if err != nil {
		return nil, err
	}
	p.Addr = addr
	err = p.awaitThat(ctx, func(ctx context.Context) error {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			err = c.Close()
		}
		return err
	})
	if err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

// accessLog is where the templates say that a proxy logs.
func (l *Lab) accessLog(s Spec) string {
	switch s.Kind {
	case NGINX:
		return filepath.Join(l.Dir, "nginx-access.log")
	case HAProxy:
		return filepath.Join(l.Dir, s.Label+".out")
	default:
		return filepath.Join(l.Dir, s.Label+"-access.log")
	}
}

// gridway is the command line that every case uses.
func (l *Lab) gridway(s Spec, path string) []string {
	log := "off"
	if s.logs() {
		log = l.accessLog(s)
	}
	argv := []string{l.Tools[s.Kind], "run", path, "--admin", "unix:" + l.Admin(s.Label), "--access-log", log, "--log-level", "warn", "--drain-timeout", "1s"}
	if s.Telemetry == None {
		argv = append(argv, "--telemetry-memory", "off")
	}
	if s.Store == Leases {
		argv = append(argv, "--state", "sqlite", "--state-dir", filepath.Join(l.Dir, s.Label+"-state"))
	}
	return argv
}

// Admin is the socket of the admin API of the Gridway with that label.
func (l *Lab) Admin(label string) string { return filepath.Join(l.Dir, label+".sock") }

// StartGridway starts Gridway with files of the caller's own, and more flags.
func (l *Lab) StartGridway(ctx context.Context, label, path string, ready load.Target, flags ...string) (*Process, error) {
	return l.Launch(ctx, label, append(l.gridway(Spec{Kind: Gridway, Label: label}, path), flags...), ready, l.Core)
}

// routeMap writes the map file that HAProxy looks paths up in.
func (l *Lab) routeMap(p params) error {
	if p.Routes == 0 {
		return nil
	}
	var b bytes.Buffer
	for i := range p.RouteNumbers() {
		fmt.Fprintf(&b, "/r%d/ backend\n", i)
	}
	return os.WriteFile(filepath.Join(l.Dir, "haproxy-"+p.Label+".map"), b.Bytes(), 0o644)
}

func (l *Lab) render(name, file string, p params) (string, error) { return l.renderAny(name, file, p) }

func (l *Lab) renderAny(name, file string, p any) (string, error) {
	t, err := template.ParseFS(templates, name, "nginx-temp.tmpl")
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, name, p); err != nil {
		return "", err
	}
	path := filepath.Join(l.Dir, file)
	return path, os.WriteFile(path, b.Bytes(), 0o600)
}

// find looks where Debian puts servers, too.
func find(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return filepath.Join("/usr/sbin", name)
}

// startTimeout is long enough for 100,000 routes on a busy machine.
const startTimeout = 150 * time.Second

// address is a free one.
func (l *Lab) address() (string, error) {
	port, err := l.Ports()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}

// Launch runs argv on one core (any of ours if core is negative) and returns
// when ready is answered with 200. Its output goes to a file of the scratch folder.
func (l *Lab) Launch(ctx context.Context, label string, argv []string, ready load.Target, core int) (*Process, error) {
	p, err := l.begin(label, argv, core)
	if err != nil {
		return nil, err
	}
	p.Addr = ready.Addr
	if err := p.awaitThat(ctx, func(ctx context.Context) error { return load.Probe(ctx, ready) }); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

// begin runs argv and does not wait.
func (l *Lab) begin(label string, argv []string, core int) (*Process, error) {
	out, err := os.Create(filepath.Join(l.Dir, label+".out"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	if core >= 0 {
		argv = append([]string{"taskset", "-c", strconv.Itoa(core)}, argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:noctx // Stop ends it, gently first
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", label, err)
	}
	p := &Process{Label: label, cmd: cmd, log: out.Name(), done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // it is stopped by signals; how it ended says nothing
		close(p.done)
	}()
	return p, nil
}

// awaitThat asks until there is no error.
func (p *Process) awaitThat(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended at its start: %s", p.Label, p.Output())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w: %s", p.Label, err, p.Output())
		case <-tick.C:
		}
	}
}

// Output is the end of what the program printed.
func (p *Process) Output() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-2000):]))
}

// Stop asks the program to end, and ends it and its children if it has not
// after three seconds.
func (p *Process) Stop() {
	if p.beside != nil {
		defer p.beside.Stop()
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	t := time.NewTimer(3 * time.Second)
	defer t.Stop()
	select {
	case <-p.done:
	case <-t.C:
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
	}
}

// PortsBelow hands out free ports below the range that the kernel takes for
// outgoing connections, so that none is taken by one of those before its proxy listens.
func PortsBelow(top int) func() (int, error) {
	next := top
	return func() (int, error) {
		for range 2000 {
			next--
			ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(next))) //nolint:noctx // ends at once
			if err == nil {
				return next, ln.Close()
			}
		}
		return 0, errors.New("no free port")
	}
}

// Reachable says whether the programs that are not built here are installed.
func Reachable() error {
	var missing []string
	for _, name := range []string{"nginx", "haproxy", "redis-server", "wrk", "h2load", "taskset"} {
		if _, err := exec.LookPath(find(name)); err != nil {
			if _, err := exec.LookPath(name); err != nil {
				missing = append(missing, name)
			}
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("not installed: %s; run scripts/setup bench", strings.Join(missing, ", "))
	}
	return nil
}

// Path of a program that is not built here.
func Path(name string) string { return find(name) }

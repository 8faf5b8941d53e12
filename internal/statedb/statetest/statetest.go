// Package statetest gives tests state stores of both kinds: an SQLite file, and a
// database of a PostgreSQL server that the test binary starts in a temporary
// folder, as an unprivileged user, and stops when its tests have ended. Only tests
// import it.
package statetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gridway/gridway/internal/statedb"
)

// Main is the TestMain of packages that use PostgreSQL.
func Main(m *testing.M) { os.Exit(Stopping{m}.Run()) }

// Stopping runs tests and then stops the server.
type Stopping struct{ TestingM }

// TestingM is a *testing.M.
type TestingM interface{ Run() int }

// Run runs the tests, and fails if the server cannot be cleared away.
func (s Stopping) Run() int {
	code := s.TestingM.Run()
	if err := server.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// Each runs f with a place for a store of each kind.
func Each(t *testing.T, f func(t *testing.T, place string)) {
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		f(t, SQLite(t))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		f(t, Postgres(t))
	})
}

// SQLite is the place of a file that does not exist yet.
func SQLite(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "state.db") }

// Open opens the store at a place until the test ends.
func Open(t *testing.T, place string) *statedb.DB {
	t.Helper()
	at, err := statedb.ParseLocation(place, "")
	if err != nil {
		t.Fatal(err)
	}
	db, err := statedb.Open(t.Context(), statedb.Options{Location: at})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return db
}

// Postgres is the place of a new database.
func Postgres(t *testing.T) string {
	t.Helper()
	server.once.Do(func() { server.err = server.start() })
	if server.err != nil {
		t.Fatal(server.err)
	}
	name := fmt.Sprintf("test%d", server.databases.Add(1))
	if err := server.admin("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	return server.url(name)
}

// Kick ends the connections to the database at a place, as a server that restarts
// does.
func Kick(t *testing.T, place string) {
	t.Helper()
	config, err := pgx.ParseConfig(place)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.admin(fmt.Sprintf("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'", config.Database)); err != nil {
		t.Fatal(err)
	}
}

// Server is a PostgreSQL of one test, which may stop it and start it again.
type Server struct {
	// Place is that of its one database.
	Place string

	t testing.TB
	p postgres
}

// OwnPostgres starts one, which is cleared away when the test ends.
func OwnPostgres(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t}
	t.Cleanup(func() {
		if err := s.p.stop(); err != nil {
			t.Error(err)
		}
	})
	if err := s.p.start(); err != nil {
		t.Fatal(err)
	}
	s.Place = s.p.url("postgres")
	return s
}

// Socket is the path at which it listens, for who passes connections on to it.
func (s *Server) Socket() string { return filepath.Join(s.p.dir, ".s.PGSQL.5432") }

// Stop ends it at once, without a word to its clients: what was committed is there
// when it starts again.
func (s *Server) Stop() { s.p.halt() }

// Start starts it again and waits until it serves.
func (s *Server) Start() {
	s.t.Helper()
	if err := s.p.run(); err != nil {
		s.t.Fatal(err)
	}
}

// server is the one server of a test binary.
var server postgres

type postgres struct {
	once      sync.Once
	err       error
	dir       string
	as        *syscall.SysProcAttr
	process   *exec.Cmd
	ended     <-chan struct{} // closed when process has
	log       log
	databases atomic.Int64
}

// patience bounds the start of a server on a busy machine.
const patience = 2 * time.Minute

func (p *postgres) start() error {
	dir, err := os.MkdirTemp("", "gwpg") // short: a socket's path has 107 bytes
	if err != nil {
		return err
	}
	p.dir, p.as = dir, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 { // which PostgreSQL refuses to be
		if p.as.Credential, err = nobody(); err != nil {
			return err
		}
		if err := os.Chown(dir, int(p.as.Credential.Uid), int(p.as.Credential.Gid)); err != nil {
			return err
		}
	}
	initdb, err := program("initdb")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	init := exec.CommandContext(ctx, initdb, "-D", p.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
	init.Dir, init.SysProcAttr = dir, p.as
	runtime.LockOSThread() // as in run
	out, err := init.CombinedOutput()
	runtime.UnlockOSThread()
	if err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return p.run()
}

func (p *postgres) data() string { return filepath.Join(p.dir, "data") }

// run starts the server on the data that there is.
func (p *postgres) run() error {
	binary, err := program("postgres")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p.process = exec.CommandContext(context.Background(), binary, "-D", p.data(), "-h", "", "-k", p.dir, "-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=300")
	p.process.Dir, p.process.SysProcAttr, p.process.Stderr = p.dir, p.as, &p.log
	started, ended := make(chan error), make(chan struct{})
	go func(process *exec.Cmd) {
		// PR_SET_PDEATHSIG is about the thread that forked (prctl(2)): it is this
		// goroutine's until the server is over. Threads of network namespaces end with a test.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(ended)
		err := process.Start()
		started <- err
		if err == nil {
			_ = process.Wait() // it says what it was told to do
		}
	}(p.process)
	if err := <-started; err != nil {
		p.process = nil
		return err
	}
	p.ended = ended
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		err := p.admin("SELECT 1")
		if err == nil {
			tick.Stop()
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			return fmt.Errorf("PostgreSQL is not ready: %w\n%s", err, p.log.String())
		}
	}
}

func (p *postgres) url(database string) string {
	return "postgres:///" + database + "?user=postgres&host=" + p.dir
}

func (p *postgres) admin(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.url("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

// halt ends the server, if it runs.
func (p *postgres) halt() {
	if p.process != nil {
		_ = p.process.Process.Signal(syscall.SIGQUIT)
		<-p.ended
		p.process = nil
	}
}

func (p *postgres) stop() error {
	var err error
	p.halt()
	if p.dir != "" {
		err = os.RemoveAll(p.dir)
	}
	return err
}

func nobody() (*syscall.Credential, error) {
	u, err := user.Lookup("nobody")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

// program finds a command that scripts/setup installs, also where Debian hides it.
func program(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	places, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(places) == 0 {
		return "", fmt.Errorf("there is no %s; scripts/setup installs it", name)
	}
	return places[len(places)-1], nil
}

// log is what a server says; it is read while the server goes on.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

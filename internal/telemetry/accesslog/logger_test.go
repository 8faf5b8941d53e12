package accesslog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/gridway/gridway/internal/telemetry/accesslog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func entry(path string) *accesslog.Entry {
	return &accesslog.Entry{
		Start: time.Unix(1, 0), Method: []byte("GET"), Host: []byte("shop.example"), Path: []byte(path), Protocol: "HTTP/1.1",
		Status: 200, Route: "HTTPRoute/default/cart", Rule: "0", Cluster: "Backend/default/cart", Endpoint: "10.0.0.1:8080",
		Duration: 1234 * time.Microsecond, UserAgent: []byte("Mozilla/5.0 (X11; Linux x86_64)"), RequestID: []byte("0af7651916cd43dd"),
	}
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// gate is an output that blocks while it is shut.
type gate struct {
	mu     sync.Mutex
	out    bytes.Buffer
	open   chan struct{}
	inside chan struct{} // one for each Write that has begun
}

func newGate() *gate { return &gate{open: make(chan struct{}), inside: make(chan struct{}, 1000)} }

func (g *gate) Write(p []byte) (int, error) {
	g.inside <- struct{}{}
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.out.Write(p)
}

func TestEveryEntryArrivesWhole(t *testing.T) {
	var out bytes.Buffer // one goroutine writes
	l := accesslog.New(&out, accesslog.Options{FlushEvery: time.Millisecond})
	const workers, each = 8, 400
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				l.Log(entry(fmt.Sprintf("/%d/%d", w, i)))
				if i%50 == 0 { // let the writer keep up: this test is not about drops
					_ = l.Flush(t.Context())
				}
			}
		})
	}
	wg.Wait()
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, line := range lines(out.String()) {
		var m struct{ Path string }
		if err := json.Unmarshal([]byte(line), &m); err != nil || seen[m.Path] {
			t.Fatalf("%v in %q, seen before: %v", err, line, seen[m.Path])
		}
		seen[m.Path] = true
	}
	if s := l.Stats(); len(seen) != workers*each || s != (accesslog.Stats{Written: workers * each}) {
		t.Errorf("%d lines, %+v", len(seen), s)
	}
}

func TestABlockedOutputCostsEntriesNotTime(t *testing.T) {
	g := newGate()
	var log bytes.Buffer
	l := accesslog.New(g, accesslog.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	const n = 50_000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range n {
			l.Log(entry("/"))
		}
	}()
	<-done // with the output shut all the time
	dropped := l.Stats().Dropped
	if dropped == 0 {
		t.Fatal("nothing was dropped: the buffers are not bounded")
	}
	short, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Close(short); !errors.Is(err, context.Canceled) {
		t.Errorf("Close on a blocked output: %v", err)
	}
	close(g.open)
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := l.Stats()
	if got := uint64(len(lines(g.out.String()))); got != s.Written || s.Written+s.Dropped != n || s.Dropped != dropped {
		t.Errorf("%d lines, %+v", got, s)
	}
	if !strings.Contains(log.String(), fmt.Sprintf("dropped=%d", dropped)) {
		t.Errorf("the operator was told %q", log.String())
	}
}

func TestEntriesAreWrittenWithinTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := accesslog.New(&out, accesslog.Options{FlushEvery: 50 * time.Millisecond})
		for i := range 3 { // the writer goes to sleep in between
			l.Log(entry("/"))
			<-time.After(51 * time.Millisecond)
			synctest.Wait()
			if n := len(lines(out.String())); n != i+1 {
				t.Errorf("%d lines after %d entries", n, i+1)
			}
			<-time.After(time.Hour)
		}
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAFullBufferIsWrittenAtOnce(t *testing.T) {
	g := newGate()
	close(g.open)
	l := accesslog.New(g, accesslog.Options{FlushEvery: time.Hour})
	for {
		l.Log(entry("/" + strings.Repeat("x", 1000)))
		select {
		case <-g.inside:
			if err := l.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			return
		case <-t.Context().Done():
			t.Fatal("nothing was written")
		default:
		}
	}
}

func TestNothingIsLoggedAfterClose(t *testing.T) {
	var out bytes.Buffer
	l := accesslog.New(&out, accesslog.Options{})
	l.Log(entry("/1"))
	for range 2 {
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	l.Log(entry("/2"))
	if err := l.Flush(t.Context()); !errors.Is(err, accesslog.ErrClosed) {
		t.Errorf("Flush after Close: %v", err)
	}
	if s := l.Stats(); s.Written != 1 || s.Dropped != 1 || len(lines(out.String())) != 1 {
		t.Errorf("%+v, %q", s, out.String())
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestFailedWritesAreCountedAndReported(t *testing.T) {
	var log bytes.Buffer
	l := accesslog.New(failing{}, accesslog.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	l.Log(entry("/"))
	l.Log(entry("/"))
	if err := l.Flush(t.Context()); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("Flush: %v", err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := l.Stats(); s.Errors != 2 || s.Written != 0 || !strings.Contains(log.String(), "write_errors=2") {
		t.Errorf("%+v, told %q", s, log.String())
	}
}

func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	f, err := accesslog.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l := accesslog.New(f, accesslog.Options{FlushEvery: time.Hour})
	l.Log(entry("/before"))
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.Log(entry("/after"))
	if err := errors.Join(l.Close(t.Context()), f.Close()); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{path + ".1": "/before", path: "/after"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := lines(string(text)); len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%s: %q", file, got)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("%v, %v: others may read the log", info.Mode(), err)
	}
}

func TestReopenKeepsTheOldFileWhenItFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := accesslog.OpenFile(filepath.Join(dir, "access.log"))
	if err != nil {
		t.Fatal(err)
	}
	l := accesslog.New(f, accesslog.Options{})
	if err := os.Rename(dir, dir+"x"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(t.Context()); err == nil {
		t.Error("a file in no folder was opened")
	}
	l.Log(entry("/kept"))
	if err := errors.Join(l.Close(t.Context()), f.Close()); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(filepath.Join(dir+"x", "access.log")); !bytes.Contains(text, []byte("/kept")) {
		t.Error("the entry is lost")
	}
}

func TestLogDoesNotAllocate(t *testing.T) {
	l := accesslog.New(discard{}, accesslog.Options{FlushEvery: time.Hour, Query: accesslog.QueryNames})
	e := entry("/\u00e9\n\xff")
	e.Query, e.Referer = []byte("a=1&b"), []byte("http://x/?y")
	for range 5000 {
		l.Log(e)
	}
	if n := testing.AllocsPerRun(2000, func() { l.Log(e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// The reference page lists just the fields that there are.
func TestDocumentationListsEveryField(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/reference/access-log.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllSubmatch(doc, -1) {
		documented[string(m[1])] = true
	}
	var source []byte
	for _, file := range []string{"encode.go", "place.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source = append(source, text...)
	}
	written := map[string]bool{}
	for _, m := range regexp.MustCompile(`[{,]"([a-z_]+)":`).FindAllSubmatch(source, -1) {
		written[string(m[1])] = true
	}
	for name := range written {
		if !documented[name] {
			t.Errorf("%s is written but not documented", name)
		}
	}
	for name := range documented {
		if !written[name] {
			t.Errorf("%s is documented but not written", name)
		}
	}
	if len(written) < 25 {
		t.Errorf("only %d fields were found", len(written))
	}
}

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	var stdout, stderr bytes.Buffer
	at := func(target string) string {
		switch target {
		case "stdout":
			return stdout.String()
		case "stderr":
			return stderr.String()
		}
		text, _ := os.ReadFile(target)
		return string(text)
	}
	for _, target := range []string{"stdout", "stderr", "off", "", path} {
		d, err := accesslog.Open(target, &stdout, &stderr, accesslog.Options{})
		if err != nil {
			t.Fatal(err)
		}
		written := target != "off" && target != ""
		if (d.Logger != nil) != written {
			t.Fatalf("%q: logger %v", target, d.Logger)
		}
		if written {
			d.Logger.Log(&accesslog.Entry{Path: []byte("/" + filepath.Base(target))})
		}
		if err := errors.Join(d.Reopen(t.Context()), d.Close()); err != nil {
			t.Error(err)
		}
		if written && !strings.Contains(at(target), `"path":"/`+filepath.Base(target)) {
			t.Errorf("%s has %q", target, at(target))
		}
	}
	if _, err := accesslog.Open(filepath.Join(path, "below"), &stdout, &stderr, accesslog.Options{}); err == nil {
		t.Error("a file below a file was opened")
	}
}

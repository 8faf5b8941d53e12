package logqueue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridway/gridway/internal/telemetry/logqueue"
)

// gate is an output that takes nothing while it is shut.
type gate struct {
	open chan struct{}
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.Write(p)
}

func (g *gate) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.String()
}

func TestEverythingArrivesInOrder(t *testing.T) {
	var out bytes.Buffer
	q := logqueue.New(logqueue.Options{Out: &out})
	var want strings.Builder
	for i := range 1000 {
		line := fmt.Sprintf("line %d\n", i)
		want.WriteString(line)
		if n, err := io.WriteString(q, line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out.String() != want.String() {
		t.Errorf("%d of %d bytes arrived", out.Len(), want.Len())
	}
	if s := q.Stats(); s != (logqueue.Stats{Written: 1000}) {
		t.Errorf("%+v", s)
	}
	io.WriteString(q, "late\n")
	if s := q.Stats(); s.Dropped != 1 || strings.Contains(out.String(), "late") {
		t.Errorf("after Close: %+v", s)
	}
}

// While the output is stuck nobody waits, whole lines are dropped, and once it
// goes on it is told how many.
func TestAStuckOutputCostsLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		var q *logqueue.Queue
		q = logqueue.New(logqueue.Options{Out: g, Bytes: 100, Lost: func(n uint64) { fmt.Fprintf(q, "lost %d\n", n) }})
		io.WriteString(q, "first\n")
		synctest.Wait() // it is being written
		for i := range 50 {
			fmt.Fprintf(q, "number %02d\n", i) // ten bytes
		}
		if s := q.Stats(); s.Dropped != 40 || s.Written != 0 {
			t.Errorf("%+v", s)
		}
		close(g.open)
		synctest.Wait()
		text := g.String()
		if !strings.HasPrefix(text, "first\nnumber 00\n") || !strings.Contains(text, "number 09\n") || !strings.Contains(text, "lost 40\n") || strings.Contains(text, "number 10") {
			t.Errorf("%q", text)
		}
		io.WriteString(q, "after\n")
		if err := q.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if text := g.String(); strings.Count(text, "lost") != 1 || !strings.HasSuffix(text, "after\n") {
			t.Errorf("%q", text)
		}
	})
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		q := logqueue.New(logqueue.Options{Out: g})
		io.WriteString(q, "stuck\n")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := q.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		close(g.open)
		if err := q.Close(t.Context()); err != nil || g.String() != "stuck\n" {
			t.Errorf("%v %q", err, g)
		}
	})
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestFailedWritesAreCounted(t *testing.T) {
	q := logqueue.New(logqueue.Options{Out: broken{}, Lost: func(uint64) { t.Error("told a log that cannot be written") }})
	for range 10 {
		if n, err := io.WriteString(q, "x\n"); n != 2 || err != nil {
			t.Error(n, err)
		}
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := q.Stats(); s != (logqueue.Stats{Errors: 10}) {
		t.Errorf("%+v", s)
	}
}

func TestManyWriters(t *testing.T) {
	var out bytes.Buffer
	q := logqueue.New(logqueue.Options{Out: &out, Bytes: 512})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				io.WriteString(q, "0123456789\n")
			}
		})
	}
	wg.Wait()
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := q.Stats()
	if s.Written+s.Dropped != 8000 || out.Len() != int(s.Written)*11 {
		t.Errorf("%+v, %d bytes", s, out.Len())
	}
	if strings.Trim(out.String(), "0123456789\n") != "" || strings.Count(out.String(), "\n") != int(s.Written) {
		t.Error("lines are mixed up")
	}
}

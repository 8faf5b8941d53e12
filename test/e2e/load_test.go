package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is clients that send requests without pause and without mercy: unlike
// net/http's they do not hide a connection that was closed on them.
type load struct {
	t      *testing.T
	wg     sync.WaitGroup
	stop   chan struct{}
	done   atomic.Int64
	failed atomic.Int64
}

func newLoad(t *testing.T) *load {
	l := &load{t: t, stop: make(chan struct{})}
	t.Cleanup(func() { l.end() })
	return l
}

// keep is a client that keeps its connection until it is told that it closes;
// without keep it makes a new one for each request.
func (l *load) add(keep bool, port int, config *tls.Config, request string, want func(*http.Response, string) bool) {
	l.wg.Go(func() {
		for l.going() {
			if err := l.connection(keep, port, config, request, want); err != nil {
				l.failed.Add(1)
				l.t.Errorf("port %d, after %d requests: %v", port, l.done.Load(), err)
				return
			}
		}
	})
}

func (l *load) going() bool {
	select {
	case <-l.stop:
		return false
	default:
		return true
	}
}

func (l *load) connection(keep bool, port int, config *tls.Config, request string, want func(*http.Response, string) bool) error {
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), patience)
	if err != nil {
		return err
	}
	defer c.Close()
	raw := c
	if config != nil {
		c = tls.Client(c, config)
	}
	r := bufio.NewReader(c)
	for l.going() {
		raw.SetDeadline(time.Now().Add(4 * patience))
		if _, err := io.WriteString(c, request); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return fmt.Errorf("body: %w", err)
		}
		if !want(resp, string(body)) {
			return fmt.Errorf("answered %d %s %.100q", resp.StatusCode, resp.Header.Get("X-Gridway-Reason"), body)
		}
		l.done.Add(1)
		if resp.Close || !keep {
			return nil
		}
	}
	return nil
}

// passed waits until n more requests were answered.
func (l *load) passed(n int64) {
	l.t.Helper()
	end := l.done.Load() + n
	eventually(l.t, "requests go on", func() bool { return l.done.Load() >= end || l.failed.Load() > 0 })
}

// end stops the clients and returns how many requests were answered.
func (l *load) end() int64 {
	if l.going() {
		close(l.stop)
	}
	l.wg.Wait()
	return l.done.Load()
}

func saying(texts ...string) func(*http.Response, string) bool {
	return func(resp *http.Response, body string) bool {
		for _, text := range texts {
			if resp.StatusCode == 200 && body == text {
				return true
			}
		}
		return false
	}
}

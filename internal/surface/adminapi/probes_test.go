package adminapi

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

// Where only probes are answered, nothing else is, and nobody needs a token.
func TestProbesOnly(t *testing.T) {
	opt := Options{Address: "0.0.0.0:0", Process: still{}, Configuration: nil, Level: &slog.LevelVar{}, Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "up 1\n")
	})}
	if _, err := New(t.Context(), opt); !errors.Is(err, ErrTokenNeeded) {
		t.Fatalf("the whole API opened to everybody: %v", err)
	}
	opt.ProbesOnly = true
	s, err := New(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	_, port, _ := strings.Cut(strings.ReplaceAll(s.Addr().String(), "[::]", ""), ":")
	for path, want := range map[string]int{
		"/healthz": 200, "/readyz": 503, "/metrics": 200, "/": 404, "/v1/status": 404, "/v1/config": 404, "/v1/log/level": 404,
		"/v1/mesh/tokens": 404, "/v1/tokens": 404, "/debug/pprof/heap": 404, "/openapi.json": 404,
	} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://127.0.0.1:"+port+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "node-1.example"
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
}

// still is a process that has not begun to serve.
type still struct{}

func (still) State() State   { return Starting }
func (still) Status() Status { return Status{} }

func (still) Troubles() ([]Trouble, int) { return nil, 0 }

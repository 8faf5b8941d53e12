package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/telemetry/tap"
)

// What a tap shows of a response is of the exchange that it shows, though many share
// connections to the endpoint.
func TestTapsShowTheirOwnResponse(t *testing.T) {
	h := start(t, []string{serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Answer-To", r.URL.Path)
		io.WriteString(w, "hello")
	})}, func(cfg *ir.Config) { cfg.Routes[0].Rules[0].Matches[0].Path.Value = "/" })
	q, err := tap.Parse("show=x-answer-to&rate=5000")
	if err != nil {
		t.Fatal(err)
	}
	look, err := h.taps.Start(q)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 50 {
				h.get(fmt.Sprintf("/client-%d/request-%d", n, i))
			}
		})
	}
	wg.Wait()
	look.End()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	seen := 0
	err = look.Read(over, func(list []*tap.Event) error {
		for _, e := range list {
			if e.Type != "exchange" {
				continue
			}
			seen++
			if len(e.ResponseHeaders) != 1 || e.ResponseHeaders[0].Value != e.Path {
				t.Errorf("the response to %s has %v", e.Path, e.ResponseHeaders)
			}
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || seen == 0 {
		t.Error(seen, "exchanges were seen;", err)
	}
}

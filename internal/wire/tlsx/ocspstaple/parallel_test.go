package ocspstaple_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridway/gridway/internal/wire/tlsx/ocspstaple"
)

// hanging never answers, and counts who waits.
type hanging struct {
	waiting atomic.Int32
	mu      sync.Mutex
	most    int32
	asked   int
}

func (h *hanging) RoundTrip(req *http.Request) (*http.Response, error) {
	h.mu.Lock()
	h.most = max(h.most, h.waiting.Add(1))
	h.asked++
	h.mu.Unlock()
	defer h.waiting.Add(-1)
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// both asks one responder about a certificate and another about the rest.
type both struct {
	host string
	one  http.RoundTripper
	rest http.RoundTripper
}

func (b *both) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host == b.host {
		return b.one.RoundTrip(req)
	}
	return b.rest.RoundTrip(req)
}

// A responder that hangs holds up its own certificate and no other, and many
// certificates do not mean as many requests at a time.
func TestFetchesAreParallelAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good, slow := newResponder(t), &hanging{}
		s := ocspstaple.New(ocspstaple.Options{Client: &http.Client{Transport: &both{"ocsp.test", good, slow}}})
		defer s.Close()
		bad := func() {
			r := newResponder(t)
			r.leaf.OCSPServer = []string{"http://hangs.test/"}
			s.Staple(r.leaf, r.issuer)
		}
		for range 3 {
			bad()
		}
		synctest.Wait()
		s.Staple(good.leaf, good.issuer)
		synctest.Wait()
		if slow.waiting.Load() != 3 || s.Staple(good.leaf, good.issuer) == nil {
			t.Errorf("%d wait and the good one has no response", slow.waiting.Load())
		}
		for range 20 {
			bad()
		}
		synctest.Wait()
		if n := slow.waiting.Load(); n != 8 {
			t.Errorf("%d requests at a time", n)
		}
		advance(40 * time.Second) // each ends after ten
		slow.mu.Lock()
		defer slow.mu.Unlock()
		if slow.most != 8 || slow.asked < 23 {
			t.Errorf("%d requests, %d at a time", slow.asked, slow.most)
		}
	})
}

package ocspstaple_test

import (
	"bytes"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridway/gridway/internal/wire/tlsx/ocspstaple"
)

// What one Stapler has fetched another one serves at once, and keeps fresh.
func TestInherited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newResponder(t)
		r.takes = time.Second // so that one can see who waits for it
		stapler := func(adopt [][]byte) *ocspstaple.Stapler {
			s := ocspstaple.New(ocspstaple.Options{Client: &http.Client{Transport: r}})
			s.Adopt(adopt)
			return s
		}
		first := stapler(nil)
		defer first.Close()
		if len(first.Export()) != 0 || first.Pending() {
			t.Error("something from nothing")
		}
		first.Staple(r.leaf, r.issuer)
		if !first.Pending() {
			t.Error("it does not wait for its first response")
		}
		advance(r.takes)
		want := first.Staple(r.leaf, r.issuer)
		kept := first.Export()
		if len(kept) != 1 || first.Pending() {
			t.Fatalf("%d responses, pending %v", len(kept), first.Pending())
		}
		r.fail.Store(true)
		second := stapler(kept)
		defer second.Close()
		third := stapler(second.Export()) // of which the second made no use
		defer third.Close()
		for _, s := range []*ocspstaple.Stapler{second, third} {
			if got := s.Staple(r.leaf, r.issuer); !bytes.Equal(got, want) || s.Pending() {
				t.Errorf("%d bytes, pending %v", len(got), s.Pending())
			}
		}
		advance(r.takes)
		if n := r.asked.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		r.fail.Store(false)
		advance(5 * time.Hour)
		if got := third.Staple(r.leaf, r.issuer); got == nil || bytes.Equal(got, want) {
			t.Error("it was not renewed")
		}

		// What is not sound is as good as nothing, and a failure is no reason to wait.
		r.fail.Store(true)
		broken := slices.Clone(kept[0])
		broken[len(broken)-1]++
		advance(4 * time.Hour) // the first response has ended
		for _, adopt := range [][][]byte{{broken}, {kept[0]}, {kept[0][:32]}, {kept[0][:40]}, {nil}, {append(kept[0][:32:32], make([]byte, 70<<10)...)}} {
			s := stapler(adopt)
			if s.Staple(r.leaf, r.issuer) != nil || !s.Pending() {
				t.Errorf("%d bytes were taken for a response", len(adopt[0]))
			}
			advance(r.takes)
			if s.Pending() {
				t.Error("it waits although the responder fails")
			}
			s.Close()
		}
	})
}

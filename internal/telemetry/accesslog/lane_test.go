package accesslog

import (
	"context"
	"io"
	"testing"
	"time"
)

// A lane has as many buffers as the output is behind, and gives them up later.
func TestBuffersComeAndGo(t *testing.T) {
	l := New(io.Discard, Options{FlushEvery: time.Hour})
	defer l.Close(context.Background())
	n := &lane{size: 1 << 10, enc: l.lanes[0].enc}
	for range keptBuffers {
		n.free = append(n.free, n.newBuffer())
	}
	for i := 1; ; i++ {
		b := n.take()
		if b == nil {
			if i != maxBuffers+1 || n.count != maxBuffers {
				t.Fatalf("no buffer after %d, of %d", i-1, n.count)
			}
			break
		}
		n.full = append(n.full, b)
	}
	n.trim()
	if n.count != maxBuffers {
		t.Errorf("%d buffers while all are full", n.count)
	}
	for len(n.full) > 0 {
		b, _ := n.next(false)
		n.giveBack(b)
	}
	n.trim() // free buffers are kept for as long as somebody has needed them lately
	if n.count != maxBuffers {
		t.Errorf("%d buffers, all of which were full a moment ago", n.count)
	}
	n.take()
	n.trim()
	if n.count != keptBuffers || len(n.free) != keptBuffers-1 {
		t.Errorf("%d buffers, %d free", n.count, len(n.free))
	}
}

package h2_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// upload opens a stream for content.
func (r *rig) upload() *h2.Stream {
	r.t.Helper()
	s, err := r.c.Open(&httpmsg.Request{Method: []byte("POST"), MethodID: httpmsg.MethodPost, Host: []byte("a"), Path: []byte("/")}, false, &httpmsg.Response{}, &httpmsg.Arena{})
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// push sends from a stream until nothing more goes, as a driver does, and returns
// how much each has sent.
func (r *rig) push(s *h2.Stream) map[*h2.Stream]int {
	r.t.Helper()
	taken := map[*h2.Stream]int{}
	for turns := 0; s != nil; s = r.c.Writable() {
		if turns++; turns > 10_000 {
			r.t.Fatal("streams that may not send have turns without end")
		}
		n, err := r.c.SendData(s, body(1<<20), false)
		if err != nil {
			r.t.Fatal(err)
		}
		taken[s] += n
		r.out()
	}
	return taken
}

// later lets time pass.
func (r *rig) later(d time.Duration) {
	r.t.Helper()
	r.now += int64(d)
	r.feed(nil)
	if r.err != nil {
		r.t.Fatal(r.err)
	}
}

// A server that gives its window back when all of it was used gets all of it, after
// a moment at first, and then at once.
func TestServersThatGiveBackLate(t *testing.T) {
	const window = 65535
	r := greeted(t, true, h2.Config{})
	s := r.upload()
	taken := r.push(s)[s]
	if taken < window*6/8 || taken > window*7/8 {
		t.Fatalf("%d of %d bytes went at first", taken, window)
	}
	for n := 0; taken < window && n < 3; n++ {
		r.later(1100 * time.Millisecond)
		taken += r.push(r.c.Writable())[s]
	}
	if taken != window {
		t.Fatalf("%d of %d bytes went", taken, window)
	}
	for range 3 {
		r.feed(join(h2.AppendWindowUpdate(nil, s.ID(), window), h2.AppendWindowUpdate(nil, 0, window)))
		if n := r.push(r.c.Writable())[s]; n != window {
			t.Errorf("%d of %d bytes went when the window was open again", n, window)
		}
		r.later(5 * time.Second)
	}
}

// What is left stays for streams that may want to send yet; where it was given in
// vain the next is shared again.
func TestTheLastShareIsKept(t *testing.T) {
	const window = 65535
	r := greeted(t, true, h2.Config{})
	stalled, quiet := r.upload(), r.upload()
	taken := r.push(stalled)[stalled]
	for range 5 {
		r.later(1100 * time.Millisecond)
		if s := r.c.Writable(); s != nil {
			t.Fatalf("stream %d got what was kept for another", s.ID())
		}
	}
	if n, err := r.c.SendData(quiet, body(1000), true); n != 1000 || err != nil {
		t.Fatalf("the other has sent %d, %v", n, err)
	}
	for n := 0; taken < window-1000 && n < 3; n++ { // alone now
		r.later(1100 * time.Millisecond)
		taken += r.push(r.c.Writable())[stalled]
	}
	if taken != window-1000 {
		t.Fatalf("%d bytes went, %d were left", taken, window-1000)
	}
	r.later(1100 * time.Millisecond) // in vain
	r.later(1100 * time.Millisecond)
	r.feed(join(h2.AppendWindowUpdate(nil, stalled.ID(), window), h2.AppendWindowUpdate(nil, 0, window)))
	if n := r.push(r.c.Writable())[stalled]; n > window*7/8 {
		t.Errorf("%d of %d bytes went to one that had stalled", n, window)
	}
}

// Streams that wait for a share have no turns before there is one for them.
func TestManyParkedStreams(t *testing.T) {
	const window, many = 1 << 20, 500
	r := greeted(t, true, h2.Config{}, h2.Setting{ID: h2.SettingInitialWindowSize, Value: window}, h2.Setting{ID: h2.SettingMaxConcurrentStreams, Value: many + 1})
	r.feed(h2.AppendWindowUpdate(nil, 0, window-65535))
	for range many {
		r.push(r.upload())
	}
	if !r.c.Tight() {
		t.Error("with so many uploads the connection is not tight")
	}
	r.feed(h2.AppendWindowUpdate(nil, 0, 3)) // of no use to anybody
	if s := r.c.Writable(); s != nil {
		t.Errorf("stream %d has the turn", s.ID())
	}
	r.feed(h2.AppendWindowUpdate(nil, 0, window/2)) // for those that hold little
	going := r.push(r.c.Writable())
	if sent := going[r.by[1]]; sent > 0 {
		t.Errorf("the first, which holds nearly all, got %d bytes more", sent)
	}
	if len(going) == 0 {
		t.Error("nobody goes on")
	}
}

// Whose turn it is may end without using it; then it is another's.
func TestTurnsThatAreNotUsed(t *testing.T) {
	r := greeted(t, true, h2.Config{})
	var parked []*h2.Stream
	for !r.c.Tight() || len(parked) < 6 {
		s := r.upload()
		r.push(s)
		parked = append(parked, s)
	}
	r.feed(h2.AppendWindowUpdate(nil, 0, 300)) // now there is enough for one that has nothing yet
	if s := r.c.Writable(); s != parked[2] || r.c.Writable() != nil {
		t.Fatal("it is not the turn of the first, or of others too")
	}
	r.c.Reset(parked[2], h2.Cancel)
	if s := r.c.Writable(); s != parked[3] {
		t.Error("it is not the next one's turn")
	}
}

// While much is free a stream waits for whole frames, however small the steps in
// which the server gives its window back.
func TestUploadsAreSentInWholeFrames(t *testing.T) {
	const window = 1 << 20
	r := greeted(t, true, h2.Config{}, h2.Setting{ID: h2.SettingInitialWindowSize, Value: window})
	r.feed(h2.AppendWindowUpdate(nil, 0, window-65535))
	s := r.upload()
	r.push(s)
	turns, sent := 0, 0
	for range 64 {
		r.feed(join(h2.AppendWindowUpdate(nil, s.ID(), 4096), h2.AppendWindowUpdate(nil, 0, 4096)))
		for s := r.c.Writable(); s != nil; s = r.c.Writable() {
			n, err := r.c.SendData(s, body(window), false)
			if err != nil {
				t.Fatal(err)
			}
			if n > 0 {
				turns, sent = turns+1, sent+n
			}
			r.out()
		}
	}
	if sent < 14*16384 || turns > 17 {
		t.Errorf("%d bytes in %d turns", sent, turns)
	}
}

// BenchmarkUnpark is a WINDOW_UPDATE for a connection on which many uploads are
// stalled beside one that goes on.
func BenchmarkUnpark(b *testing.B) {
	const window = 1 << 20
	for _, many := range []int{1, 10, 100, 1000} {
		b.Run(strconv.Itoa(many), func(b *testing.B) { benchUnpark(b, window, many) })
	}
}

func benchUnpark(b *testing.B, window uint32, many int) {
	c := h2.NewClient(h2.Config{}, 1)
	var ev h2.Event
	now := int64(1)
	feed := func(in []byte) {
		for len(in) > 0 {
			n, err := c.Next(in, now, &ev)
			if err != nil {
				b.Fatal(err)
			}
			in = in[n:]
		}
	}
	feed(h2.AppendSettingsAck(h2.AppendSettings(nil, h2.Setting{ID: h2.SettingInitialWindowSize, Value: window}, h2.Setting{ID: h2.SettingMaxConcurrentStreams, Value: 2000})))
	feed(h2.AppendWindowUpdate(nil, 0, window-65535))
	content := make([]byte, window)
	push := func(s *h2.Stream) {
		for ; s != nil; s = c.Writable() {
			if _, err := c.SendData(s, content, false); err != nil {
				b.Fatal(err)
			}
			if out := c.Take(); out != nil {
				out.Release()
			}
		}
	}
	open := func() *h2.Stream {
		s, err := c.Open(&httpmsg.Request{Method: []byte("POST"), MethodID: httpmsg.MethodPost, Host: []byte("a"), Path: []byte("/")}, false, &httpmsg.Response{}, &httpmsg.Arena{})
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	open() // which says nothing, so that the others are not given all
	going := open()
	for range many {
		push(open())
	}
	const piece = 4 << 10
	update := h2.AppendWindowUpdate(h2.AppendWindowUpdate(nil, 0, piece), going.ID(), piece)
	feed(h2.AppendWindowUpdate(nil, 0, piece))
	b.ResetTimer()
	for b.Loop() {
		now += 20_000_000 // so that updates are no flood
		if _, err := c.SendData(going, content[:piece], false); err != nil {
			b.Fatal(err)
		}
		if out := c.Take(); out != nil {
			out.Release()
		}
		feed(update)
		push(c.Writable())
	}
}

package h2_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

func body(n int) []byte { return bytes.Repeat([]byte("x"), n) }

// send calls SendData and checks how much was taken.
func (r *rig) send(s *h2.Stream, n int, end bool, want int) {
	r.t.Helper()
	if got, err := r.c.SendData(s, body(n), end); err != nil || got != want {
		r.t.Errorf("stream %d: %d of %d bytes taken, %v; want %d", s.ID(), got, n, err, want)
	}
}

// turns asks Writable until nobody is left and lets each send a frame's worth.
func (r *rig) turn() uint32 {
	if s := r.c.Writable(); s != nil {
		return s.ID()
	}
	return 0
}

// RFC 9113 §6.9: both windows bound what is sent; a stream that waits for its own
// does not keep others waiting.
func TestSendWindows(t *testing.T) {
	r := greeted(t, false, h2.Config{}, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 10})
	r.feed(join(r.get(1), r.get(3)))
	one, three := r.by[1], r.by[3]
	r.respond(one, false)
	r.respond(three, false)
	r.send(one, 100, false, 10)
	r.send(three, 8, false, 8)
	if id := r.turn(); id != 0 {
		t.Errorf("stream %d may send without a window", id)
	}
	r.feed(h2.AppendWindowUpdate(nil, 1, 5))
	if id := r.turn(); id != 1 {
		t.Errorf("stream %d has the turn, want 1", id)
	}
	r.send(one, 90, true, 5)
	r.want("output", r.out(), "1 HEADERS :status=200\n3 HEADERS :status=200\n1 DATA \"xxxxxxxxxx\"\n3 DATA \"xxxxxxxx\"\n1 DATA \"xxxxx\"")

	// The window of the connection: 65535 - 23 are left.
	r.feed(h2.AppendSettings(nil, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 1 << 20}))
	if id := r.turn(); id != 1 {
		t.Errorf("stream %d has the turn, want 1", id)
	}
	r.send(one, 100000, true, 65536-5*9) // as the output's limit allows, with the acknowledgement and four frames
	r.out()
	if id := r.turn(); id != 1 {
		t.Errorf("stream %d has the turn, want 1", id)
	}
	r.send(one, 100000, true, 21) // and the rest of the window
	r.out()
	if id := r.turn(); id != 0 {
		t.Errorf("stream %d may send without the connection's window", id)
	}
}

// §6.9.2: a smaller initial window makes the windows of open streams negative.
func TestNegativeWindow(t *testing.T) {
	r := greeted(t, false, h2.Config{}, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 100})
	r.feed(r.get(1))
	s := r.by[1]
	r.respond(s, false)
	r.send(s, 200, false, 100)
	r.feed(h2.AppendSettings(nil, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 30})) // now -70
	r.feed(h2.AppendWindowUpdate(nil, 1, 70))
	if id := r.turn(); id != 0 {
		t.Fatal("a window of 0 is writable")
	}
	r.feed(h2.AppendWindowUpdate(nil, 1, 1))
	if id := r.turn(); id != 1 {
		t.Fatal("a window of 1 is not writable")
	}
	r.send(s, 100, false, 1)
	r.feed(h2.AppendSettings(nil, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 60})) // now 30
	if id := r.turn(); id != 1 {
		t.Fatal("a larger initial window does not wake")
	}
	r.send(s, 30, true, 30)
	r.send2(s)
}

// send2 checks that a stream that has ended takes nothing more.
func (r *rig) send2(s *h2.Stream) {
	r.t.Helper()
	if _, err := r.c.SendData(s, body(1), false); err != h2.ErrEnded {
		r.t.Errorf("after the end: %v", err)
	}
	if err := r.c.SendTrailer(s, nil); err != h2.ErrEnded {
		r.t.Errorf("a trailer after the end: %v", err)
	}
}

// A stream that ends needs no window for an empty frame.
func TestEndWithoutWindow(t *testing.T) {
	r := greeted(t, false, h2.Config{}, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 0})
	r.feed(r.get(1))
	r.respond(r.by[1], false)
	r.send(r.by[1], 0, true, 0)
	r.want("output", r.out(), "1 HEADERS :status=200\n1 DATA \"\" end")
	if !r.by[1].Closed() || r.c.Streams() != 0 {
		t.Error("the stream is still open")
	}
}

// What comes counts until it is consumed, and then the peer hears of it.
func TestReceiveWindows(t *testing.T) {
	r := greeted(t, false, h2.Config{MaxStreams: 4, StreamWindow: 20000, ConnWindow: 70000})
	r.hold = true
	r.feed(join(r.post(1), h2.AppendData(nil, 1, body(15000), false)))
	s := r.by[1]
	if s.Unread() != 15000 {
		t.Errorf("%d unread", s.Unread())
	}
	r.want("nothing consumed", r.out(), "")
	r.c.Consume(s, 9999)
	r.want("less than half", r.out(), "")
	r.c.Consume(s, 1)
	r.want("half consumed", r.out(), "1 WINDOW 10000")
	r.c.Consume(s, 1<<30) // never more than has come
	r.feed(h2.AppendData(nil, 1, body(5000), false))
	r.c.Consume(s, 5000)
	r.want("the rest", r.out(), "0 WINDOW 20000\n1 WINDOW 10000")
	r.want("too much", r.feed(h2.AppendData(nil, 1, body(16384), false))+r.feed(h2.AppendData(nil, 1, body(3617), false)), "1 data of 163841 reset FLOW_CONTROL_ERROR for WindowExceeded")
	r.want("output", r.out(), "1 RST FLOW_CONTROL_ERROR\n0 WINDOW 20001")

	// Streams that end give back what of them was not consumed.
	for id := uint32(3); id < 100; id += 2 {
		if log := r.feed(join(r.post(id), h2.AppendData(nil, id, body(16000), false), h2.AppendRSTStream(nil, id, h2.Cancel))); r.err != nil {
			t.Fatal(log)
		}
		r.c.Release(r.by[id])
		r.out()
	}
}

// §6.9.1: the connection's window is one for all.
func TestReceiveConnectionWindow(t *testing.T) {
	r := greeted(t, false, h2.Config{MaxStreams: 100, StreamWindow: 65535, ConnWindow: 65535})
	r.hold = true
	for id := uint32(1); id <= 7; id += 2 {
		r.feed(join(r.post(id), h2.AppendData(nil, id, body(16383), false)))
	}
	if r.err != nil {
		t.Fatal(r.err)
	}
	r.want("one byte more than the window", r.feed(join(r.post(9), h2.AppendData(nil, 9, body(4), false))), "9 request POST a / length=-1\n! WindowExceeded")
	r.want("output", r.out(), "GOAWAY 9 FLOW_CONTROL_ERROR WindowExceeded")
}

// Without acknowledgement the peer may still go by the default window.
func TestWindowBeforeAck(t *testing.T) {
	r := newRig(t, false, h2.Config{StreamWindow: 1000})
	r.hold = true
	r.feed(join([]byte(h2.Preface), h2.AppendSettings(nil), r.post(1), h2.AppendData(nil, 1, body(16384), false)))
	r.want("acknowledged", r.feed(h2.AppendSettingsAck(nil)), "")
	r.want("after it", r.feed(h2.AppendData(nil, 1, body(1), false)), "1 reset FLOW_CONTROL_ERROR for WindowExceeded")
}

// order lets each stream send one frame whenever it has the turn.
func (r *rig) order(n int) string {
	var ids []string
	for range n {
		s := r.c.Writable()
		if s == nil {
			if b := r.c.Take(); b != nil {
				b.Release()
			}
			if s = r.c.Writable(); s == nil {
				break
			}
		}
		r.c.SendData(s, body(1<<20), false)
		ids = append(ids, string(rune('0'+s.ID()%10)))
	}
	return strings.Join(ids, "")
}

func TestScheduling(t *testing.T) {
	for _, c := range []struct {
		name       string
		priorities []string // of streams 1, 3, 5 …
		update     [2]string
		want       string
	}{
		{"no priorities: in turn", []string{"", "", ""}, [2]string{}, "135135135135"},
		{"incremental: in turn", []string{"u=3, i", "i", "u=3,i=?1"}, [2]string{}, "135135135135"},
		{"sequential: one after the other", []string{"u=3", "u=3", "u=3"}, [2]string{}, "111111111111"},
		{"urgent first, others not never", []string{"u=5,i", "u=1,i", "u=1,i"}, [2]string{}, "3535353535353531" + "5353"},
		{"both sorts alternate", []string{"u=3", "", ""}, [2]string{}, "315131513151"},
		{"nonsense is no priority", []string{"u=9", "u=x;i", "i=?0,u=3"}, [2]string{}, "111111"},
		{"update", []string{"u=3,i", "u=3,i", "u=3,i"}, [2]string{"5", "u=0"}, "555555"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := greeted(t, false, h2.Config{}, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 1<<31 - 1})
			r.feed(h2.AppendWindowUpdate(nil, 0, 1<<30))
			for i, p := range c.priorities {
				fields := []string{":method=GET", ":scheme=http", ":path=/", ":authority=a"}
				if p != "" {
					fields = append(fields, "priority="+p)
				}
				r.feed(r.headers(uint32(2*i+1), true, fields...))
			}
			// Fill the output, so that all have to wait.
			for id := uint32(1); id <= 5; id += 2 {
				r.respond(r.by[id], false)
			}
			for id := uint32(1); id <= 5; id += 2 {
				r.c.SendData(r.by[id], body(1<<20), false)
			}
			if c.update[0] != "" {
				r.feed(h2.AppendPriorityUpdate(nil, uint32(c.update[0][0]-'0'), c.update[1]))
			}
			// Stream 1 has filled the output and is first in the line again.
			if got := r.order(len(c.want)); got != c.want {
				t.Errorf("order %s, want %s", got, c.want)
			}
		})
	}
}

// PRIORITY_UPDATE may come before its request.
func TestEarlyPriorityUpdate(t *testing.T) {
	r := greeted(t, false, h2.Config{}, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 1<<31 - 1})
	r.feed(join(h2.AppendPriorityUpdate(nil, 3, "u=0"), h2.AppendWindowUpdate(nil, 0, 1<<30), r.get(1), r.get(3)))
	for id := uint32(1); id <= 3; id += 2 {
		r.respond(r.by[id], false)
		r.c.SendData(r.by[id], body(1<<20), false)
	}
	if got := r.order(4); got != "3333" {
		t.Errorf("order %s", got)
	}
}

// RFC 7541 §4.2: the smallest of several table sizes is announced, also if one
// SETTINGS frame has them all.
func TestTableSizesInOneFrame(t *testing.T) {
	r := greeted(t, false, h2.Config{})
	r.feed(h2.AppendSettings(nil, h2.Setting{ID: h2.SettingHeaderTableSize, Value: 0}, h2.Setting{ID: h2.SettingHeaderTableSize, Value: 4096}))
	for i, want := range []string{"\x20", "\x3f\xe1\x1f", "\x88"} { // 0, then 4096, then :status 200
		id := uint32(2*i + 1)
		r.feed(r.get(id))
		if b := r.c.Take(); b != nil { // the acknowledgement
			b.Release()
		}
		r.respond(r.by[id], true)
		b := r.c.Take()
		if block := string(b.B[h2.FrameHeaderLen:]); !strings.HasPrefix(block, want) {
			t.Errorf("block %d begins with %.4q, want %q", i, block, want)
		}
		b.Release()
	}
}

// A client that never opens one stream's window delays no other, and holds
// nothing but that stream.
func TestSlowStreamStallsNobody(t *testing.T) {
	r := greeted(t, false, h2.Config{}, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 1000})
	r.feed(join(r.get(1), r.get(3)))
	r.respond(r.by[1], false)
	r.respond(r.by[3], false)
	r.send(r.by[1], 5000, false, 1000)
	for range 50 {
		r.send(r.by[3], 1000, false, 1000)
		r.feed(h2.AppendWindowUpdate(h2.AppendWindowUpdate(nil, 3, 1000), 0, 1000))
		r.out()
	}
	if r.c.Pending() != 0 {
		t.Errorf("%d bytes wait", r.c.Pending())
	}
}

// A stream whose content the server does not read leaves some of the connection's
// window to others, however many there are; what comes back is shared again.
func TestStalledStreamsLeaveAShare(t *testing.T) {
	const window = 1 << 20
	r := greeted(t, true, h2.Config{}, h2.Setting{ID: h2.SettingInitialWindowSize, Value: window})
	r.feed(h2.AppendWindowUpdate(nil, 0, window-65535))
	streams := make([]*h2.Stream, 4)
	taken := make([]int, len(streams))
	for i := range streams {
		var resp httpmsg.Response
		var arena httpmsg.Arena
		s, err := r.c.Open(&httpmsg.Request{Method: []byte("POST"), MethodID: httpmsg.MethodPost, Host: []byte("a"), Path: []byte("/")}, false, &resp, &arena)
		if err != nil {
			t.Fatal(err)
		}
		streams[i] = s
	}
	// send sends until nothing more goes, as a driver does.
	send := func(i int) {
		for s := streams[i]; s != nil; s = r.c.Writable() {
			n, err := r.c.SendData(s, body(window), false)
			if err != nil {
				t.Fatal(err)
			}
			taken[i] += n
			r.out()
		}
	}
	left := window
	for i := range 3 {
		send(i)
		if most := left - left/8 + 1; taken[i] > most || taken[i] < left*6/8 {
			t.Errorf("stream %d has %d of %d", i, taken[i], left)
		}
		left -= taken[i]
	}
	// What one has read makes it go on, and leaves the others where they were.
	back := taken[1]
	r.feed(join(h2.AppendWindowUpdate(nil, streams[1].ID(), uint32(back)), h2.AppendWindowUpdate(nil, 0, uint32(back))))
	before := taken[0]
	turns := 0
	for s := r.c.Writable(); s != nil; s = r.c.Writable() {
		if turns++; turns > 1000 {
			t.Fatal("streams that may not send have turns without end")
		}
		i := int(s.ID() / 2)
		n, err := r.c.SendData(s, body(window), false)
		if err != nil {
			t.Fatal(err)
		}
		taken[i] += n
		r.out()
	}
	if taken[0] > before+back/8 || taken[1] < back+back/2 {
		t.Errorf("the stalled stream has %d, %d before; the other %d, %d before", taken[0], before, taken[1], back)
	}
	// A reset gives nothing back by itself, and ends the wait.
	r.c.Reset(streams[0], h2.Cancel)
	r.feed(h2.AppendWindowUpdate(nil, 0, uint32(taken[0])))
	if r.c.Writable() == nil {
		t.Error("nobody goes on")
	}
}

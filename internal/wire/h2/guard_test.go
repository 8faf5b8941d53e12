package h2_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Attacks: each is repeated until the connection ends, with what it must end, and
// within how many rounds. The output is read, but for the last.
func TestGuards(t *testing.T) {
	cases := []struct {
		name  string
		round func(r *rig, i int) []byte
		want  string
		most  int
	}{
		{"rapid reset", func(r *rig, i int) []byte { return h2.AppendRSTStream(r.get(uint32(2*i+1)), uint32(2*i+1), h2.Cancel) }, "RapidReset", 1100},
		{"made to reset", func(r *rig, i int) []byte { return h2.AppendWindowUpdate(r.get(uint32(2*i+1)), uint32(2*i+1), 0) }, "RapidReset", 1100},
		{"malformed requests", func(r *rig, i int) []byte { return r.headers(uint32(2*i+1), true, "X=y") }, "RapidReset", 1100},
		{"settings", func(r *rig, i int) []byte { return h2.AppendSettings(nil, h2.Setting{ID: 4, Value: uint32(i)}) }, "ControlFlood", 300},
		{"large settings", func(r *rig, i int) []byte {
			return raw(h2.FrameSettings, 0, 0, strings.Repeat("\x00\xff\x00\x00\x00\x00", 2700))
		}, "ControlFlood", 20},
		{"ping", func(r *rig, i int) []byte { return h2.AppendPing(nil, [8]byte{}, false) }, "ControlFlood", 1100},
		{"ping answers", func(r *rig, i int) []byte { return h2.AppendPing(nil, [8]byte{}, true) }, "ControlFlood", 1100},
		{"priority", func(r *rig, i int) []byte { return h2.AppendPriority(nil, uint32(2*i+1), h2.PriorityParam{}) }, "ControlFlood", 1100},
		{"priority update", func(r *rig, i int) []byte { return h2.AppendPriorityUpdate(nil, uint32(2*i+1), "u=1") }, "ControlFlood", 1100},
		{"unknown frames", func(r *rig, i int) []byte { return raw(0x77, 0, 0, "") }, "ControlFlood", 1100},
		{"window updates", func(r *rig, i int) []byte { return h2.AppendWindowUpdate(nil, 0, 1) }, "ControlFlood", 1100},
		{"going away", func(r *rig, i int) []byte { return h2.AppendGoAway(nil, 0, 0, "") }, "ControlFlood", 300},
		{"empty data", func(r *rig, i int) []byte {
			if i == 0 {
				return r.post(1)
			}
			return h2.AppendData(nil, 1, nil, false)
		}, "ControlFlood", 1100},
		{"padding alone", func(r *rig, i int) []byte {
			if i == 0 {
				return r.post(1)
			}
			return raw(h2.FrameData, h2.FlagPadded, 1, "\x01\x00")
		}, "ControlFlood", 1100},
		{"empty continuations", func(r *rig, i int) []byte {
			if i == 0 {
				return raw(h2.FrameHeaders, 0, 1, "")
			}
			return raw(h2.FrameContinuation, 0, 1, "")
		}, "HeaderBlockTooLarge", 100},
		{"large continuations", func(r *rig, i int) []byte {
			if i == 0 {
				return raw(h2.FrameHeaders, 0, 1, "")
			}
			return raw(h2.FrameContinuation, 0, 1, strings.Repeat("\x00\x01a\x01b", 3000))
		}, "HeaderBlockTooLarge", 20},
		{"header bomb", func(r *rig, i int) []byte {
			if i == 0 {
				return r.headers(1, true, ":method=GET", ":scheme=http", ":path=/", ":authority=a", "x="+strings.Repeat("y", 3000))
			}
			return raw(h2.FrameHeaders, 5, uint32(2*i+1), strings.Repeat("\xbe", 16000))
		}, "HeaderBomb", 3},
		{"late frames on ended streams", func(r *rig, i int) []byte {
			if i == 0 {
				return r.post(1, "X=y")
			}
			return h2.AppendData(nil, 1, []byte("x"), false)
		}, "ControlFlood", 1100},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := greeted(t, false, h2.Config{})
			rounds := 0
			for ; r.err == nil && rounds < c.most; rounds++ {
				r.feed(c.round(r, rounds))
				if r.err == nil {
					r.out()
				}
			}
			if r.err == nil || !strings.Contains(r.err.Error(), c.want) {
				t.Fatalf("after %d rounds: %v", rounds, r.err)
			}
			if out := r.out(); !strings.Contains(out, "GOAWAY") || !strings.HasSuffix(out, c.want) {
				t.Errorf("output %s", out)
			}
		})
	}
}

// What an honest peer does at length is no attack.
func TestHonestPeers(t *testing.T) {
	t.Run("many requests, half of them cancelled", func(t *testing.T) {
		r := greeted(t, false, h2.Config{})
		for id := uint32(1); id < 20000; id += 4 {
			r.feed(r.get(id))
			r.respond(r.by[id], true)
			r.c.Release(r.by[id])
			r.feed(h2.AppendRSTStream(r.get(id+2), id+2, h2.Cancel))
			r.out()
		}
		if r.err != nil {
			t.Error(r.err)
		}
	})
	t.Run("gRPC's pings beside content", func(t *testing.T) {
		r := greeted(t, false, h2.Config{})
		r.feed(r.post(1))
		for range 20000 {
			r.feed(h2.AppendPing(h2.AppendData(nil, 1, []byte("message"), false), [8]byte{}, false))
			r.out()
		}
		if r.err != nil {
			t.Error(r.err)
		}
	})
	t.Run("window updates for what was sent", func(t *testing.T) {
		r := greeted(t, false, h2.Config{})
		r.feed(r.get(1))
		r.respond(r.by[1], false)
		for range 20000 {
			r.send(r.by[1], 100, false, 100)
			r.feed(h2.AppendWindowUpdate(h2.AppendWindowUpdate(nil, 1, 100), 0, 100))
			r.out()
		}
		if r.err != nil {
			t.Error(r.err)
		}
	})
	t.Run("window updates long after much was sent", func(t *testing.T) {
		r := greeted(t, false, h2.Config{}, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 8 << 20})
		r.feed(join(r.get(1), h2.AppendWindowUpdate(nil, 0, 8<<20)))
		r.respond(r.by[1], false)
		for range 500 {
			r.send(r.by[1], 16<<10, false, 16<<10)
			r.out()
		}
		for range 2 * 500 * 4 {
			r.feed(h2.AppendWindowUpdate(h2.AppendWindowUpdate(nil, 1, 4<<10), 0, 4<<10))
			r.out()
		}
		if r.err != nil {
			t.Error(r.err)
		}
	})
	t.Run("small content that a reset has crossed", func(t *testing.T) {
		for _, client := range []bool{false, true} {
			r := greeted(t, client, h2.Config{})
			var s *h2.Stream
			if client {
				s = r.open("GET", true)
				r.feed(r.headers(1, false, ":status=200"))
			} else {
				r.feed(r.post(1))
				s = r.by[1]
			}
			r.c.Reset(s, h2.Cancel)
			r.out()
			for range 6000 {
				r.feed(h2.AppendData(nil, 1, []byte("0123456789"), false))
				r.out()
			}
			if r.err != nil {
				t.Errorf("client %v: %v", client, r.err)
			}
			for range 6000 { // more than the window was
				r.feed(h2.AppendData(nil, 1, []byte("0123456789"), false))
				r.out()
			}
			if r.err == nil {
				t.Errorf("client %v: no end of content for a stream that was reset", client)
			}
		}
	})
	t.Run("answers that cancelling has crossed", func(t *testing.T) {
		r := greeted(t, true, h2.Config{})
		for id := uint32(1); id < 10000; id += 2 {
			r.c.Release(r.open("GET", true))
			r.out()
			r.feed(join(r.headers(id, false, ":status=200"), h2.AppendData(nil, id, []byte("x"), false), r.headers(id, true, "a=b")))
			r.out()
		}
		if r.err != nil {
			t.Error(r.err)
		}
	})
	t.Run("answers that cancelling has crossed, of many at once", func(t *testing.T) {
		const streams = 1000
		r := greeted(t, true, h2.Config{MaxStreams: streams}, h2.Setting{ID: h2.SettingMaxConcurrentStreams, Value: streams})
		var open []*h2.Stream
		for range streams {
			open = append(open, r.open("GET", true))
			r.out()
		}
		for _, s := range open {
			r.c.Release(s)
			r.out()
		}
		answer := func(id uint32) {
			r.feed(join(r.headers(id, false, ":status=200"), h2.AppendData(nil, id, []byte("x"), false), r.headers(id, true, "a=b"), h2.AppendRSTStream(nil, id, h2.NoError)))
			r.out()
		}
		for id := uint32(1); id < 2*streams; id += 2 {
			answer(id)
		}
		if r.err != nil {
			t.Error(r.err)
		}
		for range streams { // which nobody has to say
			answer(1)
		}
		if r.err == nil {
			t.Error("no end of frames for a stream that was reset")
		}
	})
	t.Run("pings with time between them", func(t *testing.T) {
		r := greeted(t, false, h2.Config{})
		for range 20000 {
			r.now += int64(20 * time.Millisecond)
			r.feed(h2.AppendPing(nil, [8]byte{}, false))
			r.out()
		}
		if r.err != nil {
			t.Error(r.err)
		}
	})
}

// Replies that nobody reads must not pile up.
func TestUnreadReplies(t *testing.T) {
	r := greeted(t, false, h2.Config{ControlBurst: 1 << 30})
	for r.err == nil {
		r.feed(h2.AppendPing(nil, [8]byte{}, false))
		if r.c.Pending() > 1<<20 {
			t.Fatal("a megabyte waits")
		}
	}
	if !strings.Contains(r.err.Error(), "UnreadReplies") {
		t.Error(r.err)
	}
}

func TestStreamLimit(t *testing.T) {
	r := greeted(t, false, h2.Config{MaxStreams: 2})
	r.hold = true
	r.want("the third", r.feed(join(r.get(1), r.get(3), r.get(5))), "1 request GET a / end\n3 request GET a / end")
	r.want("output", r.out(), "5 RST REFUSED_STREAM")
	r.respond(r.by[1], true)
	r.want("after the first has ended", r.feed(r.get(7)), "7 request GET a / end")
	// Streams that ended and are still worked on count twice.
	r.feed(join(h2.AppendRSTStream(nil, 3, h2.Cancel), h2.AppendRSTStream(nil, 7, h2.Cancel), r.get(9), h2.AppendRSTStream(nil, 9, h2.Cancel)))
	r.out()
	r.want("with four unreleased", r.feed(r.get(11)), "")
	r.want("output", r.out(), "11 RST REFUSED_STREAM")
	r.c.Release(r.by[3])
	r.want("with three", r.feed(r.get(13)), "13 request GET a / end")
}

func TestRefusedHeads(t *testing.T) {
	r := greeted(t, false, h2.Config{HeaderBytes: 1000, HeaderCount: 5})
	r.want("too large", r.feed(r.headers(1, true, ":method=GET", ":scheme=http", ":path=/", ":authority=a", "x="+strings.Repeat("y", 900))), "1 request GET a / refuse 431 HeaderTooLarge end")
	r.want("too many", r.feed(r.headers(3, true, ":method=GET", ":scheme=http", ":path=/", ":authority=a", "a=1", "b=2", "c=3", "d=4", "e=5", "f=6")), "3 request GET a / a=1 b=2 c=3 d=4 e=5 refuse 431 TooManyFields end")
	resp := &httpmsg.Response{Status: 431, Body: httpmsg.BodyLength}
	if err := r.c.SendResponse(r.by[1], resp, true); err != nil {
		t.Fatal(err)
	}
	r.want("answer", r.out(), "1 HEADERS :status=431 content-length=0 end")
	r.want("the connection goes on", r.feed(r.get(5)), "5 request GET a / end")
}

// Memory stays bounded by what the configuration allows while a peer opens
// streams, fills their windows, and goes on.
func TestMemory(t *testing.T) {
	r := greeted(t, false, h2.Config{MaxStreams: 100})
	before := heap()
	for id := uint32(1); id < 8000 && r.err == nil; id += 2 {
		r.now += int64(time.Second)
		r.feed(join(r.post(id, "x-unique="+strings.Repeat("z", int(id%500))), h2.AppendData(nil, id, body(1000), false), h2.AppendRSTStream(nil, id, h2.Cancel)))
		delete(r.by, id)
		r.out()
	}
	if r.err != nil {
		t.Fatal(r.err)
	}
	if grown := heap() - before; grown > 256<<10 {
		t.Errorf("%d bytes more than before", grown)
	}
	runtime.KeepAlive(r)
}

func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

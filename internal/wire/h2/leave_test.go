package h2_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

func leavePing() []byte { return h2.AppendPing(nil, [8]byte{'l', 'e', 'a', 'v', 'e'}, true) }

// RFC 9113 §6.8: what the client has sent before it knew is served.
func TestServerLeaves(t *testing.T) {
	r := greeted(t, false, h2.Config{})
	r.feed(r.get(1))
	r.c.Leave()
	r.want("announced", r.out(), "GOAWAY 2147483647 NO_ERROR \nPING")
	r.want("on its way", r.feed(r.get(3)), "3 request GET a / end")
	r.want("the client knows", r.feed(leavePing()), "")
	r.want("final", r.out(), "GOAWAY 3 NO_ERROR ")
	r.want("too late", r.feed(join(r.post(5), h2.AppendData(nil, 5, []byte("x"), true))), "")
	if r.c.Done() {
		t.Error("done with two streams open")
	}
	r.respond(r.by[1], true)
	r.respond(r.by[3], true)
	if !r.c.Done() {
		t.Error("not done")
	}
	r.want("output", r.out(), "1 HEADERS :status=200 end\n3 HEADERS :status=200 end")
}

// A client that does not answer is not waited for.
func TestServerLeavesASilentClient(t *testing.T) {
	r := greeted(t, false, h2.Config{AckTimeout: time.Second})
	r.c.Leave()
	r.out()
	if d := r.c.Deadline(); d != r.now+int64(time.Second) {
		t.Fatalf("deadline in %v", time.Duration(d-r.now))
	}
	r.now += int64(time.Second)
	r.feed(nil)
	r.want("final", r.out(), "GOAWAY 0 NO_ERROR ")
	if !r.c.Done() || r.c.Deadline() != 0 {
		t.Error("not done")
	}
}

func TestClientLeaves(t *testing.T) {
	r := greeted(t, true, h2.Config{})
	s := r.open("GET", true)
	r.out()
	r.c.Leave()
	r.want("output", r.out(), "GOAWAY 0 NO_ERROR ")
	if _, err := r.c.Open(&httpmsg.Request{}, true, &r.resp, &r.arena); err != h2.ErrLeaving || r.c.Capacity() != 0 {
		t.Errorf("%v, capacity %d", err, r.c.Capacity())
	}
	r.want("answer", r.feed(r.headers(s.ID(), true, ":status=200")), "1 response 200 body=1 length=0 end")
	if !r.c.Done() {
		t.Error("not done")
	}
}

// A server's two GOAWAY frames lose nothing that it will answer.
func TestClientIsLeft(t *testing.T) {
	r := greeted(t, true, h2.Config{})
	r.open("GET", true)
	r.open("GET", true)
	r.want("announced", r.feed(h2.AppendGoAway(nil, 1<<31-1, h2.NoError, "")), "goaway 2147483647 NO_ERROR")
	if r.c.Capacity() != 0 || r.c.Done() {
		t.Error("more could be opened, or nothing is open")
	}
	r.want("final", r.feed(h2.AppendGoAway(nil, 1, h2.NoError, "")), "goaway 1 NO_ERROR\n3 reset REFUSED_STREAM unprocessed")
	r.want("grown again", r.feed(h2.AppendGoAway(nil, 5, h2.NoError, "")), "goaway 1 NO_ERROR")
	r.feed(r.headers(1, true, ":status=200"))
	if !r.c.Done() {
		t.Error("not done")
	}
}

func TestCapacity(t *testing.T) {
	r := greeted(t, true, h2.Config{}, h2.Setting{ID: h2.SettingMaxConcurrentStreams, Value: 2})
	r.open("GET", true)
	r.open("GET", true)
	if _, err := r.c.Open(&httpmsg.Request{}, true, &r.resp, &r.arena); err != h2.ErrTooMany || r.c.Capacity() != 0 {
		t.Errorf("%v, capacity %d", err, r.c.Capacity())
	}
	r.feed(r.headers(1, true, ":status=200"))
	if r.c.Capacity() != 1 {
		t.Errorf("capacity %d", r.c.Capacity())
	}
	r.want("setting", r.feed(h2.AppendSettings(nil, h2.Setting{ID: h2.SettingMaxConcurrentStreams, Value: 0})), "settings")
	if r.c.Capacity() != 0 {
		t.Errorf("capacity %d", r.c.Capacity())
	}
}

func TestSettingsTimeout(t *testing.T) {
	r := newRig(t, false, h2.Config{AckTimeout: time.Second})
	r.feed(join([]byte(h2.Preface), h2.AppendSettings(nil)))
	r.now += int64(999 * time.Millisecond)
	r.want("in time", r.feed(nil), "")
	r.now += int64(time.Millisecond)
	r.want("late", r.feed(nil), "! SettingsTimeout")
}

func TestHeaderTimeout(t *testing.T) {
	r := greeted(t, false, h2.Config{HeaderTimeout: time.Second})
	r.feed(raw(h2.FrameHeaders, 1, 1, "\x82"))
	if d := r.c.Deadline(); d != r.now+int64(time.Second) {
		t.Fatalf("deadline in %v", time.Duration(d-r.now))
	}
	r.now += int64(500 * time.Millisecond)
	r.feed(raw(h2.FrameContinuation, 0, 1, "\x86"))
	r.now += int64(500 * time.Millisecond)
	r.want("a slow block", r.feed(raw(h2.FrameContinuation, 0, 1, "\x86")), "! HeaderTimeout")
}

func TestKeepAlive(t *testing.T) {
	r := greeted(t, false, h2.Config{KeepAlive: 10 * time.Second, KeepAliveTimeout: time.Second})
	step := func(d time.Duration, in []byte) string { r.now += int64(d); return r.feed(in) }
	if d := r.c.Deadline(); d != 0 {
		t.Fatalf("a deadline in %v without streams", time.Duration(d-r.now))
	}
	r.hold = true
	r.feed(r.get(1))
	if d := r.c.Deadline(); d != r.now+int64(10*time.Second) {
		t.Fatalf("deadline in %v", time.Duration(d-r.now))
	}
	step(9*time.Second, h2.AppendPing(nil, [8]byte{}, true))
	step(9*time.Second, nil)
	r.want("heard of lately", r.out(), "")
	step(time.Second, nil)
	r.want("silent", r.out(), "PING")
	step(time.Second/2, h2.AppendPing(nil, [8]byte{'a', 'l', 'i', 'v', 'e', '?'}, true))
	step(10*time.Second, nil)
	r.want("silent again", r.out(), "PING")
	r.want("gone", step(time.Second, nil), "! PingTimeout")
}

// A client that never opens a window must not hold a response for ever.
func TestStalledStream(t *testing.T) {
	for name, window := range map[string]uint32{"stream": 10, "connection": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			r := greeted(t, false, h2.Config{StallTimeout: 30 * time.Second}, h2.Setting{ID: h2.SettingInitialWindowSize, Value: window})
			r.feed(r.get(1))
			r.respond(r.by[1], false)
			s := r.by[1]
			left := 100000
			for {
				n, _ := r.c.SendData(s, body(left), true)
				left -= n
				r.out()
				if r.c.Writable() == nil {
					break
				}
			}
			start := r.now
			log := ""
			for log == "" && r.now < start+int64(time.Minute) {
				d := r.c.Deadline()
				if d <= r.now {
					t.Fatalf("deadline is %v ago", time.Duration(r.now-d))
				}
				r.now = d
				log = r.feed(nil)
			}
			r.want("events", log, "1 reset CANCEL for WindowStalled")
			r.want("output", r.out(), "1 RST CANCEL")
			if waited := time.Duration(r.now - start); waited < 30*time.Second || waited > 33*time.Second {
				t.Errorf("after %v", waited)
			}
		})
	}
}

// A client that gives up on a peer of which it has heard nothing since it asked.
func TestClientAsksWhetherThePeerIsThere(t *testing.T) {
	r := greeted(t, true, h2.Config{KeepAliveTimeout: time.Second})
	giveUp := func(heard []byte) string {
		s := r.open("GET", true)
		r.now += int64(time.Minute)
		r.feed(heard)
		r.out()
		r.now += int64(time.Minute)
		r.c.Release(s)
		if d := r.c.Deadline(); d != 0 && d <= r.now {
			r.feed(nil)
		}
		_, rest, _ := strings.Cut(r.out(), "CANCEL")
		return strings.TrimSpace(rest)
	}
	r.want("heard of", giveUp(h2.AppendPing(nil, [8]byte{}, true)), "")
	r.want("not heard of", giveUp(nil), "PING")
	r.now += int64(time.Second)
	r.want("gone", r.feed(nil), "! PingTimeout")
}

// A server to which nobody has said anything yet has nothing to wait for.
func TestServerLeavesBeforeThePreface(t *testing.T) {
	r := newRig(t, false, h2.Config{})
	r.out()
	r.c.Leave()
	r.want("final", r.out(), "GOAWAY 0 NO_ERROR ")
	if !r.c.Done() {
		t.Error("not done")
	}
}

// A peer that takes nothing is asked for no more.
func TestOpenWaitsForThePeerToRead(t *testing.T) {
	r := greeted(t, true, h2.Config{})
	req := &httpmsg.Request{Method: []byte("GET"), MethodID: httpmsg.MethodGet, Path: []byte("/"), Host: []byte("a")}
	req.Header.Add([]byte("x"), bytes.Repeat([]byte("x"), 10_000))
	for range 100 {
		s, err := r.c.Open(req, true, &r.resp, &r.arena)
		if err != nil {
			if err != h2.ErrTooMany || r.c.Pending() > 512<<10 {
				t.Errorf("%v with %d bytes waiting", err, r.c.Pending())
			}
			return
		}
		r.c.Release(s)
	}
	t.Errorf("%d bytes wait", r.c.Pending())
}

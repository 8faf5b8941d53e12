package h2_test

import (
	"bytes"
	"testing"
	"time"

	xhpack "golang.org/x/net/http2/hpack"

	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// exchanger serves requests that were prepared, on one connection.
type exchanger struct {
	c       *h2.Conn
	ev      h2.Event
	req     httpmsg.Request
	resp    httpmsg.Response
	content []byte
	// greeting is what the server sends first.
	greeting []byte
	fail     func(...any)
}

func newExchanger(fail func(...any)) *exchanger {
	x := &exchanger{c: h2.NewServer(h2.Config{}, int64(time.Hour)), content: body(1024), fail: fail}
	x.resp = httpmsg.Response{Status: 200, Body: httpmsg.BodyLength, Length: int64(len(x.content))}
	x.resp.Header.AddID(httpmsg.NameContentType, []byte("application/json"))
	x.resp.Header.AddID(httpmsg.NameServer, []byte("gridway"))
	x.resp.Header.AddID(httpmsg.NameDate, []byte("Fri, 20 Nov 2026 12:00:00 GMT"))
	x.ev.Request = &x.req
	out := x.answer(join([]byte(h2.Preface), h2.AppendSettings(nil, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 1 << 20}), h2.AppendSettingsAck(nil)))
	x.greeting = bytes.Clone(out.B)
	out.Release()
	return x
}

// feed answers each request that is complete, and throws the answers away.
func (x *exchanger) feed(in []byte) {
	if b := x.answer(in); b != nil {
		b.Release()
	}
}

// answer returns the answers.
func (x *exchanger) answer(in []byte) *bufpool.Buf {
	for {
		n, err := x.c.Next(in, int64(time.Hour), &x.ev)
		if err != nil {
			x.fail(err)
		}
		in = in[n:]
		s := x.ev.Stream
		switch x.ev.Kind {
		case h2.EventNone:
			return x.c.Take()
		case h2.EventData:
			x.c.Consume(s, len(x.ev.Data))
		}
		if !x.ev.End {
			continue
		}
		if err := x.c.SendResponse(s, &x.resp, false); err != nil {
			x.fail(err)
		}
		if n, err := x.c.SendData(s, x.content, true); err != nil || n != len(x.content) {
			x.fail(n, err)
		}
		x.c.Release(s)
	}
}

// requests are the bytes of n requests, as a client sends them one after the
// other, with windows that are opened for the answers.
func requests(n int, content []byte) (all [][]byte) {
	var buf bytes.Buffer
	enc := xhpack.NewEncoder(&buf)
	for i := range n {
		buf.Reset()
		for _, f := range [][2]string{
			{":method", "POST"},
			{":scheme", "https"},
			{":authority", "shop.example.com"},
			{":path", "/api/v1/items"},
			{"user-agent", "curl/8.5.0"},
			{"accept", "*/*"},
			{"content-type", "application/json"},
			{"authorization", "Bearer abcdefghijklmnopqrstuvwxyz0123456789"},
		} {
			enc.WriteField(xhpack.HeaderField{Name: f[0], Value: f[1], Sensitive: f[0] == "authorization"})
		}
		id := uint32(2*i + 1)
		frames := h2.EndHeaders(append(h2.BeginHeaders(nil), buf.Bytes()...), 0, id, len(content) == 0)
		if len(content) > 0 {
			frames = h2.AppendData(frames, id, content, true)
		}
		frames = h2.AppendWindowUpdate(frames, 0, 1024)
		frames = h2.AppendPing(frames, [8]byte{}, false)
		all = append(all, frames)
	}
	return all
}

func TestServerAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	for name, content := range map[string][]byte{"GET": nil, "POST": body(2000)} {
		x := newExchanger(t.Fatal)
		all := requests(600, content)
		i := 0
		step := func() { x.feed(all[i]); i++ }
		for range 400 { // until tables and windows have had their turn
			step()
		}
		if n := testing.AllocsPerRun(100, step); n != 0 {
			t.Errorf("%s: %v allocations per request", name, n)
		}
	}
}

func TestClientAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	c := h2.NewClient(h2.Config{}, int64(time.Hour))
	x := newExchanger(t.Fatal)
	var resp httpmsg.Response
	var arena httpmsg.Arena
	req := &httpmsg.Request{Method: []byte("POST"), MethodID: httpmsg.MethodPost, Host: []byte("a"), Path: []byte("/api"), Query: []byte("q=1"), HasQuery: true, Body: httpmsg.BodyLength, Length: 1024}
	req.Header.AddID(httpmsg.NameUserAgent, []byte("curl/8.5.0"))
	req.Header.AddID(httpmsg.NameAuthorization, []byte("Bearer x"))
	b := c.Take()
	x.feed(b.B[len(h2.Preface):])
	b.Release()
	var ev h2.Event
	receive := func(in []byte) (ended bool) {
		for {
			n, err := c.Next(in, int64(time.Hour), &ev)
			if err != nil {
				t.Fatal(err)
			}
			in = in[n:]
			if ev.Kind == h2.EventNone {
				return ended
			}
			if ev.Kind == h2.EventData {
				c.Consume(ev.Stream, len(ev.Data))
			}
			if ev.End {
				ended = true
				c.Release(ev.Stream)
			}
		}
	}
	receive(x.greeting)
	c.Take().Release()
	step := func() {
		arena.Reset()
		s, err := c.Open(req, false, &resp, &arena)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := c.SendData(s, x.content, true); n != len(x.content) || err != nil {
			t.Fatal(n, err)
		}
		out := c.Take()
		answer := x.answer(out.B)
		out.Release()
		if !receive(answer.B) {
			t.Fatal("no answer")
		}
		answer.Release()
	}
	for range 400 {
		step()
	}
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("%v allocations per request", n)
	}
}

package h2_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	xhpack "golang.org/x/net/http2/hpack"

	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// rig is a connection and the script that plays its peer.
type rig struct {
	t      *testing.T
	c      *h2.Conn
	client bool
	now    int64
	ev     h2.Event
	resp   httpmsg.Response
	arena  httpmsg.Arena
	by     map[uint32]*h2.Stream
	// hold: content is not consumed, and ended streams are not released.
	hold bool
	in   []byte
	err  error

	encBuf bytes.Buffer
	enc    *xhpack.Encoder
	dec    *xhpack.Decoder
}

func newRig(t *testing.T, client bool, cfg h2.Config) *rig {
	r := &rig{t: t, client: client, now: int64(time.Hour), by: map[uint32]*h2.Stream{}}
	r.enc = xhpack.NewEncoder(&r.encBuf)
	r.dec = xhpack.NewDecoder(4096, nil)
	if client {
		r.c = h2.NewClient(cfg, r.now)
	} else {
		r.c = h2.NewServer(cfg, r.now)
	}
	return r
}

// greeted is a rig whose SETTINGS were exchanged.
func greeted(t *testing.T, client bool, cfg h2.Config, settings ...h2.Setting) *rig {
	r := newRig(t, client, cfg)
	var in []byte
	if !client {
		in = append(in, h2.Preface...)
	}
	in = h2.AppendSettings(in, settings...)
	in = h2.AppendSettingsAck(in)
	r.feed(in)
	if r.err != nil {
		t.Fatal(r.err)
	}
	r.out()
	return r
}

// feed gives bytes to the connection and returns what happened.
func (r *rig) feed(in []byte) string {
	r.t.Helper()
	r.in = append(r.in, in...)
	var log []string
	for r.err == nil {
		var n int
		before := len(r.in)
		n, r.err = r.c.Next(r.in, r.now, &r.ev)
		if r.err == nil && r.ev.Kind != h2.EventNone {
			log = append(log, r.describe())
		}
		r.in = r.in[n:]
		if r.err == nil && r.ev.Kind == h2.EventNone {
			if n < before && len(r.in) > 0 && len(r.in) >= r.c.Need() {
				r.t.Fatalf("%d bytes are left, %d needed", len(r.in), r.c.Need())
			}
			break
		}
	}
	if r.err != nil {
		log = append(log, "! "+reasonOf(r.err))
	}
	return strings.Join(log, "\n")
}

func (r *rig) describe() string {
	ev, s := &r.ev, r.ev.Stream
	var b strings.Builder
	if s != nil {
		r.by[s.ID()] = s
		fmt.Fprintf(&b, "%d ", s.ID())
	}
	switch ev.Kind {
	case h2.EventRequest:
		q := ev.Request
		fmt.Fprintf(&b, "request %s %s %s", q.Method, q.Host, q.AppendPathAndQuery(nil))
		if len(q.Upgrade) > 0 {
			fmt.Fprintf(&b, " protocol=%s", q.Upgrade)
		}
		if q.Body != httpmsg.BodyNone {
			fmt.Fprintf(&b, " length=%d", q.Length)
		}
		b.WriteString(fieldsText(&q.Header))
		if ev.Refuse != nil {
			fmt.Fprintf(&b, " refuse %d %s", ev.Refuse.Status, ev.Refuse.Reason)
		}
		ev.Request = new(httpmsg.Request)
	case h2.EventResponse, h2.EventInterim:
		fmt.Fprintf(&b, "response %d body=%d length=%d%s", r.resp.Status, r.resp.Body, r.resp.Length, fieldsText(&r.resp.Header))
	case h2.EventData:
		fmt.Fprintf(&b, "data %q", ev.Data)
		if len(ev.Data) > 40 {
			b.Reset()
			fmt.Fprintf(&b, "%d data of %d", s.ID(), len(ev.Data))
		}
		if !r.hold {
			r.c.Consume(s, len(ev.Data))
		}
	case h2.EventTrailer:
		b.WriteString("trailer" + fieldsText(ev.Trailer))
	case h2.EventReset:
		fmt.Fprintf(&b, "reset %s", ev.Code)
		if ev.Err != nil {
			fmt.Fprintf(&b, " for %s", ev.Err.Reason)
		}
		if ev.Unprocessed {
			b.WriteString(" unprocessed")
		}
		if !r.hold {
			r.c.Release(s)
		}
	case h2.EventGoAway:
		fmt.Fprintf(&b, "goaway %d %s", ev.LastStream, ev.Code)
	case h2.EventSettings:
		b.WriteString("settings")
	case h2.EventPong:
		b.WriteString("pong")
	}
	if ev.End && ev.Kind != h2.EventReset {
		b.WriteString(" end")
	}
	return b.String()
}

func fieldsText(h *httpmsg.Header) string {
	var b strings.Builder
	for i := range h.Len() {
		f := h.At(i)
		fmt.Fprintf(&b, " %s=%s", f.Name, f.Value)
	}
	return b.String()
}

// out takes the output and describes its frames.
func (r *rig) out() string {
	r.t.Helper()
	buf := r.c.Take()
	if buf == nil {
		return ""
	}
	defer buf.Release()
	b := buf.B
	if r.client && bytes.HasPrefix(b, []byte(h2.Preface)) {
		b = b[len(h2.Preface):]
	}
	fr := http2.NewFramer(nil, bytes.NewReader(b))
	fr.ReadMetaHeaders = r.dec
	var log []string
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			if err.Error() != "EOF" {
				r.t.Fatal(err)
			}
			return strings.Join(log, "\n")
		}
		log = append(log, frameText(f))
	}
}

func frameText(f http2.Frame) string {
	id := f.Header().StreamID
	end := ""
	if f.Header().Flags.Has(http2.FlagDataEndStream) {
		end = " end"
	}
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		s := fmt.Sprintf("%d HEADERS", id)
		for _, h := range f.Fields {
			s += " " + h.Name + "=" + h.Value
		}
		return s + end
	case *http2.DataFrame:
		if len(f.Data()) > 40 {
			return fmt.Sprintf("%d DATA of %d%s", id, len(f.Data()), end)
		}
		return fmt.Sprintf("%d DATA %q%s", id, f.Data(), end)
	case *http2.RSTStreamFrame:
		return fmt.Sprintf("%d RST %s", id, h2.ErrCode(f.ErrCode))
	case *http2.GoAwayFrame:
		return fmt.Sprintf("GOAWAY %d %s %s", f.LastStreamID, h2.ErrCode(f.ErrCode), f.DebugData())
	case *http2.WindowUpdateFrame:
		return fmt.Sprintf("%d WINDOW %d", id, f.Increment)
	case *http2.SettingsFrame:
		if f.IsAck() {
			return "SETTINGS ack"
		}
		s := "SETTINGS"
		for i := range f.NumSettings() {
			s += fmt.Sprintf(" %d=%d", f.Setting(i).ID, f.Setting(i).Val)
		}
		return s
	case *http2.PingFrame:
		if f.IsAck() {
			return fmt.Sprintf("PING ack %x", f.Data)
		}
		return "PING"
	}
	return fmt.Sprintf("%T", f)
}

// reasonOf is the reason of the connection's error.
func reasonOf(err error) string {
	var e *h2.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return "?"
}

// block encodes "name=value" fields.
func (r *rig) block(fields ...string) []byte {
	r.encBuf.Reset()
	for _, f := range fields {
		i := strings.IndexByte(f[1:], '=') + 1
		if err := r.enc.WriteField(xhpack.HeaderField{Name: f[:i], Value: f[i+1:]}); err != nil {
			r.t.Fatal(err)
		}
	}
	return bytes.Clone(r.encBuf.Bytes())
}

func (r *rig) headers(id uint32, end bool, fields ...string) []byte {
	return h2.EndHeaders(append(h2.BeginHeaders(nil), r.block(fields...)...), 0, id, end)
}

// get is a plain request's head.
func (r *rig) get(id uint32) []byte {
	return r.headers(id, true, ":method=GET", ":scheme=http", ":path=/", ":authority=a")
}

func (r *rig) post(id uint32, more ...string) []byte {
	return r.headers(id, false, append([]string{":method=POST", ":scheme=http", ":path=/", ":authority=a"}, more...)...)
}

// raw makes any frame.
func raw(typ h2.FrameType, flags h2.Flags, id uint32, payload string) []byte {
	b := h2.AppendFrameHeader(nil, h2.FrameHeader{Length: uint32(len(payload)), Type: typ, Flags: flags, StreamID: id})
	return append(b, payload...)
}

func join(frames ...[]byte) []byte { return bytes.Join(frames, nil) }

func (r *rig) want(what, got, want string) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("%s:\n%s\nwant\n%s", what, got, want)
	}
}

// open makes a request of a client's rig.
func (r *rig) open(method string, end bool) *h2.Stream {
	r.t.Helper()
	q := &httpmsg.Request{Method: []byte(method), MethodID: httpmsg.LookupMethod([]byte(method)), Host: []byte("a"), Path: []byte("/"), Body: httpmsg.BodyChunked, Length: -1}
	if end {
		q.Body, q.Length = httpmsg.BodyNone, 0
	}
	s, err := r.c.Open(q, end, &r.resp, &r.arena)
	if err != nil {
		r.t.Fatal(err)
	}
	r.by[s.ID()] = s
	return s
}

func (r *rig) respond(s *h2.Stream, end bool) {
	r.t.Helper()
	resp := &httpmsg.Response{Status: 200, Body: httpmsg.BodyChunked, Length: -1}
	if err := r.c.SendResponse(s, resp, end); err != nil {
		r.t.Fatal(err)
	}
}

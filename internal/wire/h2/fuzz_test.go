package h2_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// FuzzFrames: the parsers of payloads say of any frame what x/net says.
func FuzzFrames(f *testing.F) {
	for _, frame := range writtenFrames() {
		h := h2.ParseFrameHeader(frame)
		f.Add(uint8(h.Type), uint8(h.Flags), h.StreamID, frame[h2.FrameHeaderLen:])
	}
	f.Fuzz(func(t *testing.T, typ, flags uint8, id uint32, p []byte) {
		if len(p) > 1<<14 || h2.FrameType(typ) == h2.FrameContinuation && id&(1<<31-1) == 0 {
			return
		}
		frame := append(h2.AppendFrameHeader(nil, h2.FrameHeader{Length: uint32(len(p)), Type: h2.FrameType(typ), Flags: h2.Flags(flags), StreamID: id & (1<<31 - 1)}), p...)
		if own, oracle := describeOwn(frame), describeOracle(frame); own != oracle {
			t.Fatalf("%x: %s, want %s", frame, own, oracle)
		}
	})
}

// FuzzServer: whatever comes, at once or in pieces, the connection does the same,
// its books stay in order, and its output can be read.
func FuzzServer(f *testing.F) { fuzzConn(f, false) }

// FuzzClient: as FuzzServer.
func FuzzClient(f *testing.F) { fuzzConn(f, true) }

func fuzzConn(f *testing.F, client bool) {
	seed := newRig(&testing.T{}, false, h2.Config{})
	if client {
		for _, c := range clientCases {
			if c.name != "late answer" {
				f.Add(c.in(seed), uint8(7))
			}
		}
	} else {
		for _, c := range serverCases {
			f.Add(c.in(newRig(&testing.T{}, false, h2.Config{})), uint8(7))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		once := fuzzRun(t, client, in, len(in)+1)
		if pieces := fuzzRun(t, client, in, int(step)+1); once.reason != pieces.reason || !bytes.Equal(once.content, pieces.content) || once.messages != pieces.messages {
			t.Fatalf("%x: at once %+v, in pieces of %d: %+v", in, once, step+1, pieces)
		}
	})
}

type fuzzResult struct {
	reason   string
	content  []byte
	messages int
}

// fuzzRun feeds in by steps to a connection whose driver does a bit of everything.
func fuzzRun(t *testing.T, client bool, in []byte, step int) (result fuzzResult) {
	r := newRig(t, client, h2.Config{MaxStreams: 5, StreamWindow: 30000, ExtendedConnect: true})
	if client {
		r.feed(h2.AppendSettingsAck(h2.AppendSettings(nil)))
		r.open("POST", false)
		r.open("GET", true)
		r.open("HEAD", true)
	} else {
		r.feed(h2.AppendSettingsAck(h2.AppendSettings([]byte(h2.Preface))))
	}
	r.out()
	live := map[*h2.Stream]bool{}
	var buf []byte
	unread := map[*h2.Stream]int{}
	for len(in) > 0 || len(buf) == 0 {
		n := min(step, len(in))
		buf = append(buf, in[:n]...)
		in = in[n:]
		for {
			used, err := r.c.Next(buf, r.now, &r.ev)
			buf = buf[used:]
			if err != nil {
				result.reason = reasonOf(err)
				r.out()
				return result
			}
			ev := &r.ev
			if ev.Kind == h2.EventNone {
				break
			}
			s := ev.Stream
			switch ev.Kind {
			case h2.EventRequest:
				result.messages++
				live[s] = true
				checkDecoded(t, ev.Request, ev.Refuse)
				ev.Request = new(httpmsg.Request)
				r.respond(s, false)
				r.c.SendData(s, []byte("answer"), false)
			case h2.EventResponse, h2.EventInterim, h2.EventTrailer:
				result.messages++
			case h2.EventData:
				result.content = append(result.content, ev.Data...)
				unread[s] += len(ev.Data)
				r.c.Consume(s, unread[s]/2)
				unread[s] -= unread[s] / 2
			}
			if s != nil && s.Unread() > 65535 {
				t.Fatalf("stream %d holds %d bytes", s.ID(), s.Unread())
			}
			if ev.End && s != nil && !client {
				r.c.SendTrailer(s, nil)
				if s.Closed() && live[s] {
					delete(live, s)
					r.c.Release(s)
				}
			}
			for w := r.c.Writable(); w != nil; w = r.c.Writable() {
				r.c.SendData(w, []byte("more"), false)
			}
		}
		r.out()
		if r.c.Pending() != 0 || r.c.Streams() > 5 {
			t.Fatalf("%d bytes wait, %d streams are open", r.c.Pending(), r.c.Streams())
		}
		if len(in) == 0 {
			break
		}
	}
	r.now += int64(time.Hour)
	r.c.Close(h2.NoError)
	r.out()
	return result
}

// checkDecoded checks what others rely on in a request that was accepted.
func checkDecoded(t *testing.T, r *httpmsg.Request, refused *h2.Error) {
	if refused != nil {
		if refused.Status < 400 || len(r.Path) == 0 {
			t.Fatalf("refused with %d, path %q", refused.Status, r.Path)
		}
		return
	}
	switch {
	case len(r.Method) == 0, len(r.Path) == 0 || r.Path[0] != '/' && string(r.Path) != "*",
		bytes.ContainsAny(r.Path, " ?#\r\n\x00"), bytes.ContainsAny(r.Query, " #\r\n\x00"),
		len(r.Host) == 0 || bytes.ContainsAny(r.Host, " /@,\r\n\x00ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
		r.Version != httpmsg.HTTP2, r.Body == httpmsg.BodyUntilClose, r.Body == httpmsg.BodyLength && r.Length < 0,
		r.Header.Has(httpmsg.NameHost), r.Header.Has(httpmsg.NameConnection), r.Header.Has(httpmsg.NameTransferEncoding),
		r.Header.Count(httpmsg.NameContentLength) > 1, r.Header.Count(httpmsg.NameCookie) > 1:
		t.Fatalf("accepted: %+v", r)
	}
	for i := range r.Header.Len() {
		f := r.Header.At(i)
		if len(f.Name) == 0 || f.Name[0] == ':' || bytes.ContainsAny(f.Name, " \r\n\t\x00ABCDEFGHIJKLMNOPQRSTUVWXYZ") ||
			bytes.ContainsAny(f.Value, "\r\n\x00") || f.ID != httpmsg.LookupName(f.Name) {
			t.Fatalf("accepted field %q: %q", f.Name, f.Value)
		}
	}
}

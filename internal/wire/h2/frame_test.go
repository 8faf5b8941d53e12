package h2_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/net/http2"

	"github.com/gridway/gridway/internal/wire/h2"
)

// describeOwn parses one complete frame with the parsers of this package.
func describeOwn(frame []byte) string {
	h := h2.ParseFrameHeader(frame)
	p := frame[h2.FrameHeaderLen:]
	text := func(e *h2.Error, format string, args ...any) string {
		if e != nil {
			return "error"
		}
		return fmt.Sprintf("%d %d ", h.Type, h.StreamID) + fmt.Sprintf(format, args...)
	}
	switch h.Type {
	case h2.FrameData:
		data, e := h2.ParseData(h, p)
		return text(e, "%x %v", data, h.Flags.Has(h2.FlagEndStream))
	case h2.FrameHeaders:
		fragment, prio, e := h2.ParseHeaders(h, p)
		return text(e, "%x %v %v %v", fragment, prio, h.Flags.Has(h2.FlagEndStream), h.Flags.Has(h2.FlagEndHeaders))
	case h2.FramePriority:
		prio, e := h2.ParsePriority(h, p)
		return text(e, "%v", prio)
	case h2.FrameRSTStream:
		code, e := h2.ParseRSTStream(h, p)
		return text(e, "%d", code)
	case h2.FrameSettings:
		e := h2.CheckSettings(h, p)
		s, window := fmt.Sprint(h.Flags.Has(h2.FlagAck)), false
		for e == nil && len(p) > 0 {
			var id h2.SettingID
			var v uint32
			id, v, p = h2.NextSetting(p)
			if id == h2.SettingInitialWindowSize && !window {
				if window = true; v > 1<<31-1 {
					return "error" // x/net looks at the first one here, this package at each when it applies
				}
			}
			s += fmt.Sprint(" ", uint16(id), "=", v)
		}
		return text(e, "%s", s)
	case h2.FramePushPromise:
		id, fragment, e := h2.ParsePushPromise(h, p)
		return text(e, "%d %x %v", id, fragment, h.Flags.Has(h2.FlagEndHeaders))
	case h2.FramePing:
		data, e := h2.ParsePing(h, p)
		return text(e, "%x %v", data, h.Flags.Has(h2.FlagAck))
	case h2.FrameGoAway:
		last, code, debug, e := h2.ParseGoAway(h, p)
		return text(e, "%d %d %x", last, code, debug)
	case h2.FrameWindowUpdate:
		n, e := h2.ParseWindowUpdate(h, p)
		if n == 0 {
			return "error"
		}
		return text(e, "%d", n)
	case h2.FramePriorityUpdate:
		id, field, e := h2.ParsePriorityUpdate(h, p)
		return text(e, "%d %s", id, field)
	}
	return text(nil, "%x", p)
}

// describeOracle does the same with the framer of x/net.
func describeOracle(frame []byte) string {
	fr := http2.NewFramer(nil, bytes.NewReader(frame))
	fr.AllowIllegalReads = true
	f, err := fr.ReadFrame()
	if err != nil {
		return "error"
	}
	h := f.Header()
	head := fmt.Sprintf("%d %d ", h.Type, h.StreamID)
	switch f := f.(type) {
	case *http2.DataFrame:
		return head + fmt.Sprintf("%x %v", f.Data(), f.StreamEnded())
	case *http2.HeadersFrame:
		prio := h2.PriorityParam{StreamDep: f.Priority.StreamDep, Exclusive: f.Priority.Exclusive, Weight: f.Priority.Weight}
		return head + fmt.Sprintf("%x %v %v %v", f.HeaderBlockFragment(), prio, f.StreamEnded(), f.HeadersEnded())
	case *http2.PriorityFrame:
		return head + fmt.Sprintf("%v", h2.PriorityParam{StreamDep: f.StreamDep, Exclusive: f.Exclusive, Weight: f.Weight})
	case *http2.RSTStreamFrame:
		return head + fmt.Sprint(uint32(f.ErrCode))
	case *http2.SettingsFrame:
		s := fmt.Sprint(f.IsAck())
		for i := range f.NumSettings() {
			s += fmt.Sprint(" ", uint16(f.Setting(i).ID), "=", f.Setting(i).Val)
		}
		return head + s
	case *http2.PushPromiseFrame:
		return head + fmt.Sprintf("%d %x %v", f.PromiseID, f.HeaderBlockFragment(), f.HeadersEnded())
	case *http2.PingFrame:
		return head + fmt.Sprintf("%x %v", f.Data, f.IsAck())
	case *http2.GoAwayFrame:
		return head + fmt.Sprintf("%d %d %x", f.LastStreamID, uint32(f.ErrCode), f.DebugData())
	case *http2.WindowUpdateFrame:
		return head + fmt.Sprint(f.Increment)
	case *http2.PriorityUpdateFrame:
		return head + fmt.Sprintf("%d %s", f.PrioritizedStreamID, f.Priority)
	case *http2.ContinuationFrame:
		return head + fmt.Sprintf("%x", f.HeaderBlockFragment())
	case *http2.UnknownFrame:
		return head + fmt.Sprintf("%x", f.Payload())
	}
	return fmt.Sprintf("%T", f)
}

// One frame of each type, written here.
func writtenFrames() [][]byte {
	return [][]byte{
		h2.AppendData(nil, 3, []byte("hello"), true),
		h2.AppendData(nil, 1, nil, false),
		h2.EndHeaders(append(h2.BeginHeaders(nil), 0x82, 0x86), 0, 5, true),
		h2.EndHeaders(append(h2.BeginHeaders(nil), 0x82, 0x86), 0, 5, false),
		h2.AppendPriority(nil, 7, h2.PriorityParam{StreamDep: 3, Exclusive: true, Weight: 15}),
		h2.AppendRSTStream(nil, 1, h2.Cancel),
		h2.AppendSettings(nil, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 1 << 20}, h2.Setting{ID: h2.SettingEnableConnectProtocol, Value: 1}),
		h2.AppendSettings(nil),
		h2.AppendSettingsAck(nil),
		h2.AppendPing(nil, [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, false),
		h2.AppendPing(nil, [8]byte{8}, true),
		h2.AppendGoAway(nil, 9, h2.EnhanceYourCalm, "calm"),
		h2.AppendWindowUpdate(nil, 0, 1<<31-1),
		h2.AppendWindowUpdate(nil, 3, 1),
		h2.AppendPriorityUpdate(nil, 3, "u=1, i"),
	}
}

func TestWrittenFramesAgainstOracle(t *testing.T) {
	for _, f := range writtenFrames() {
		if h := h2.ParseFrameHeader(f); int(h.Length) != len(f)-h2.FrameHeaderLen {
			t.Errorf("%x: length %d", f, h.Length)
		}
		own, oracle := describeOwn(f), describeOracle(f)
		if own != oracle || own == "error" {
			t.Errorf("%x: %s, want %s", f, own, oracle)
		}
	}
}

// Whatever a frame of a known type has in it, both parsers say the same of it.
func TestFramesAgainstOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	good := 0
	for range 100000 {
		p := make([]byte, r.IntN(20))
		for i := range p {
			if p[i] = byte(r.IntN(256)); r.IntN(2) == 0 {
				p[i] = byte(r.IntN(4))
			}
		}
		typ := h2.FrameType(r.IntN(11))
		if typ == 10 {
			typ = h2.FramePriorityUpdate
		}
		h := h2.FrameHeader{Length: uint32(len(p)), Type: typ, Flags: h2.Flags(r.IntN(256)), StreamID: uint32(r.IntN(3))}
		if h.Type == h2.FrameContinuation && h.StreamID == 0 {
			continue // for the connection to refuse
		}
		frame := append(h2.AppendFrameHeader(nil, h), p...)
		own, oracle := describeOwn(frame), describeOracle(frame)
		if own != oracle {
			t.Fatalf("%+v %x: %s, want %s", h, p, own, oracle)
		}
		if own != "error" {
			good++
		}
	}
	if good < 20000 {
		t.Errorf("only %d frames were valid", good)
	}
}

// A block of any length arrives whole, in frames that nobody may refuse.
func TestHeadersAreSplit(t *testing.T) {
	for _, size := range []int{0, 1, 16383, 16384, 16385, 2*16384 - 1, 2 * 16384, 2*16384 + 1, 5*16384 + 7} {
		block := make([]byte, size)
		for i := range block {
			block[i] = byte(i ^ i>>8)
		}
		out := []byte("before")
		start := len(out)
		out = h2.EndHeaders(append(h2.BeginHeaders(out), block...), start, 1, true)
		if string(out[:start]) != "before" {
			t.Fatal("what stood before was changed")
		}
		fr := http2.NewFramer(nil, bytes.NewReader(out[start:]))
		var got []byte
		for i := 0; ; i++ {
			f, err := fr.ReadFrame()
			if err != nil {
				t.Fatalf("size %d: %v", size, err)
			}
			end := false
			switch f := f.(type) {
			case *http2.HeadersFrame:
				got, end = append(got, f.HeaderBlockFragment()...), f.HeadersEnded()
				if !f.StreamEnded() {
					t.Error("END_STREAM is lost")
				}
			case *http2.ContinuationFrame:
				got, end = append(got, f.HeaderBlockFragment()...), f.HeadersEnded()
			}
			if end {
				break
			}
		}
		if !bytes.Equal(got, block) {
			t.Errorf("size %d: %d bytes arrived, or others", size, len(got))
		}
	}
}

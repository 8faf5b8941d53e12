package h2_test

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/wire/h2"
)

// What a client sends after SETTINGS were exchanged, and what comes of it: what
// the driver hears, and what goes back. Each case is one rule of the RFC.
var serverCases = []struct {
	name string
	in   func(r *rig) []byte
	want string
	out  string
}{
	// RFC 9113 §4
	{"4.1 unknown type is ignored", func(r *rig) []byte { return join(raw(0x42, 0xff, 5, "xyz"), r.get(1)) }, "1 request GET a / end", ""},
	{"4.1 reserved bit is ignored", func(r *rig) []byte { f := r.get(1); f[5] |= 0x80; return f }, "1 request GET a / end", ""},
	{"4.2 frame too long", func(r *rig) []byte {
		return h2.AppendFrameHeader(nil, h2.FrameHeader{Length: 16385, Type: h2.FrameData, StreamID: 1})
	}, "! InvalidFrameSize", "GOAWAY 0 FRAME_SIZE_ERROR InvalidFrameSize"},
	{"4.3 block that cannot be decoded", func(r *rig) []byte { return raw(h2.FrameHeaders, 5, 1, "\x80") }, "! InvalidHeaderBlock", "GOAWAY 1 COMPRESSION_ERROR InvalidHeaderBlock"},

	// §5.1 states
	{"5.1 idle: DATA", func(r *rig) []byte { return h2.AppendData(nil, 1, nil, true) }, "! IdleStream", "GOAWAY 0 PROTOCOL_ERROR IdleStream"},
	{"5.1 idle: RST_STREAM", func(r *rig) []byte { return h2.AppendRSTStream(nil, 1, 0) }, "! IdleStream", "GOAWAY 0 PROTOCOL_ERROR IdleStream"},
	{"5.1 idle: WINDOW_UPDATE", func(r *rig) []byte { return h2.AppendWindowUpdate(nil, 1, 1) }, "! IdleStream", "GOAWAY 0 PROTOCOL_ERROR IdleStream"},
	{"5.1 idle: PRIORITY", func(r *rig) []byte { return h2.AppendPriority(nil, 1, h2.PriorityParam{}) }, "", ""},
	{"5.1 half-closed: DATA", func(r *rig) []byte { return join(r.get(1), h2.AppendData(nil, 1, []byte("x"), true)) }, "1 request GET a / end\n1 reset STREAM_CLOSED for ClosedStream", "1 RST STREAM_CLOSED"},
	{"5.1 half-closed: HEADERS", func(r *rig) []byte { return join(r.get(1), r.get(1)) }, "1 request GET a / end\n1 reset STREAM_CLOSED for ClosedStream", "1 RST STREAM_CLOSED"},
	{"5.1 half-closed: WINDOW_UPDATE", func(r *rig) []byte { return join(r.get(1), h2.AppendWindowUpdate(nil, 1, 9)) }, "1 request GET a / end", ""},
	{"5.1 reset: DATA", func(r *rig) []byte {
		return join(r.post(1), h2.AppendRSTStream(nil, 1, h2.Cancel), h2.AppendData(nil, 1, []byte("x"), true))
	}, "1 request POST a / length=-1\n1 reset CANCEL", "1 RST STREAM_CLOSED"},
	{"5.1 reset: HEADERS", func(r *rig) []byte { return join(r.post(1), h2.AppendRSTStream(nil, 1, h2.Cancel), r.get(1)) }, "1 request POST a / length=-1\n1 reset CANCEL\n! ClosedStream", "GOAWAY 1 STREAM_CLOSED ClosedStream"},
	{"5.1 reset from here: late frames", func(r *rig) []byte {
		return join(r.post(1, "bad name=x"), h2.AppendData(nil, 1, []byte("x"), false), r.headers(1, true, "x=y"), h2.AppendWindowUpdate(nil, 1, 5), h2.AppendRSTStream(nil, 1, 0))
	}, "", "1 RST PROTOCOL_ERROR"},
	{"5.1.1 even number", func(r *rig) []byte { return r.get(2) }, "! InvalidStreamID", "GOAWAY 0 PROTOCOL_ERROR InvalidStreamID"},
	{"5.1.1 number passed over", func(r *rig) []byte { return join(r.get(5), r.get(3)) }, "5 request GET a / end\n! InvalidStreamID", "GOAWAY 5 PROTOCOL_ERROR InvalidStreamID"},
	{"5.3.1 depends on itself", func(r *rig) []byte { return h2.AppendPriority(r.get(1), 1, h2.PriorityParam{StreamDep: 1}) }, "1 request GET a / end\n1 reset PROTOCOL_ERROR for SelfDependency", "1 RST PROTOCOL_ERROR"},

	// §6
	{"6.1 on stream 0", func(r *rig) []byte { return h2.AppendData(nil, 0, nil, true) }, "! MissingStreamID", "GOAWAY 0 PROTOCOL_ERROR MissingStreamID"},
	{"6.1 padding", func(r *rig) []byte { return join(r.post(1), raw(h2.FrameData, 9, 1, "\x03hello\x00\x00\x00")) }, "1 request POST a / length=-1\n1 data \"hello\" end", ""},
	{"6.1 only padding", func(r *rig) []byte {
		return join(r.post(1), raw(h2.FrameData, 8, 1, "\x01\x00"), h2.AppendData(nil, 1, nil, true))
	}, "1 request POST a / length=-1\n1 data \"\" end", ""},
	{"6.1 padding too long", func(r *rig) []byte { return join(r.post(1), raw(h2.FrameData, 9, 1, "\x06hello")) }, "1 request POST a / length=-1\n! InvalidPadding", "GOAWAY 1 PROTOCOL_ERROR InvalidPadding"},
	{"6.2 on stream 0", func(r *rig) []byte { return r.get(0) }, "! MissingStreamID", "GOAWAY 0 PROTOCOL_ERROR MissingStreamID"},
	{"6.2 padding too long", func(r *rig) []byte { return raw(h2.FrameHeaders, 0xd, 1, "\x02\x82") }, "! InvalidPadding", "GOAWAY 0 PROTOCOL_ERROR InvalidPadding"},
	{"6.2 interrupted", func(r *rig) []byte {
		return join(raw(h2.FrameHeaders, 1, 1, "\x82"), h2.AppendPing(nil, [8]byte{}, false))
	}, "! InterruptedHeaders", "GOAWAY 0 PROTOCOL_ERROR InterruptedHeaders"},
	{"6.3 on stream 0", func(r *rig) []byte { return h2.AppendPriority(nil, 0, h2.PriorityParam{}) }, "! MissingStreamID", "GOAWAY 0 PROTOCOL_ERROR MissingStreamID"},
	{"6.3 length", func(r *rig) []byte { return join(r.get(1), raw(h2.FramePriority, 0, 1, "1234")) }, "1 request GET a / end\n1 reset FRAME_SIZE_ERROR for InvalidFrameSize", "1 RST FRAME_SIZE_ERROR"},
	{"6.4 on stream 0", func(r *rig) []byte { return h2.AppendRSTStream(nil, 0, 0) }, "! MissingStreamID", "GOAWAY 0 PROTOCOL_ERROR MissingStreamID"},
	{"6.4 length", func(r *rig) []byte { return join(r.get(1), raw(h2.FrameRSTStream, 0, 1, "123")) }, "1 request GET a / end\n! InvalidFrameSize", "GOAWAY 1 FRAME_SIZE_ERROR InvalidFrameSize"},
	{"6.5 on a stream", func(r *rig) []byte { return raw(h2.FrameSettings, 0, 1, "") }, "! UnexpectedStreamID", "GOAWAY 0 PROTOCOL_ERROR UnexpectedStreamID"},
	{"6.5 length", func(r *rig) []byte { return raw(h2.FrameSettings, 0, 0, "12345") }, "! InvalidFrameSize", "GOAWAY 0 FRAME_SIZE_ERROR InvalidFrameSize"},
	{"6.5 ack with settings", func(r *rig) []byte { return raw(h2.FrameSettings, 1, 0, "123456") }, "! InvalidFrameSize", "GOAWAY 0 FRAME_SIZE_ERROR InvalidFrameSize"},
	{"6.5 ack that was not asked for", func(r *rig) []byte { return h2.AppendSettingsAck(nil) }, "! UnexpectedSettingsAck", "GOAWAY 0 PROTOCOL_ERROR UnexpectedSettingsAck"},
	{"6.5.2 push is neither 0 nor 1", func(r *rig) []byte { return h2.AppendSettings(nil, h2.Setting{ID: 2, Value: 2}) }, "! InvalidSetting", "GOAWAY 0 PROTOCOL_ERROR InvalidSetting"},
	{"6.5.2 window too large", func(r *rig) []byte { return h2.AppendSettings(nil, h2.Setting{ID: 4, Value: 1 << 31}) }, "! InvalidWindowSetting", "GOAWAY 0 FLOW_CONTROL_ERROR InvalidWindowSetting"},
	{"6.5.2 frame too short", func(r *rig) []byte { return h2.AppendSettings(nil, h2.Setting{ID: 5, Value: 16383}) }, "! InvalidSetting", "GOAWAY 0 PROTOCOL_ERROR InvalidSetting"},
	{"6.5.2 frame too long", func(r *rig) []byte { return h2.AppendSettings(nil, h2.Setting{ID: 5, Value: 1 << 24}) }, "! InvalidSetting", "GOAWAY 0 PROTOCOL_ERROR InvalidSetting"},
	{"6.5.2 unknown setting", func(r *rig) []byte { return h2.AppendSettings(nil, h2.Setting{ID: 0xff, Value: 1}) }, "", "SETTINGS ack"},
	{"8441 §3 taken back", func(r *rig) []byte {
		return join(h2.AppendSettings(nil, h2.Setting{ID: 8, Value: 1}), h2.AppendSettings(nil, h2.Setting{ID: 8, Value: 0}))
	}, "settings\n! InvalidSetting", "SETTINGS ack\nGOAWAY 0 PROTOCOL_ERROR InvalidSetting"},
	{"9218 §2.1 changed", func(r *rig) []byte { return h2.AppendSettings(nil, h2.Setting{ID: 9, Value: 1}) }, "! InvalidSetting", "GOAWAY 0 PROTOCOL_ERROR InvalidSetting"},
	{"6.6 push from a client", func(r *rig) []byte { return raw(h2.FramePushPromise, 4, 1, "\x00\x00\x00\x02\x82") }, "! UnexpectedPush", "GOAWAY 0 PROTOCOL_ERROR UnexpectedPush"},
	{"6.7 answered", func(r *rig) []byte { return h2.AppendPing(nil, [8]byte{1, 2, 3}, false) }, "", "PING ack 0102030000000000"},
	{"6.7 answer that was not asked for", func(r *rig) []byte { return h2.AppendPing(nil, [8]byte{1}, true) }, "pong", ""},
	{"6.7 on a stream", func(r *rig) []byte { return raw(h2.FramePing, 0, 1, "12345678") }, "! UnexpectedStreamID", "GOAWAY 0 PROTOCOL_ERROR UnexpectedStreamID"},
	{"6.7 length", func(r *rig) []byte { return raw(h2.FramePing, 0, 0, "1234567") }, "! InvalidFrameSize", "GOAWAY 0 FRAME_SIZE_ERROR InvalidFrameSize"},
	{"6.8 on a stream", func(r *rig) []byte { return raw(h2.FrameGoAway, 0, 1, "12345678") }, "! UnexpectedStreamID", "GOAWAY 0 PROTOCOL_ERROR UnexpectedStreamID"},
	{"6.8 length", func(r *rig) []byte { return raw(h2.FrameGoAway, 0, 0, "1234567") }, "! InvalidFrameSize", "GOAWAY 0 FRAME_SIZE_ERROR InvalidFrameSize"},
	{"6.9 by nothing", func(r *rig) []byte { return h2.AppendWindowUpdate(nil, 0, 0) }, "! ZeroWindowUpdate", "GOAWAY 0 PROTOCOL_ERROR ZeroWindowUpdate"},
	{"6.9 a stream by nothing", func(r *rig) []byte { return h2.AppendWindowUpdate(r.get(1), 1, 0) }, "1 request GET a / end\n1 reset PROTOCOL_ERROR for ZeroWindowUpdate", "1 RST PROTOCOL_ERROR"},
	{"6.9 length", func(r *rig) []byte { return raw(h2.FrameWindowUpdate, 0, 0, "123") }, "! InvalidFrameSize", "GOAWAY 0 FRAME_SIZE_ERROR InvalidFrameSize"},
	{"6.9.1 overflow", func(r *rig) []byte { return h2.AppendWindowUpdate(nil, 0, 1<<31-1) }, "! WindowOverflow", "GOAWAY 0 FLOW_CONTROL_ERROR WindowOverflow"},
	{"6.9.1 overflow of a stream", func(r *rig) []byte { return h2.AppendWindowUpdate(r.get(1), 1, 1<<31-1) }, "1 request GET a / end\n1 reset FLOW_CONTROL_ERROR for WindowOverflow", "1 RST FLOW_CONTROL_ERROR"},
	{"6.9.2 overflow by a setting", func(r *rig) []byte {
		return join(r.get(1), h2.AppendWindowUpdate(nil, 1, 1<<30), h2.AppendSettings(nil, h2.Setting{ID: 4, Value: 1<<31 - 1}))
	}, "1 request GET a / end\n! InvalidWindowSetting", "GOAWAY 1 FLOW_CONTROL_ERROR InvalidWindowSetting"},
	{"6.10 continued", func(r *rig) []byte {
		f := r.get(1)
		return join(raw(h2.FrameHeaders, 1, 1, string(f[9:10])), raw(h2.FrameContinuation, 0, 1, ""), raw(h2.FrameContinuation, 0, 1, string(f[10:12])), raw(h2.FrameContinuation, 4, 1, string(f[12:])))
	}, "1 request GET a / end", ""},
	{"6.10 of another stream", func(r *rig) []byte {
		return join(raw(h2.FrameHeaders, 1, 1, "\x82"), raw(h2.FrameContinuation, 4, 3, "\x86"))
	}, "! InterruptedHeaders", "GOAWAY 0 PROTOCOL_ERROR InterruptedHeaders"},
	{"6.10 alone", func(r *rig) []byte { return raw(h2.FrameContinuation, 4, 1, "\x82") }, "! LoneContinuation", "GOAWAY 0 PROTOCOL_ERROR LoneContinuation"},
	{"9218 §7.1 on a stream", func(r *rig) []byte { return raw(h2.FramePriorityUpdate, 0, 1, "\x00\x00\x00\x01u=1") }, "! UnexpectedStreamID", "GOAWAY 0 PROTOCOL_ERROR UnexpectedStreamID"},
	{"9218 §7.1 of stream 0", func(r *rig) []byte { return h2.AppendPriorityUpdate(nil, 0, "u=1") }, "! UnexpectedPriorityUpdate", "GOAWAY 0 PROTOCOL_ERROR UnexpectedPriorityUpdate"},
	{"9218 §7.1 too short", func(r *rig) []byte { return raw(h2.FramePriorityUpdate, 0, 0, "123") }, "! InvalidFrameSize", "GOAWAY 0 FRAME_SIZE_ERROR InvalidFrameSize"},

	// §8 messages
	{"8.1 trailer", func(r *rig) []byte {
		return join(r.post(1), h2.AppendData(nil, 1, []byte("hi"), false), r.headers(1, true, "x-sum=1", "content-length=5"))
	}, "1 request POST a / length=-1\n1 data \"hi\"\n1 trailer x-sum=1 end", ""},
	{"8.1 trailer that does not end", func(r *rig) []byte { return join(r.post(1), r.headers(1, false, "x=y")) }, "1 request POST a / length=-1\n1 reset PROTOCOL_ERROR for InvalidTrailer", "1 RST PROTOCOL_ERROR"},
	{"8.1 pseudo-header in a trailer", func(r *rig) []byte { return join(r.post(1), r.headers(1, true, ":method=GET")) }, "1 request POST a / length=-1\n1 reset PROTOCOL_ERROR for InvalidPseudoHeader", "1 RST PROTOCOL_ERROR"},
	{"8.1.1 length", func(r *rig) []byte {
		return join(r.post(1, "content-length=2"), h2.AppendData(nil, 1, []byte("hi"), true))
	}, "1 request POST a / length=2 content-length=2\n1 data \"hi\" end", ""},
	{"8.1.1 too short", func(r *rig) []byte {
		return join(r.post(1, "content-length=3"), h2.AppendData(nil, 1, []byte("hi"), true))
	}, "1 request POST a / length=3 content-length=3\n1 reset PROTOCOL_ERROR for ContentLengthMismatch", "1 RST PROTOCOL_ERROR"},
	{"8.1.1 too short, with a trailer", func(r *rig) []byte { return join(r.post(1, "content-length=3"), r.headers(1, true, "x=y")) }, "1 request POST a / length=3 content-length=3\n1 reset PROTOCOL_ERROR for ContentLengthMismatch", "1 RST PROTOCOL_ERROR"},
	{"8.1.1 too long", func(r *rig) []byte {
		return join(r.post(1, "content-length=1"), h2.AppendData(nil, 1, []byte("hi"), false))
	}, "1 request POST a / length=1 content-length=1\n1 reset PROTOCOL_ERROR for ContentLengthMismatch", "1 RST PROTOCOL_ERROR"},
	{"8.1.1 length without content", func(r *rig) []byte {
		return r.headers(1, true, ":method=GET", ":scheme=http", ":path=/", ":authority=a", "content-length=1")
	}, "", "1 RST PROTOCOL_ERROR"},
	{"8.1.1 two lengths", func(r *rig) []byte { return r.post(1, "content-length=1", "content-length=1") }, "", "1 RST PROTOCOL_ERROR"},
	{"8.1.1 no number", func(r *rig) []byte { return r.post(1, "content-length=+1") }, "", "1 RST PROTOCOL_ERROR"},
	{"8.2.1 upper case", func(r *rig) []byte { return r.post(1, "X-Upper=y") }, "", "1 RST PROTOCOL_ERROR"},
	{"8.2.1 line break", func(r *rig) []byte { return r.post(1, "x=a\r\nb: c") }, "", "1 RST PROTOCOL_ERROR"},
	{"8.2.1 white space at the end", func(r *rig) []byte { return r.post(1, "x=a ") }, "", "1 RST PROTOCOL_ERROR"},
	{"8.2.2 Connection", func(r *rig) []byte { return r.post(1, "connection=close") }, "", "1 RST PROTOCOL_ERROR"},
	{"8.2.2 Transfer-Encoding", func(r *rig) []byte { return r.post(1, "transfer-encoding=chunked") }, "", "1 RST PROTOCOL_ERROR"},
	{"8.2.2 TE", func(r *rig) []byte { return r.post(1, "te=gzip") }, "", "1 RST PROTOCOL_ERROR"},
	{"8.2.2 TE trailers", func(r *rig) []byte { return r.post(1, "te=trailers") }, "1 request POST a / length=-1 te=trailers", ""},
	{"8.2.3 crumbs", func(r *rig) []byte { return r.post(1, "cookie=a=1", "x=y", "cookie=b=2") }, "1 request POST a / length=-1 cookie=a=1; b=2 x=y", ""},
	{"8.3 unknown pseudo-header", func(r *rig) []byte { return r.post(1, ":thing=x") }, "", "1 RST PROTOCOL_ERROR"},
	{"8.3 status in a request", func(r *rig) []byte {
		return r.headers(1, true, ":method=GET", ":scheme=http", ":path=/", ":authority=a", ":status=200")
	}, "", "1 RST PROTOCOL_ERROR"},
	{"8.3 pseudo-header at the end", func(r *rig) []byte {
		return r.headers(1, true, ":method=GET", ":scheme=http", "x=y", ":path=/", ":authority=a")
	}, "", "1 RST PROTOCOL_ERROR"},
	{"8.3 pseudo-header after Host", func(r *rig) []byte { return r.headers(1, true, ":method=GET", ":scheme=http", "host=a", ":path=/") }, "", "1 RST PROTOCOL_ERROR"},
	{"8.3.1 method twice", func(r *rig) []byte {
		return r.headers(1, true, ":method=GET", ":method=GET", ":scheme=http", ":path=/", ":authority=a")
	}, "", "1 RST PROTOCOL_ERROR"},
	{"8.3.1 no method", func(r *rig) []byte { return r.headers(1, true, ":scheme=http", ":path=/", ":authority=a") }, "", "1 RST PROTOCOL_ERROR"},
	{"8.3.1 no scheme", func(r *rig) []byte { return r.headers(1, true, ":method=GET", ":path=/", ":authority=a") }, "", "1 RST PROTOCOL_ERROR"},
	{"8.3.1 no path", func(r *rig) []byte { return r.headers(1, true, ":method=GET", ":scheme=http", ":authority=a") }, "", "1 RST PROTOCOL_ERROR"},
	{"8.3.1 empty path", func(r *rig) []byte {
		return r.headers(1, true, ":method=GET", ":scheme=http", ":path=", ":authority=a")
	}, "", "1 RST PROTOCOL_ERROR"},
	{"8.3.1 asterisk", func(r *rig) []byte {
		return r.headers(1, true, ":method=OPTIONS", ":scheme=http", ":path=*", ":authority=a")
	}, "1 request OPTIONS a * end", ""},
	{"8.3.1 Host instead", func(r *rig) []byte {
		return r.headers(1, true, ":method=GET", ":scheme=http", ":path=/", "host=A.example:80")
	}, "1 request GET a.example:80 / end", ""},
	{"8.3.1 Host is the same", func(r *rig) []byte {
		return r.headers(1, true, ":method=GET", ":scheme=http", ":path=/", ":authority=A", "host=a")
	}, "1 request GET a / end", ""},
	{"8.3.1 Host is another", func(r *rig) []byte {
		return r.headers(1, true, ":method=GET", ":scheme=http", ":path=/", ":authority=a", "host=b")
	}, "1 request GET  / refuse 400 InvalidHost end", ""},
	{"8.3.1 no host", func(r *rig) []byte { return r.headers(1, true, ":method=GET", ":scheme=http", ":path=/") }, "1 request GET  / refuse 400 InvalidHost end", ""},
	{"8.3.1 user information", func(r *rig) []byte {
		return r.headers(1, true, ":method=GET", ":scheme=http", ":path=/", ":authority=u@a")
	}, "1 request GET  / refuse 400 InvalidHost end", ""},
	{"8.3.1 other scheme", func(r *rig) []byte {
		return r.headers(1, true, ":method=GET", ":scheme=ftp", ":path=/", ":authority=a")
	}, "1 request GET a / refuse 400 UnsupportedScheme end", ""},
	{"path is normalised", func(r *rig) []byte {
		return r.headers(1, true, ":method=GET", ":scheme=https", ":path=/x/../%41?q=%20", ":authority=a")
	}, "1 request GET a /A?q=%20 end", ""},
	{"path leaves the root", func(r *rig) []byte {
		return r.headers(1, true, ":method=GET", ":scheme=https", ":path=/../x", ":authority=a")
	}, "1 request GET a / refuse 400 InvalidPath end", ""},
	{"path with a fragment", func(r *rig) []byte {
		return r.headers(1, true, ":method=GET", ":scheme=https", ":path=/x#y", ":authority=a")
	}, "1 request GET a / refuse 400 InvalidPath end", ""},
	{"8.5 CONNECT", func(r *rig) []byte { return r.headers(1, false, ":method=CONNECT", ":authority=a:443") }, "1 request CONNECT a:443 / length=-1", ""},
	{"8.5 CONNECT with a path", func(r *rig) []byte { return r.headers(1, false, ":method=CONNECT", ":path=/", ":authority=a:443") }, "", "1 RST PROTOCOL_ERROR"},
	{"8.5 CONNECT without a port", func(r *rig) []byte { return r.headers(1, false, ":method=CONNECT", ":authority=a") }, "1 request CONNECT  / length=-1 refuse 400 InvalidConnectTarget", ""},
	{"8441 extended CONNECT", func(r *rig) []byte {
		return r.headers(1, false, ":method=CONNECT", ":protocol=websocket", ":scheme=https", ":path=/chat", ":authority=a")
	}, "1 request CONNECT a /chat protocol=websocket length=-1", ""},
	{"8441 protocol with GET", func(r *rig) []byte {
		return r.headers(1, true, ":method=GET", ":protocol=websocket", ":scheme=https", ":path=/chat", ":authority=a")
	}, "", "1 RST PROTOCOL_ERROR"},
	{"expectation", func(r *rig) []byte { return r.post(1, "expect=100-continue") }, "1 request POST a / length=-1 expect=100-continue", ""},
	{"unknown expectation", func(r *rig) []byte { return r.post(1, "expect=more") }, "1 request POST a / length=-1 expect=more refuse 417 UnknownExpectation", ""},
	{"bad request leaves the tables alike", func(r *rig) []byte {
		return join(r.post(1, "x-first=1", "X-Bad=1", "x-second=2"), r.post(3, "x-first=1", "x-second=2"))
	}, "3 request POST a / length=-1 x-first=1 x-second=2", "1 RST PROTOCOL_ERROR"},
}

func TestServer(t *testing.T) {
	for _, c := range serverCases {
		t.Run(c.name, func(t *testing.T) {
			r := greeted(t, false, h2.Config{ExtendedConnect: true})
			in := c.in(r)
			r.want("events", r.feed(in), c.want)
			r.want("output", r.out(), c.out)

			// The same, a byte at a time. Content then comes in pieces.
			r = greeted(t, false, h2.Config{ExtendedConnect: true})
			in = c.in(r)
			var log []string
			for i := range in {
				if s := r.feed(in[i : i+1]); s != "" {
					log = append(log, s)
				}
				if r.err != nil {
					break
				}
			}
			got := strings.Join(log, "\n")
			if !strings.Contains(c.want, "data") {
				r.want("events, byte by byte", got, c.want)
			}
			r.want("output, byte by byte", r.out(), c.out)
		})
	}
}

func TestPreface(t *testing.T) {
	r := newRig(t, false, h2.Config{MaxStreams: 10})
	r.want("announced", r.out(), "SETTINGS 1=4096 4=65536 6=65536 3=10 9=1\n0 WINDOW 589825")
	r.want("preface", r.feed([]byte(h2.Preface)), "")
	r.want("first frame", r.feed(h2.AppendPing(nil, [8]byte{}, false)), "! MissingSettings")
	r.want("output", r.out(), "GOAWAY 0 PROTOCOL_ERROR MissingSettings")

	r = newRig(t, false, h2.Config{})
	r.want("HTTP/1.1", r.feed([]byte("GET / HTTP/1.1\r\n")), "! InvalidPreface")

	r = newRig(t, true, h2.Config{})
	out := r.c.Take()
	if !strings.HasPrefix(string(out.B), h2.Preface) {
		t.Errorf("a client starts with %q", out.B)
	}
	r.want("first frame", r.feed(h2.AppendSettingsAck(nil)), "! MissingSettings")
}

// What a server sends to a client that has one POST and one GET open.
var clientCases = []struct {
	name string
	in   func(r *rig) []byte
	want string
	out  string
}{
	{"response", func(r *rig) []byte {
		return join(r.headers(3, false, ":status=200", "content-length=2"), h2.AppendData(nil, 3, []byte("hi"), true))
	}, "3 response 200 body=1 length=2 content-length=2\n3 data \"hi\" end", ""},
	{"without length", func(r *rig) []byte {
		return join(r.headers(3, false, ":status=200"), h2.AppendData(nil, 3, []byte("hi"), false), r.headers(3, true, "grpc-status=0"))
	}, "3 response 200 body=2 length=-1\n3 data \"hi\"\n3 trailer grpc-status=0 end", ""},
	{"without content", func(r *rig) []byte { return r.headers(3, true, ":status=200") }, "3 response 200 body=1 length=0 end", ""},
	{"204", func(r *rig) []byte { return r.headers(3, true, ":status=204") }, "3 response 204 body=0 length=-1 end", ""},
	{"204 with content", func(r *rig) []byte {
		return join(r.headers(3, false, ":status=204"), h2.AppendData(nil, 3, []byte("x"), true))
	}, "3 response 204 body=0 length=-1\n3 reset PROTOCOL_ERROR for ContentLengthMismatch", "3 RST PROTOCOL_ERROR"},
	{"304 with a length", func(r *rig) []byte { return r.headers(3, true, ":status=304", "content-length=9") }, "3 response 304 body=0 length=9 content-length=9 end", ""},
	{"HEAD", func(r *rig) []byte { return r.headers(5, true, ":status=200", "content-length=9") }, "5 response 200 body=0 length=9 content-length=9 end", ""},
	{"interim", func(r *rig) []byte {
		return join(r.headers(1, false, ":status=100"), r.headers(1, false, ":status=103", "link=x"), r.headers(1, true, ":status=200"))
	}, "1 response 100 body=0 length=-1\n1 response 103 body=0 length=-1 link=x\n1 response 200 body=1 length=0 end", ""},
	{"interim that ends", func(r *rig) []byte { return r.headers(1, true, ":status=100") }, "1 reset PROTOCOL_ERROR for InvalidStatus", "1 RST PROTOCOL_ERROR"},
	{"101", func(r *rig) []byte { return r.headers(1, false, ":status=101") }, "1 reset PROTOCOL_ERROR for InvalidStatus", "1 RST PROTOCOL_ERROR"},
	{"no status", func(r *rig) []byte { return r.headers(1, false, "x=y") }, "1 reset PROTOCOL_ERROR for InvalidStatus", "1 RST PROTOCOL_ERROR"},
	{"status of two digits", func(r *rig) []byte { return r.headers(1, false, ":status=20") }, "1 reset PROTOCOL_ERROR for InvalidStatus", "1 RST PROTOCOL_ERROR"},
	{"method in a response", func(r *rig) []byte { return r.headers(1, false, ":status=200", ":method=GET") }, "1 reset PROTOCOL_ERROR for InvalidPseudoHeader", "1 RST PROTOCOL_ERROR"},
	{"Connection", func(r *rig) []byte { return r.headers(1, false, ":status=200", "connection=close") }, "1 reset PROTOCOL_ERROR for ConnectionField", "1 RST PROTOCOL_ERROR"},
	{"content first", func(r *rig) []byte { return h2.AppendData(nil, 3, []byte("x"), true) }, "3 reset PROTOCOL_ERROR for DataBeforeHeaders", "3 RST PROTOCOL_ERROR"},
	{"length without content", func(r *rig) []byte { return r.headers(3, true, ":status=200", "content-length=9") }, "3 reset PROTOCOL_ERROR for ContentLengthMismatch", "3 RST PROTOCOL_ERROR"},
	{"push", func(r *rig) []byte { return raw(h2.FramePushPromise, 4, 1, "\x00\x00\x00\x02\x82") }, "! UnexpectedPush", "GOAWAY 0 PROTOCOL_ERROR UnexpectedPush"},
	{"push is switched on", func(r *rig) []byte { return h2.AppendSettings(nil, h2.Setting{ID: 2, Value: 1}) }, "! InvalidSetting", "GOAWAY 0 PROTOCOL_ERROR InvalidSetting"},
	{"stream that was not opened", func(r *rig) []byte { return r.headers(7, true, ":status=200") }, "! InvalidStreamID", "GOAWAY 0 PROTOCOL_ERROR InvalidStreamID"},
	{"stream of the server", func(r *rig) []byte { return r.headers(2, true, ":status=200") }, "! InvalidStreamID", "GOAWAY 0 PROTOCOL_ERROR InvalidStreamID"},
	{"PRIORITY_UPDATE", func(r *rig) []byte { return h2.AppendPriorityUpdate(nil, 1, "u=1") }, "! UnexpectedPriorityUpdate", "GOAWAY 0 PROTOCOL_ERROR UnexpectedPriorityUpdate"},
	{"refused", func(r *rig) []byte { return h2.AppendRSTStream(nil, 3, h2.RefusedStream) }, "3 reset REFUSED_STREAM unprocessed", ""},
	{"early end", func(r *rig) []byte {
		return join(r.headers(1, true, ":status=413"), h2.AppendRSTStream(nil, 1, h2.NoError))
	}, "1 response 413 body=1 length=0 end\n1 reset NO_ERROR", ""},
	{"going away", func(r *rig) []byte { return h2.AppendGoAway(nil, 1, h2.NoError, "") }, "goaway 1 NO_ERROR\n3 reset REFUSED_STREAM unprocessed\n5 reset REFUSED_STREAM unprocessed", ""},
	{"late answer", func(r *rig) []byte {
		r.c.Reset(r.by[3], h2.Cancel)
		r.out()
		return join(r.headers(3, false, ":status=200"), h2.AppendData(nil, 3, []byte("x"), true))
	}, "", ""},
	{"header too large", func(r *rig) []byte { return r.headers(3, true, ":status=200", "x="+strings.Repeat("y", 65536)) }, "3 reset ENHANCE_YOUR_CALM for HeaderTooLarge", "3 RST ENHANCE_YOUR_CALM"},
}

func TestClient(t *testing.T) {
	for _, c := range clientCases {
		t.Run(c.name, func(t *testing.T) {
			r := greeted(t, true, h2.Config{HeaderBytes: 70000})
			if strings.HasPrefix(c.name, "header too") {
				r = greeted(t, true, h2.Config{})
			}
			r.open("POST", false)
			r.open("GET", true)
			r.open("HEAD", true)
			r.want("requests", r.out(), "1 HEADERS :method=POST :scheme=http :path=/ :authority=a\n3 HEADERS :method=GET :scheme=http :path=/ :authority=a end\n5 HEADERS :method=HEAD :scheme=http :path=/ :authority=a end")
			r.want("events", r.feed(c.in(r)), c.want)
			r.want("output", r.out(), c.out)
		})
	}
}

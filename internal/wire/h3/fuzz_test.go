package h3

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"

	"github.com/quic-go/qpack"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// FuzzSection decodes field sections, and checks against another decoder that what
// is taken was there.
func FuzzSection(f *testing.F) {
	f.Add(get("accept", "*/*", "cookie", "a", "x-y", "z"))
	f.Add([]byte{0, 0, 0x51, 0x84, 0xff, 0xff, 0xff, 0xff})
	f.Add(encoded(":status", "200", "content-length", "3"))
	f.Fuzz(func(t *testing.T, block []byte) {
		var r httpmsg.Request
		if DecodeRequest(block, &limits, &r) == nil {
			if block[1] != 0 {
				return // the other one wants a base of zero, of which RFC 9204 §4.5.1.2 says that it may be any
			}
			next := qpack.NewDecoder().Decode(block)
			found := false
			for {
				field, err := next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatalf("another decoder refuses it: %v", err)
				}
				found = found || field.Name == ":method" && field.Value == string(r.Method)
			}
			if !found {
				t.Fatalf("the method %q is not there", r.Method)
			}
			// What is written is read as it was.
			r.Scheme = "https"
			var again httpmsg.Request
			wide := Limits{HeaderBytes: 4 * limits.HeaderBytes, HeaderCount: limits.HeaderCount + 1}
			if bad := DecodeRequest(AppendRequest(nil, &r), &wide, &again); bad != nil {
				t.Fatalf("what was taken and written is refused: %v", bad)
			}
			if !bytes.Equal(again.Host, r.Host) || !bytes.Equal(again.Path, r.Path) || again.Length != r.Length {
				t.Fatalf("%s%s %d became %s%s %d", r.Host, r.Path, r.Length, again.Host, again.Path, again.Length)
			}
		}
		var resp httpmsg.Response
		var arena httpmsg.Arena
		if DecodeResponse(block, &limits, httpmsg.MethodGet, &resp, &arena) == nil && (resp.Status < 100 || resp.Status > 999) {
			t.Fatalf("status %d", resp.Status)
		}
		var h httpmsg.Header
		_ = DecodeTrailer(block, &limits, &h, &arena)
	})
}

// FuzzMessage reads streams of requests: however their bytes come, they are the same.
func FuzzMessage(f *testing.F) {
	f.Add(append(frame(FrameHeaders, get()), frame(FrameData, []byte("content"))...))
	f.Add(append(frame(0x21, []byte("x")), frame(FrameHeaders, get("content-length", "0"))...))
	f.Add([]byte{byte(FrameHeaders), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) // a length that nothing holds
	f.Fuzz(func(t *testing.T, b []byte) {
		path, content, trailer, err := message(bytes.NewReader(b))
		path2, content2, trailer2, err2 := message(iotest.OneByteReader(bytes.NewReader(b)))
		if path != path2 || trailer != trailer2 || (err == nil) != (err2 == nil) || err == nil && content != content2 {
			t.Fatalf("%q %q %d %v by bytes is %q %q %d %v", path, content, trailer, err, path2, content2, trailer2, err2)
		}
		if len(content) > len(b) {
			t.Fatalf("%d bytes of content in %d", len(content), len(b))
		}
	})
}

// FuzzPeer reads the streams that are no requests: they always end with an error.
func FuzzPeer(f *testing.F) {
	f.Add(AppendSettings(nil, Settings{MaxFieldSection: 5}), true)
	f.Add([]byte{0x20}, false)
	f.Fuzz(func(t *testing.T, b []byte, client bool) {
		for _, read := range []func(*Peer, *Reader) error{(*Peer).Control, (*Peer).Encoder, (*Peer).Decoder} {
			var r Reader
			r.Reset(bytes.NewReader(b))
			if bad, ok := AsError(read(&Peer{Client: client}, &r)); !ok || !bad.Conn {
				t.Fatalf("%v", bad)
			}
			r.Release()
		}
	})
}

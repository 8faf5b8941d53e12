package bridge

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// FuzzText: what comes in pieces decodes like what comes at once, and what is
// encoded in pieces decodes to itself.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "AAAAAAA=", "AA==AA==", "AAA", "A=AA", "AAAA\nAAAA", "0\r\r\r\r000", "====", "AAECAwQFBgcICQ=="} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, err := io.ReadAll(newTextReader(bytes.NewReader(in)))
		pieces, err2 := io.ReadAll(newTextReader(iotest.OneByteReader(bytes.NewReader(in))))
		if (err == nil) != (err2 == nil) || err == nil && !bytes.Equal(whole, pieces) {
			t.Fatalf("%q %v in one piece, %q %v in many", whole, err, pieces, err2)
		}
		if want, wrong := base64.StdEncoding.Strict().DecodeString(string(in)); wrong == nil && !bytes.ContainsAny(in, "\r\n") &&
			(err != nil || !bytes.Equal(want, whole)) {
			t.Fatalf("%q, %v, want %q", whole, err, want)
		}
		back, err := io.ReadAll(newTextReader(&textWriter{source: iotest.HalfReader(bytes.NewReader(in))}))
		if err != nil || !bytes.Equal(back, in) {
			t.Fatalf("%q became %q, %v", in, back, err)
		}
	})
}

// FuzzQuery: what is taken for a message was encoded so.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{
		"connect=v1&encoding=json&message=%7B%7D", "message=e30&encoding=proto&base64=1&compression=gzip",
		"message=%&encoding=json", "message=!&base64=1&encoding=json", "encoding=json", "message=&encoding=",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		q, ok := parseQuery(raw)
		if ok && len(q.message) > len(raw) {
			t.Fatalf("%q grew to %q", raw, q.message)
		}
		if !ok && (q.message != nil || q.encoding != nil) {
			t.Fatalf("%q is none, but %+v", raw, q)
		}
	})
}

// FuzzTrailer: whatever a trailer says, a stream's end is JSON in a frame, and
// that of gRPC-Web names a status once.
func FuzzTrailer(f *testing.F) {
	f.Add([]byte("5"), []byte("no%20%F0%9F%98%80"), []byte("CAUSA25vGiAKGHR5cGUuZ29vZ2xlYXBpcy5jb20vYS5CEgQIARAB"), []byte("x"))
	f.Add([]byte(""), []byte("%"), []byte("GgQKAgo="), []byte("\xff"))
	f.Fuzz(func(t *testing.T, status, message, details, value []byte) {
		var h httpmsg.Header
		h.AddID(httpmsg.NameGRPCStatus, status)
		h.AddID(httpmsg.NameGRPCMessage, message)
		h.Add(statusDetails, details)
		h.Add([]byte("X-Value"), value)
		frame := appendEndFrame(nil, &h, &h)
		if frame[0] != endFlag || int(binary.BigEndian.Uint32(frame[1:])) != len(frame)-prefixSize {
			t.Fatalf("%q", frame)
		}
		var end endMessage
		if err := json.Unmarshal(frame[prefixSize:], &end); err != nil {
			t.Fatal(err)
		}
		if code, _ := grpc.ParseCode(status); (code == grpc.OK) != (end.Error == nil) || len(end.Metadata["x-value"]) != 1 {
			t.Fatalf("%+v", end)
		}
		web := appendTrailerFrame(nil, &h)
		if int(binary.BigEndian.Uint32(web[1:])) != len(web)-prefixSize || !bytes.HasPrefix(web[prefixSize:], []byte("grpc-status: ")) {
			t.Fatalf("%q", web)
		}
	})
}

// FuzzMessage: a message that was framed is the only one in its frame, however
// it came, and what is too long is not held.
func FuzzMessage(f *testing.F) {
	f.Add([]byte("hello"), true, uint16(5))
	f.Add([]byte(""), false, uint16(0))
	f.Fuzz(func(t *testing.T, in []byte, coded bool, limit uint16) {
		for _, length := range []int64{-1, int64(len(in))} {
			out, err := io.ReadAll(&framer{source: iotest.HalfReader(bytes.NewReader(in)), coded: coded, length: length, limit: int64(limit)})
			if length < 0 && len(in) > int(limit) {
				if err == nil {
					t.Fatal("held more than is allowed")
				}
				continue
			}
			got, isCoded, code := single(out)
			if err != nil || code != grpc.OK || isCoded != coded || !bytes.Equal(got, in) {
				t.Fatalf("%q became %q, %v %v %v", in, got, isCoded, code, err)
			}
		}
		if message, _, code := single(in); code == grpc.OK && len(message) != len(in)-prefixSize {
			t.Fatalf("%q of %q", message, in)
		}
	})
}

// FuzzRequest: a request is left as it is, or becomes one of gRPC with the deadline
// that it had and, if it was a unary call of Connect, one message.
func FuzzRequest(f *testing.F) {
	for _, s := range [][3]string{
		{"application/json", "1500", "1"},
		{"application/connect+proto", "9999999999", ""},
		{"application/grpc-web+json", "", ""},
		{"application/grpc-web-text", "0", "2"},
		{"application/grpc", "1", "1"},
		{"application/connect+", "-1", "1"},
		{"Application/Proto; a=b", "+1", ""},
	} {
		f.Add(s[0], s[1], s[2], []byte(`{"a":1}`))
	}
	b := New(&ir.Bridge{GRPCWeb: true, Connect: true, MaxMessageBytes: 1 << 20})
	f.Fuzz(func(t *testing.T, media, timeout, version string, body []byte) {
		for _, v := range []string{media, timeout, version} {
			if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(body) > 1<<20 {
				return // comes from no client, or is refused by its length
			}
		}
		x := request("POST", "", media, string(body), "Connect-Timeout-Ms", timeout, "Connect-Protocol-Version", version, "Grpc-Timeout", timeout+"m")
		if b.OnRequest(x) == filter.Reply {
			if x.Local.Status != 400 || x.Replier == nil {
				t.Fatalf("%q %q %q is answered %+v", media, timeout, version, x.Local)
			}
			return
		}
		h := &x.Req.Header
		out := through(x.RequestBodyFuncs(), string(body))
		if x.Kept.Bridge == 0 {
			if get(h, "content-type") != media || out != string(body) || x.Timeout != 0 {
				t.Fatalf("%q was taken for nothing, and changed: %q, %v", media, get(h, "content-type"), x.Timeout)
			}
			return
		}
		if !grpc.IsContentType(h.Get(httpmsg.NameContentType)) || get(h, "te") != "trailers" || string(x.Req.Method) != "POST" {
			t.Fatalf("%q becomes %q, TE %q", media, get(h, "content-type"), get(h, "te"))
		}
		if kind := x.Kept.Bridge; kind == connectUnary || kind == connectStream {
			n, err := strconv.ParseUint(timeout, 10, 64)
			want := max(time.Duration(n)*time.Millisecond, 1)
			if told, ok := grpc.ParseTimeout(h.Get(httpmsg.NameGRPCTimeout)); err != nil || x.Timeout != want || !ok || told > want || want-told > want/1000 {
				t.Fatalf("timeout %q is kept as %v and told as %q", timeout, x.Timeout, get(h, "grpc-timeout"))
			}
		}
		if x.Kept.Bridge == connectUnary {
			if got, _, code := single([]byte(out)); code != grpc.OK || !bytes.Equal(got, body) || x.Req.Length != int64(len(out)) {
				t.Fatalf("%q became %q of %d bytes", body, out, x.Req.Length)
			}
		}
	})
}

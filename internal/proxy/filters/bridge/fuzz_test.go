package bridge

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"testing"
	"testing/iotest"

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

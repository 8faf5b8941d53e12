package transcode

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/transcoding"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

const file = `name: "a.proto" package: "a" syntax: "proto3" dependency: "google/api/annotations.proto"
message_type { name: "M" field { name: "s" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL } }
service { name: "S"
  method { name: "One" input_type: ".a.M" output_type: ".a.M" options { [google.api.http] { post: "/one" body: "*" } } }
  method { name: "Get" input_type: ".a.M" output_type: ".a.M" options { [google.api.http] { get: "/get/{s}" } } }
  method { name: "Up" input_type: ".a.M" output_type: ".a.M" client_streaming: true options { [google.api.http] { post: "/up" body: "*" } } }
  method { name: "Down" input_type: ".a.M" output_type: ".a.M" server_streaming: true options { [google.api.http] { get: "/down" } } }
}`

var _ = annotations.E_Http

type known struct{ schema *transcoding.Schema }

func (k known) Schema() *transcoding.Schema { return k.schema }

func policy(t testing.TB, p ir.Transcoding, bridge *ir.Bridge) *Transcode {
	t.Helper()
	var f descriptorpb.FileDescriptorProto
	if err := prototext.Unmarshal([]byte(file), &f); err != nil {
		t.Fatal(err)
	}
	s, err := transcoding.Build([]*descriptorpb.FileDescriptorProto{&f}, transcoding.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p.MaxMessageBytes = 100
	return New(&p, bridge, known{s})
}

func request(method, path, contentType string, length int64) *filter.Exchange {
	x := &filter.Exchange{}
	x.Req.Method, x.Req.MethodID = []byte(method), httpmsg.LookupMethod([]byte(method))
	x.Req.Path = []byte(path)
	if contentType != "" {
		x.Req.Header.AddID(httpmsg.NameContentType, []byte(contentType))
	}
	if length != 0 {
		x.Req.Body, x.Req.Length = httpmsg.BodyLength, length
	}
	if length < 0 {
		x.Req.Body = httpmsg.BodyChunked
	}
	x.Cause = func(error) (bool, bool) { return false, false }
	return x
}

func through(funcs []filter.BodyFunc, source io.Reader) (string, error) {
	for _, f := range funcs {
		source = f(source)
	}
	b, err := io.ReadAll(source)
	return string(b), err
}

func framed(messages ...string) string {
	var b strings.Builder
	for _, m := range messages {
		b.WriteString(string(frame(append([]byte{10, byte(len(m))}, m...))))
	}
	return b.String()
}

func TestRequestBodies(t *testing.T) {
	f := policy(t, ir.Transcoding{}, nil)
	for _, c := range []struct {
		path, in, out string
		err           error
	}{
		{"/one", `{"s":"a"}`, framed("a"), nil},
		{"/one", " \n", string(frame(nil)), nil},
		{"/one", `{"s":`, "", filter.ErrMalformed},
		{"/one", strings.Repeat(" ", 101), "", filter.ErrTooLarge},
		{"/up", "{\"s\":\"a\"}\n\n  \r\n{\"s\":\"b\"}", framed("a", "b"), nil},
		{"/up", strings.Repeat("{\"s\":\"a\"}\n", 500), strings.Repeat(framed("a"), 500), nil},
		{"/up", "{\"s\":\"a\"}\n{", framed("a"), filter.ErrMalformed},
		{"/up", "{\"s\":\"a\"}\n" + strings.Repeat(" ", 101) + "\n{\"s\":\"b\"}", framed("a", "b"), nil},
		{"/up", "{\n \"s\": \"a\"\n}{\"s\":\"b\"}", framed("a", "b"), nil},
		{"/up", ` [{"s":"a"}, {"s":"b"}]`, framed("a", "b"), nil},
		{"/up", `[]`, "", nil},
		{"/up", `[{"s":"a"}`, framed("a"), filter.ErrMalformed},
		{"/up", "{\"s\":\"" + strings.Repeat("a", 8000), "", filter.ErrTooLarge},
		{"/up", "{\"s\":\"" + strings.Repeat("a", 101) + "\"}\n", "", filter.ErrTooLarge},
	} {
		for name, reader := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "with the end": iotest.DataErrReader} {
			x := request("POST", c.path, "application/json", -1)
			if f.OnRequest(x) != filter.Continue {
				t.Fatal(x.Local)
			}
			got, err := through(x.RequestBodyFuncs(), reader(strings.NewReader(c.in)))
			if got != c.out || !errors.Is(err, c.err) {
				t.Errorf("%s %.40q, %s: %q, %v, want %q, %v", c.path, c.in, name, got, err, c.out, c.err)
			}
		}
	}
}

func TestWhatIsTaken(t *testing.T) {
	bridge := &ir.Bridge{GRPCWeb: true, Connect: true}
	for _, c := range []struct {
		x          *filter.Exchange
		p          ir.Transcoding
		bridge     *ir.Bridge
		status     int
		translated bool
	}{
		{x: request("POST", "/one", "application/json", 5), translated: true},
		{x: request("POST", "/one", "application/grpc+proto", 5)},
		{x: request("POST", "/one", "application/grpc-web", 5)},
		{x: request("POST", "/one", "application/connect+json", 5)},
		{x: request("POST", "/one", "text/plain", 5), status: 415},
		{x: request("POST", "/one", "application/json", 101), status: 413},
		{x: request("POST", "/one", "application/merge-patch+json", 5), translated: true},
		{x: request("POST", "/a.S/One", "", 0), translated: true},
		{x: request("POST", "/a.S/One", "application/json", 5), p: ir.Transcoding{AnnotatedOnly: true}, status: 404},
		{x: request("POST", "/a.S/One", "application/json", 5), bridge: bridge},
		{x: request("POST", "/one", "application/json", 5), bridge: bridge, translated: true},
		{x: request("GET", "/get/x", "", 0), translated: true},
		{x: request("GET", "/get/x", "", 5), status: 400},
		{x: request("GET", "/one", "", 0), status: 405},
		{x: request("GET", "/none", "", 0), status: 404},
		{x: request("GET", "/none", "", 0), p: ir.Transcoding{PassUnmatched: true}},
		{x: request("OPTIONS", "/one", "", 0)},
	} {
		f := policy(t, c.p, c.bridge)
		verdict := f.OnRequest(c.x)
		if c.x.Local.Status != c.status || c.x.Translated != c.translated || (verdict == filter.Reply) != (c.status != 0) {
			t.Errorf("%s: %+v, translated %v", c.x.Req.Path, c.x.Local, c.x.Translated)
		}
		if c.translated && (string(c.x.Req.Method) != "POST" || !bytes.HasPrefix(c.x.Req.Path, []byte("/a.S/")) ||
			string(c.x.Req.Header.Get(httpmsg.NameContentType)) != "application/grpc") {
			t.Errorf("%s %s", c.x.Req.Method, c.x.Req.Path)
		}
	}
	for origin, status := range map[string]int{"": 0, "https://elsewhere.example": 415} {
		x := request("POST", "/one", "", 5)
		if origin != "" {
			x.Req.Header.Set(httpmsg.NameOrigin, []byte(origin))
		}
		if policy(t, ir.Transcoding{}, nil).OnRequest(x); x.Local.Status != status {
			t.Errorf("a body without a type, origin %q: %+v", origin, x.Local)
		}
	}
	x := request("GET", "/get/x", "", 0)
	if New(&ir.Transcoding{}, nil, known{}).OnRequest(x) != filter.Reply || x.Local.Reason != filter.SchemaUnavailable || x.Local.Status != 503 {
		t.Errorf("without a schema: %+v", x.Local)
	}
	if body := x.Replier.Reply(x, grpc.Unavailable, "m"); string(body) != `{"code":14,"message":"m","details":[]}` {
		t.Errorf("%s", body)
	}
}

func answered(t testing.TB, path, accept string, lines bool) *filter.Exchange {
	x := request("GET", path, "", 0)
	if accept != "" {
		x.Req.Header.Add([]byte("accept"), []byte(accept))
	}
	f := policy(t, ir.Transcoding{Lines: lines}, nil)
	if f.OnRequest(x) != filter.Continue {
		t.Fatal(x.Local)
	}
	x.Resp.Status = 200
	x.Resp.Body, x.Resp.Length = httpmsg.BodyChunked, -1
	x.Resp.Header.AddID(httpmsg.NameContentType, []byte("application/grpc"))
	return x
}

func TestStreams(t *testing.T) {
	cut := errors.New("cut")
	for _, c := range []struct {
		accept, in string
		lines      bool
		err        error
		status     string
		out        string
		broken     bool
	}{
		{in: framed("a", "b"), status: "0", out: `[{"s":"a"},{"s":"b"}]`},
		{in: "", status: "0", out: `[]`},
		{in: framed("a"), lines: true, status: "0", out: "{\"s\":\"a\"}\n"},
		{in: framed("a"), lines: true, accept: "application/json", status: "0", out: `[{"s":"a"}]`},
		{in: framed("a"), status: "5", out: `[{"s":"a"},{"error":{"code":5,"message":"","details":[]}}]`},
		{in: framed("a"), out: `[{"s":"a"},{"error":{"code":13,"message":"the backend's answer has no status","details":[]}}]`},
		{in: framed("a") + "\x00\x00", status: "0", out: `[{"s":"a"},{"error":{"code":13,"message":"the backend's answer is not what the schema says","details":[]}}]`, broken: true},
		{in: framed("a")[:6], status: "0", out: `[{"error":{"code":13,"message":"the backend's answer is not what the schema says","details":[]}}]`, broken: true},
		{in: "\x01\x00\x00\x00\x00", status: "0", out: `[{"error":{"code":13,"message":"the backend's answer is not what the schema says","details":[]}}]`, broken: true},
		{in: "\x00\x00\x00\x00\x01\xff", status: "0", out: `[{"error":{"code":13,"message":"the backend's answer is not what the schema says","details":[]}}]`, broken: true},
		{in: "\x00\xff\xff\xff\xff", status: "0", out: `[{"error":{"code":8,"message":"a message of the backend is longer than is allowed","details":[]}}]`, broken: true},
		{in: framed("a"), err: cut, out: `[{"s":"a"},{"error":{"code":14,"message":"the backend broke the response off","details":[]}}]`, broken: true},
	} {
		for name, reader := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader} {
			x := answered(t, "/down", c.accept, c.lines)
			f := x.Replier.(*call).t
			f.OnResponse(x)
			if c.status != "" {
				x.Resp.Trailer.AddID(httpmsg.NameGRPCStatus, []byte(c.status))
			}
			var source io.Reader = strings.NewReader(c.in)
			if c.err != nil {
				source = io.MultiReader(source, iotest.ErrReader(c.err))
			}
			got, err := through(x.ResponseBodyFuncs(), reader(source))
			if got != c.out || err != nil || (x.BrokenOff != nil) != c.broken {
				t.Errorf("%q, %s: %s, %v, broken %v, want %s", c.in, name, got, err, x.BrokenOff, c.out)
			}
		}
	}
}

func TestUnaryAnswers(t *testing.T) {
	for _, c := range []struct {
		held, status string
		want         int
		out          string
	}{
		{framed("a"), "0", 200, `{"s":"a"}`},
		{framed("a"), "7", 403, `{"code":7,"message":"","details":[]}`},
		{"", "0", 500, `{"code":13,"message":"the backend's answer has no message","details":[]}`},
		{framed("a", "b"), "0", 500, `{"code":13,"message":"the backend's answer is not one message","details":[]}`},
		{"\x01" + framed("a")[1:], "0", 500, `{"code":13,"message":"the backend's answer is compressed, which was not asked for","details":[]}`},
		{"\x00\x00\x00\x00\x01\xff", "0", 500, `{"code":13,"message":"the backend's answer is not what the schema says","details":[]}`},
		{framed("a"), "", 500, `{"code":13,"message":"the backend's answer has no status","details":[]}`},
	} {
		x := answered(t, "/get/x", "", false)
		x.Held = []byte(c.held)
		if c.status != "" {
			x.Resp.Trailer.AddID(httpmsg.NameGRPCStatus, []byte(c.status))
		}
		x.Replier.(*call).t.OnResponse(x)
		got, ok := x.Replacement()
		if string(got) != c.out || !ok || x.Resp.Status != c.want || x.Resp.Trailer.Len() > 0 {
			t.Errorf("%q: %d %s, want %d %s", c.held, x.Resp.Status, got, c.want, c.out)
		}
	}
}

// Frames never make more memory than a message may have, and whatever they are,
// the answer is an array of JSON with an end.
func FuzzStream(f *testing.F) {
	f.Add([]byte(framed("a", "b")), true)
	f.Add([]byte("\x00\xff\xff\xff\xff"), false)
	f.Fuzz(func(t *testing.T, in []byte, ok bool) {
		x := answered(t, "/down", "", false)
		x.Replier.(*call).t.OnResponse(x)
		if ok {
			x.Resp.Trailer.AddID(httpmsg.NameGRPCStatus, []byte("0"))
		}
		got, err := through(x.ResponseBodyFuncs(), bytes.NewReader(in))
		if err != nil || !strings.HasPrefix(got, "[") || !strings.HasSuffix(got, "]") {
			t.Fatalf("%q: %q, %v", in, got, err)
		}
	})
}

// Lines become messages that are framed.
func FuzzLines(f *testing.F) {
	f.Add([]byte("{\"s\":\"a\"}\n{}\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		x := request("POST", "/up", "", -1)
		policy(t, ir.Transcoding{}, nil).OnRequest(x)
		out, _ := through(x.RequestBodyFuncs(), bytes.NewReader(in))
		for rest := []byte(out); len(rest) > 0; {
			if len(rest) < prefixSize || rest[0] != 0 || uint64(binary.BigEndian.Uint32(rest[1:])) > uint64(len(rest)-prefixSize) {
				t.Fatalf("%q: %q", in, out)
			}
			rest = rest[prefixSize+binary.BigEndian.Uint32(rest[1:]):]
		}
	})
}

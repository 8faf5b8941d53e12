package bridge

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

func request(method, query, contentType, body string, more ...string) *filter.Exchange {
	x := &filter.Exchange{}
	x.Req.Method, x.Req.MethodID = []byte(method), httpmsg.LookupMethod([]byte(method))
	x.Req.Path, x.Req.Query, x.Req.HasQuery = []byte("/a.B/C"), []byte(query), query != ""
	if contentType != "" {
		x.Req.Header.AddID(httpmsg.NameContentType, []byte(contentType))
	}
	for i := 0; i < len(more); i += 2 {
		x.Req.Header.Add([]byte(more[i]), []byte(more[i+1]))
	}
	if body != "" {
		x.Req.Body, x.Req.Length = httpmsg.BodyLength, int64(len(body))
	}
	x.Cause = func(error) (bool, bool) { return false, false }
	return x
}

func through(funcs []filter.BodyFunc, body string) string {
	var r io.Reader = strings.NewReader(body)
	for _, f := range funcs {
		r = f(r)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return "error: " + err.Error()
	}
	return string(b)
}

func get(h *httpmsg.Header, name string) string { return string(h.GetName([]byte(name))) }

func TestRequests(t *testing.T) {
	b := New(&ir.Bridge{GRPCWeb: true, Connect: true, MaxMessageBytes: 1024})
	for _, c := range []struct {
		x                *filter.Exchange
		in, out          string
		kind             uint8
		contentType      string
		length           int64
		encoding, accept string
		timeout          string
	}{
		{x: request("POST", "", "application/grpc-web+proto", "x"), in: "x", out: "x", kind: web, contentType: "application/grpc+proto", length: 1},
		{x: request("POST", "", "application/grpc-web", "x"), in: "x", out: "x", kind: web, contentType: "application/grpc", length: 1},
		{
			x: request("POST", "", "application/grpc-web-text+proto", "AAAA", "Content-Length", "4"), in: "AAAA", out: "\x00\x00\x00",
			kind: webText, contentType: "application/grpc+proto", length: -1,
		},
		{
			x: request("POST", "", "application/json; charset=utf-8", "{}", "Connect-Timeout-Ms", "1500", "Accept-Encoding", "gzip"), in: "{}",
			out: "\x00\x00\x00\x00\x02{}", kind: connectUnary, contentType: "application/grpc+json", length: 7, accept: "gzip", timeout: "1500000u",
		},
		{
			x: request("POST", "", "application/proto", "", "Content-Encoding", "gzip"), in: "", out: "\x01\x00\x00\x00\x00",
			kind: connectUnary, contentType: "application/grpc+proto", length: 5, encoding: "gzip",
		},
		{
			x: request("GET", "connect=v1&encoding=json&base64=1&message=e30", "", ""), in: "", out: "\x00\x00\x00\x00\x02{}",
			kind: connectUnary, contentType: "application/grpc+json", length: 7,
		},
		{
			x: request("POST", "", "application/connect+proto", "m", "Connect-Content-Encoding", "br", "Connect-Accept-Encoding", "br,gzip"), in: "m",
			out: "m", kind: connectStream, contentType: "application/grpc+proto", length: 1, encoding: "br", accept: "br,gzip",
		},
		// Nobody's business here.
		{x: request("POST", "", "application/grpc+proto", "x"), in: "x", out: "x", contentType: "application/grpc+proto", length: 1},
		{x: request("POST", "", "text/plain", "x"), in: "x", out: "x", contentType: "text/plain", length: 1},
		{x: request("GET", "message=1", "", ""), in: "", out: ""},
		{x: request("PUT", "", "application/json", "x"), in: "x", out: "x", contentType: "application/json", length: 1},
	} {
		x := c.x
		if b.OnRequest(x) != filter.Continue {
			t.Errorf("%s: %+v", c.contentType, x.Local)
			continue
		}
		h := &x.Req.Header
		if x.Kept.Bridge != c.kind || get(h, "content-type") != c.contentType || x.Req.Length != c.length ||
			get(h, "grpc-encoding") != c.encoding || get(h, "grpc-accept-encoding") != c.accept || get(h, "grpc-timeout") != c.timeout {
			t.Errorf("%s: kind %d, %d bytes, %q %q %q %q", c.contentType, x.Kept.Bridge, x.Req.Length,
				get(h, "content-type"), get(h, "grpc-encoding"), get(h, "grpc-accept-encoding"), get(h, "grpc-timeout"))
		}
		if got := through(x.RequestBodyFuncs(), c.in); got != c.out {
			t.Errorf("%s: body %q, want %q", c.contentType, got, c.out)
		}
		if c.kind != 0 && (get(h, "te") != "trailers" || string(x.Req.Method) != "POST") {
			t.Errorf("%s: %s, TE %q", c.contentType, x.Req.Method, get(h, "te"))
		}
		if c.timeout != "" && x.Timeout != 1500*time.Millisecond {
			t.Errorf("timeout %v", x.Timeout)
		}
	}
}

func TestRefusals(t *testing.T) {
	b := New(&ir.Bridge{Connect: true, MaxMessageBytes: 1024})
	for _, x := range []*filter.Exchange{
		request("POST", "", "application/json", "{}", "Connect-Protocol-Version", "2"),
		request("POST", "", "application/json", "{}", "Connect-Timeout-Ms", "-1"),
		request("POST", "", "application/connect+json", "{}", "Connect-Timeout-Ms", "12345678901"),
		request("GET", "encoding=json&message=%zz", "", ""),
		request("GET", "encoding=json&message=e30&connect=v2", "", ""),
	} {
		if b.OnRequest(x) != filter.Reply || x.Local.Status != 400 || x.Replier == nil {
			t.Errorf("%+v", x.Local)
			continue
		}
		body := x.Replier.Reply(x, grpc.InvalidArgument, x.Local.Detail)
		if x.Kept.Bridge == connectUnary && (x.Resp.Status != 400 || !json.Valid(body) || !strings.Contains(string(body), `"invalid_argument"`)) {
			t.Errorf("%d %s", x.Resp.Status, body)
		}
	}
	if x := request("POST", "", "application/grpc-web", "x"); b.OnRequest(x) != filter.Continue || x.Kept.Bridge != 0 {
		t.Error("gRPC-Web is not asked for")
	}
}

func answer(x *filter.Exchange, header, trailer string) {
	r := &x.Resp
	r.Status, r.Body, r.Length = 200, httpmsg.BodyChunked, -1
	for _, part := range []struct {
		h    *httpmsg.Header
		text string
	}{{&r.Header, header}, {&r.Trailer, trailer}} {
		for line := range strings.Lines(part.text) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			part.h.Add([]byte(name), []byte(value))
		}
	}
}

func TestAnswers(t *testing.T) {
	b := New(&ir.Bridge{GRPCWeb: true, Connect: true, MaxMessageBytes: 1024})
	const head = "content-type: application/grpc+proto\ngrpc-encoding: gzip\nx-a: 1\n"
	const failed = "grpc-status: 5\ngrpc-message: no%20such\nx-t: 2\n"
	unary := func(header, held, trailer string) (*filter.Exchange, string) {
		x := request("POST", "", "application/proto", "m")
		b.OnRequest(x)
		answer(x, header, trailer)
		x.Held = []byte(held)
		b.OnResponse(x)
		body, _ := x.Replacement()
		return x, string(body)
	}
	x, body := unary(head, "\x01\x00\x00\x00\x02hi", "grpc-status: 0\nx-t: 2\n")
	h := &x.Resp.Header
	if x.Resp.Status != 200 || body != "hi" || get(h, "content-encoding") != "gzip" || get(h, "trailer-x-t") != "2" || get(h, "x-a") != "1" ||
		get(h, "content-type") != "application/proto" || get(h, "grpc-encoding") != "" {
		t.Errorf("%d %q %q", x.Resp.Status, body, get(h, "content-encoding"))
	}
	for _, c := range []struct {
		held, trailer string
		status        int
		code          string
	}{
		{"", failed, 404, "not_found"},
		{"", "grpc-status: 0\n", 501, "unimplemented"},
		{"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "grpc-status: 0\n", 501, "unimplemented"},
		{"\x00\x00\x00\x00\x09", "grpc-status: 0\n", 500, "internal"},
		{"\x00\x00\x00\x00\x00", "", 500, "internal"},
		{"", "grpc-status: 1\n", 499, "canceled"},
	} {
		x, body := unary(head, c.held, c.trailer)
		if x.Resp.Status != c.status || !strings.Contains(body, `"code":"`+c.code+`"`) || get(&x.Resp.Header, "content-type") != "application/json" {
			t.Errorf("%q %q: %d %s", c.held, c.trailer, x.Resp.Status, body)
		}
	}

	streaming := func(contentType, header, body, trailer string, broken error) (*filter.Exchange, string) {
		x := request("POST", "", contentType, "m")
		b.OnRequest(x)
		answer(x, header, trailer)
		b.OnResponse(x)
		var r io.Reader = strings.NewReader(body)
		if broken != nil {
			r = io.MultiReader(r, failing{broken})
		}
		for _, f := range x.ResponseBodyFuncs() {
			r = f(r)
		}
		out, err := io.ReadAll(r)
		if err != nil {
			t.Error(err)
		}
		return x, string(out)
	}
	x, body = streaming("application/connect+proto", head, "mmm", failed, nil)
	const end = `{"error":{"code":"not_found","message":"no such"},"metadata":{"x-t":["2"]}}`
	if body != "mmm\x02\x00\x00\x00"+string(rune(len(end)))+end || get(&x.Resp.Header, "connect-content-encoding") != "gzip" {
		t.Errorf("%q", body)
	}
	// A response of nothing but trailers, and what broke off.
	if _, body = streaming("application/grpc-web+proto", head+failed, "", "", nil); !strings.HasPrefix(body, "\x80\x00\x00\x00") ||
		!strings.Contains(body, "grpc-status: 5\r\n") || !strings.Contains(body, "x-a: 1\r\n") {
		t.Errorf("%q", body)
	}
	if x, body = streaming("application/grpc-web+proto", head, "mm", "", io.ErrUnexpectedEOF); !strings.HasPrefix(body, "mm\x80") ||
		!strings.Contains(body, "grpc-status: 14\r\n") || x.BrokenOff == nil {
		t.Errorf("%q", body)
	}
	if x, body = streaming("application/grpc-web-text", head, "m", "grpc-status: 0\n", nil); get(&x.Resp.Header, "content-type") != "application/grpc-web-text+proto" ||
		!strings.HasPrefix(body, "bQ==gAAAABB") {
		t.Errorf("%q", body)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

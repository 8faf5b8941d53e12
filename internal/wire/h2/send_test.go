package h2_test

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

func header(fields ...string) (h httpmsg.Header) {
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		h.Add([]byte(name), []byte(value))
	}
	return h
}

// What a request becomes on the wire, be it from HTTP/1.1 or HTTP/2.
func TestRequestsSent(t *testing.T) {
	for _, c := range []struct {
		name string
		req  httpmsg.Request
		want string
	}{
		{"fields of the connection stay behind", httpmsg.Request{
			Method: []byte("GET"), MethodID: httpmsg.MethodGet, Scheme: "https", Host: []byte("a:1"), Path: []byte("/x"), Query: []byte(""), HasQuery: true,
			Header: header("Host=b", "Connection=close", "Keep-Alive=5", "Transfer-Encoding=chunked", "Upgrade=h2c", "HTTP2-Settings=x", "Proxy-Connection=close", "Content-Length=7", "TE=trailers", "X-Mixed-Case=y"),
		}, "1 HEADERS :method=GET :scheme=https :path=/x? :authority=a:1 te=trailers x-mixed-case=y"},
		{"length", httpmsg.Request{Method: []byte("PUT"), MethodID: httpmsg.MethodPut, Host: []byte("a"), Path: []byte("/"), Body: httpmsg.BodyLength, Length: 12}, "1 HEADERS :method=PUT :scheme=http :path=/ :authority=a content-length=12"},
		{"asterisk", httpmsg.Request{Method: []byte("OPTIONS"), MethodID: httpmsg.MethodOptions, Host: []byte("a"), Path: []byte("*")}, "1 HEADERS :method=OPTIONS :scheme=http :path=* :authority=a"},
		{"CONNECT", httpmsg.Request{Method: []byte("CONNECT"), MethodID: httpmsg.MethodConnect, Host: []byte("a:443"), Path: []byte("/")}, "1 HEADERS :method=CONNECT :authority=a:443"},
		{"upgrade", httpmsg.Request{
			Method: []byte("GET"), MethodID: httpmsg.MethodGet, Host: []byte("a"), Path: []byte("/chat"), Upgrade: []byte("websocket"),
			Header: header("Upgrade=websocket", "Connection=Upgrade", "Sec-WebSocket-Version=13"),
		}, "1 HEADERS :method=CONNECT :protocol=websocket :scheme=http :path=/chat :authority=a sec-websocket-version=13"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := greeted(t, true, h2.Config{}, h2.Setting{ID: h2.SettingEnableConnectProtocol, Value: 1})
			if _, err := r.c.Open(&c.req, false, &r.resp, &r.arena); err != nil {
				t.Fatal(err)
			}
			r.want("sent", r.out(), c.want)
		})
	}
	r := greeted(t, true, h2.Config{})
	if _, err := r.c.Open(&httpmsg.Request{Upgrade: []byte("websocket")}, false, &r.resp, &r.arena); err != h2.ErrProtocol {
		t.Errorf("extended CONNECT to a server without it: %v", err)
	}
}

// What a response becomes on the wire.
func TestResponsesSent(t *testing.T) {
	for _, c := range []struct {
		name string
		resp httpmsg.Response
		end  bool
		want string
	}{
		{"length", httpmsg.Response{Status: 200, Body: httpmsg.BodyLength, Length: 5, Header: header("Content-Length=99", "Connection=close", "Server=x")}, false, "1 HEADERS :status=200 server=x content-length=5"},
		{"no length", httpmsg.Response{Status: 200, Body: httpmsg.BodyChunked, Length: -1, Header: header("Transfer-Encoding=chunked")}, false, "1 HEADERS :status=200"},
		{"empty", httpmsg.Response{Status: 200, Body: httpmsg.BodyLength}, true, "1 HEADERS :status=200 content-length=0 end"},
		{"204", httpmsg.Response{Status: 204, Body: httpmsg.BodyLength}, true, "1 HEADERS :status=204 end"},
		{"304", httpmsg.Response{Status: 304, Body: httpmsg.BodyNone, Length: 7, Header: header("Content-Length=7", "ETag=x")}, true, "1 HEADERS :status=304 etag=x content-length=7 end"},
		{"interim", httpmsg.Response{Status: 103, Body: httpmsg.BodyNone, Header: header("Link=x")}, true, "1 HEADERS :status=103 link=x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := greeted(t, false, h2.Config{})
			r.feed(r.get(1))
			if err := r.c.SendResponse(r.by[1], &c.resp, c.end); err != nil {
				t.Fatal(err)
			}
			r.want("sent", r.out(), c.want)
			err := r.c.SendResponse(r.by[1], &httpmsg.Response{Status: 200}, true)
			if interim := c.resp.Status < 200; interim != (err == nil) {
				t.Errorf("a second head: %v", err)
			}
		})
	}
}

// Nothing comes before the head, and trailers end.
func TestOrderOfSending(t *testing.T) {
	r := greeted(t, false, h2.Config{})
	r.feed(r.post(1))
	s := r.by[1]
	trailer := header("Grpc-Status=0", "Content-Length=3")
	if _, err := r.c.SendData(s, body(1), false); err != h2.ErrEnded {
		t.Errorf("content before the head: %v", err)
	}
	if err := r.c.SendTrailer(s, &trailer); err != h2.ErrEnded {
		t.Errorf("a trailer before the head: %v", err)
	}
	r.respond(s, false)
	if err := r.c.SendTrailer(s, &trailer); err != nil {
		t.Error(err)
	}
	r.send2(s)
	r.want("sent", r.out(), "1 HEADERS :status=200\n1 HEADERS grpc-status=0 end")
	// The answer is complete, and the rest of the request is not wanted (RFC 9113 §8.1).
	r.c.Reset(s, h2.NoError)
	r.want("reset", r.out(), "1 RST NO_ERROR")
	r.want("what was on its way", r.feed(h2.AppendData(nil, 1, []byte("late"), true)), "")
}

// A driver that lets go of an open stream ends it.
func TestRelease(t *testing.T) {
	r := greeted(t, false, h2.Config{})
	r.feed(join(r.post(1), r.get(3)))
	open := map[uint32]bool{}
	r.c.Each(func(s *h2.Stream) { open[s.ID()] = true })
	if len(open) != 2 || !open[1] || !open[3] {
		t.Errorf("open: %v", open)
	}
	r.c.Release(r.by[1])
	r.want("output", r.out(), "1 RST CANCEL")
	if r.c.Streams() != 1 {
		t.Errorf("%d streams are open", r.c.Streams())
	}
	// The next stream uses the same memory, and starts clean.
	r.feed(r.post(5))
	if s := r.by[5]; s != r.by[1] || s.Closed() || s.RemoteEnd() || s.LocalEnd() || s.Unread() != 0 || s.User != nil {
		t.Errorf("%+v", s)
	}
	defer func() {
		if recover() == nil {
			t.Error("a stream could be released twice")
		}
	}()
	r.c.Reset(r.by[3], h2.Cancel)
	r.c.Release(r.by[3])
	r.c.Release(r.by[3])
}

func TestInterimFlood(t *testing.T) {
	r := greeted(t, true, h2.Config{})
	r.open("GET", true)
	r.out()
	log := ""
	for i := 0; i < 100 && !strings.Contains(log, "reset"); i++ {
		log = r.feed(r.headers(1, false, ":status=103"))
	}
	r.want("events", log, "1 reset ENHANCE_YOUR_CALM for TooManyInterim")
}

// After an error of the connection nothing is received, and the reason is sent.
func TestClosed(t *testing.T) {
	r := greeted(t, false, h2.Config{})
	r.feed(r.get(1))
	r.c.Close(h2.InternalError)
	r.c.Close(h2.NoError)
	r.want("output", r.out(), "GOAWAY 1 INTERNAL_ERROR ")
	r.want("events", r.feed(r.get(3)), "! Closed")
	if !r.c.Done() || !r.c.Leaving() {
		t.Error("not done")
	}
}

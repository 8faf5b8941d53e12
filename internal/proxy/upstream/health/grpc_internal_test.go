package health

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

func TestCheckRequest(t *testing.T) {
	for service, want := range map[string]string{
		"":                       "\x00\x00\x00\x00\x00",
		"shop.Catalog":           "\x00\x00\x00\x00\x0e\n\x0cshop.Catalog",
		strings.Repeat("s", 200): "\x00\x00\x00\x00\xcb\n\xc8\x01" + strings.Repeat("s", 200),
	} {
		if got := appendCheckRequest(nil, service); string(got) != want {
			t.Errorf("%q: %q, want %q", service, got, want)
		}
	}
}

func TestCheckResponse(t *testing.T) {
	message := func(body string) []byte {
		return append([]byte{0, 0, 0, 0, byte(len(body))}, body...)
	}
	for name, c := range map[string]struct {
		in     []byte
		status uint64
		bad    bool
	}{
		"serving":          {in: message("\x08\x01"), status: 1},
		"default":          {in: message("")},
		"last counts":      {in: message("\x08\x01\x08\x02"), status: 2},
		"large":            {in: message("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), status: 1<<64 - 1},
		"other fields":     {in: message("\x12\x02hi\x19\x00\x00\x00\x00\x00\x00\x00\x00\x25\x00\x00\x00\x00\x30\x07\x08\x01"), status: 1},
		"nothing":          {bad: true},
		"short prefix":     {in: []byte{0, 0, 0}, bad: true},
		"compressed":       {in: []byte{1, 0, 0, 0, 0}, bad: true},
		"cut":              {in: []byte{0, 0, 0, 0, 2, 8}, bad: true},
		"two messages":     {in: append(message("\x08\x01"), message("\x08\x01")...), bad: true},
		"group":            {in: message("\x0b"), bad: true},
		"field 0":          {in: message("\x00\x01"), bad: true},
		"varint cut":       {in: message("\x08\x80"), bad: true},
		"varint too long":  {in: message("\x08" + strings.Repeat("\xff", 10) + "\x01"), bad: true},
		"bytes too long":   {in: message("\x12\x7fab"), bad: true},
		"bytes overflow":   {in: message("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), bad: true},
		"fixed of nothing": {in: message("\x19\x00"), bad: true},
	} {
		status, err := readCheckResponse(c.in)
		if status != c.status && !c.bad || (err != nil) != c.bad {
			t.Errorf("%s: %d, %v", name, status, err)
		}
	}
}

func TestVerdict(t *testing.T) {
	fields := func(h *httpmsg.Header, list ...string) {
		for i := 0; i < len(list); i += 2 {
			h.Add([]byte(list[i]), []byte(list[i+1]))
		}
	}
	for name, c := range map[string]struct {
		status        int
		head, trailer []string
		content, want string
	}{
		"serving":           {200, []string{"content-type", "application/grpc+proto"}, []string{"grpc-status", "0"}, "\x00\x00\x00\x00\x02\x08\x01", ""},
		"not serving":       {200, []string{"content-type", "application/grpc"}, []string{"grpc-status", "0"}, "\x00\x00\x00\x00\x02\x08\x02", "status NOT_SERVING"},
		"service unknown":   {200, []string{"content-type", "application/grpc"}, []string{"grpc-status", "0"}, "\x00\x00\x00\x00\x02\x08\x03", "status SERVICE_UNKNOWN"},
		"unknown":           {200, []string{"content-type", "application/grpc"}, []string{"grpc-status", "0"}, "\x00\x00\x00\x00\x00", "status UNKNOWN"},
		"of the future":     {200, []string{"content-type", "application/grpc"}, []string{"grpc-status", "0"}, "\x00\x00\x00\x00\x02\x08\x09", "status 9"},
		"trailers only":     {200, []string{"content-type", "application/grpc", "grpc-status", "5", "grpc-message", "unknown service"}, nil, "", `grpc-status "5", "unknown service"`},
		"no status":         {200, []string{"content-type", "application/grpc"}, nil, "\x00\x00\x00\x00\x02\x08\x01", "the answer has no grpc-status"},
		"no gRPC":           {200, []string{"content-type", "text/html"}, nil, "", `content-type "text/html" is not that of gRPC`},
		"nearly gRPC":       {200, []string{"content-type", "application/grpc-web"}, nil, "", `content-type "application/grpc-web" is not that of gRPC`},
		"HTTP":              {404, nil, nil, "", "HTTP status 404"},
		"no message":        {200, []string{"content-type", "application/grpc"}, []string{"grpc-status", "0"}, "", errMessage.Error()},
		"status after that": {200, []string{"content-type", "application/grpc"}, []string{"grpc-status", "14"}, "\x00\x00\x00\x00\x02\x08\x01", `grpc-status "14", ""`},
	} {
		answer := call{content: []byte(c.content)}
		answer.response.Status = c.status
		fields(&answer.response.Header, c.head...)
		fields(&answer.trailer, c.trailer...)
		got := ""
		if err := answer.verdict(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func FuzzCheckResponse(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x02\x08\x01"))
	f.Add([]byte("\x00\x00\x00\x00\x0d\x12\x02hi\x25\x00\x00\x00\x00\x08\x01\x30\x01"))
	f.Fuzz(func(t *testing.T, in []byte) {
		before := bytes.Clone(in)
		status, err := readCheckResponse(in)
		if !bytes.Equal(in, before) {
			t.Error("the input was changed")
		}
		if err != nil && status != 0 {
			t.Errorf("%d with %v", status, err)
		}
	})
}

//go:build !race

package h3

import (
	"bytes"
	"testing"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Reading and writing heads and content allocates nothing once buffers are there.
func TestNoAllocations(t *testing.T) {
	stream := append(frame(FrameHeaders, get("accept", "*/*", "user-agent", "curl/8", "x-own", "v", "content-length", "7")), frame(FrameData, []byte("content"))...)
	var r Reader
	var req httpmsg.Request
	var body Body
	var trailer httpmsg.Header
	var arena httpmsg.Arena
	src := new(bytes.Reader)
	out := make([]byte, 0, 4<<10)
	resp := httpmsg.Response{Status: 200, Body: httpmsg.BodyLength, Length: 7}
	resp.Header.Add([]byte("content-type"), []byte("text/plain"))
	resp.Header.Add([]byte("X-Own"), []byte("v"))
	once := func() {
		src.Reset(stream)
		r.Reset(src)
		if _, err := Head(&r); err != nil {
			t.Fatal(err)
		}
		block, err := r.Payload(nil)
		if err != nil {
			t.Fatal(err)
		}
		if bad := DecodeRequest(block, &limits, &req); bad != nil {
			t.Fatal(bad)
		}
		body.Begin(req.Length, &limits)
		if _, err := body.Next(&r, nil, &trailer, &arena); err != nil {
			t.Fatal(err)
		}
		r.Release()
		out = EndHeaders(AppendResponse(BeginHeaders(out[:0]), &resp), 0)
		out = AppendFrameHeader(out, FrameData, 7)
	}
	once()
	if n := testing.AllocsPerRun(200, once); n > 0 {
		t.Errorf("%v allocations for each request", n)
	}
}

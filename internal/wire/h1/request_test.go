package h1_test

import (
	"testing"

	"github.com/gridway/gridway/internal/wire/h1"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

func TestParseRequest(t *testing.T) {
	var r httpmsg.Request
	if err := h1.ParseRequest([]byte("\r\nPOST /a/./b%41?x=1 HTTP/1.1\r\nhost: Example.COM.:80\r\nX-A:  b c\t\r\ncontent-length: 007\r\n\r\n"), &r, nil); err != nil {
		t.Fatal(err)
	}
	if r.MethodID != httpmsg.MethodPost || string(r.Path) != "/a/bA" || string(r.Query) != "x=1" || !r.HasQuery ||
		string(r.Host) != "example.com:80" || r.Body != httpmsg.BodyLength || r.Length != 7 || !r.KeepAlive {
		t.Errorf("%+v", r)
	}
	if got, want := string(h1.AppendRequest(nil, &r)), "POST /a/bA?x=1 HTTP/1.1\r\nHost: example.com:80\r\nX-A: b c\r\nContent-Length: 7\r\n\r\n"; got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

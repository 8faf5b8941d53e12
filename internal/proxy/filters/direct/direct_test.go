package direct_test

import (
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/direct"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

func TestDirect(t *testing.T) {
	var x filter.Exchange
	r := direct.New(&ir.DirectResponse{Status: 418, Body: []byte("short"), Headers: []ir.Header{
		{Name: "X-A", Value: "1"},
		{Name: "x-a", Value: "2"},
		{Name: "Content-Length", Value: "99"},
		{Name: "Transfer-Encoding", Value: "chunked"},
		{Name: "X-B", Value: "a\r\nX-C: d"},
	}})
	if v := r.OnRequest(&x); v != filter.Reply {
		t.Fatalf("verdict %v", v)
	}
	if x.Local.Status != 418 || string(x.Local.Body) != "short" || x.Local.ContentType != "text/plain; charset=utf-8" {
		t.Errorf("reply %+v", x.Local)
	}
	if x.Resp.Header.Len() != 2 || string(x.Resp.Header.At(1).Value) != "2" {
		t.Errorf("%d fields", x.Resp.Header.Len())
	}
}

func TestContentType(t *testing.T) {
	var x filter.Exchange
	direct.New(&ir.DirectResponse{Status: 200, Body: []byte("{}"), Headers: []ir.Header{{Name: "content-type", Value: "application/json"}}}).OnRequest(&x)
	if x.Local.ContentType != "application/json" || x.Resp.Header.Has(httpmsg.NameContentType) {
		t.Errorf("reply %+v", x.Local)
	}
	x.Reset()
	direct.New(&ir.DirectResponse{Status: 204}).OnRequest(&x)
	if x.Local.ContentType != "" || x.Local.Body != nil {
		t.Errorf("reply %+v", x.Local)
	}
}

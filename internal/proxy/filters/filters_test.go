package filters_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/accesslist"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters"
	"github.com/gridway/gridway/internal/proxy/schema"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

func order(c filters.Chain) string {
	var out []string
	for _, f := range c.Guard {
		out = append(out, strings.TrimPrefix(fmt.Sprintf("%T", f), "*"))
	}
	for _, f := range c.Request {
		out = append(out, strings.TrimPrefix(fmt.Sprintf("%T", f), "*"))
	}
	out = append(out, "|")
	for _, f := range c.Response {
		out = append(out, strings.TrimPrefix(fmt.Sprintf("%T", f), "*"))
	}
	return strings.Join(out, " ")
}

func all() ir.Filters {
	return ir.Filters{
		RequestHeaders: &ir.HeaderMods{}, ResponseHeaders: &ir.HeaderMods{}, Redirect: &ir.Redirect{},
		Rewrite: &ir.Rewrite{}, CORS: &ir.CORS{},
	}
}

func TestOrder(t *testing.T) {
	r := &ir.Rule{Filters: all(), Policy: ir.RoutePolicy{
		Authentication: &ir.Authentication{}, Shield: &ir.Shield{CSRF: &ir.CSRF{Policy: "a/b"}, Headers: &ir.SecurityHeaders{Policy: "a/b"}},
		Fault: &ir.Fault{}, Direct: &ir.DirectResponse{}, Bridge: &ir.Bridge{}, Transcoding: &ir.Transcoding{},
		Compression: &ir.Compression{Algorithms: []string{"gzip"}, DecompressRequests: true, DecompressResponses: true},
	}}
	const want = "cors.CORS shield.Shield authentication.Authentication transcode.Transcode bridge.Bridge transcode.Recode compress.Compress fault.Fault redirect.Redirect direct.Response decompress.Request headers.Request rewrite.Rewrite" +
		" | transcode.Transcode transcode.Recode bridge.Bridge decompress.Response headers.Response shield.Headers cors.CORS compress.Compress"
	if got := order(filters.ForRule(r, filters.Deps{Schemas: schema.New(schema.Options{}), Lists: accesslist.New()})); got != want {
		t.Errorf("rule:\n%s, want\n%s", got, want)
	}
	f := all()
	const backend = "cors.CORS redirect.Redirect headers.Request rewrite.Rewrite | headers.Response cors.CORS"
	if got := order(filters.ForBackend(&f)); got != backend {
		t.Errorf("backend:\n%s, want\n%s", got, backend)
	}
	if got := order(filters.ForRule(&ir.Rule{}, filters.Deps{})) + order(filters.ForBackend(&ir.Filters{})); got != "||" {
		t.Errorf("nothing configured, but %s", got)
	}
}

// A chain of the usual filters costs an exchange no allocation.
func TestAllocatesNothing(t *testing.T) {
	r := &ir.Rule{Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.Prefix, Value: "/api"}}}, Filters: ir.Filters{
		RequestHeaders:  &ir.HeaderMods{Set: []ir.Header{{Name: "X-Env", Value: "prod"}}, Remove: []string{"Cookie"}},
		ResponseHeaders: &ir.HeaderMods{Add: []ir.Header{{Name: "X-Served-By", Value: "gridway"}}},
		Rewrite:         &ir.Rewrite{Hostname: "inner", Path: &ir.PathModifier{Type: ir.Prefix, Value: "/v2"}},
		CORS:            &ir.CORS{AllowOrigins: []string{"https://a.example"}},
	}}
	c := filters.ForRule(r, filters.Deps{})
	x := &filter.Exchange{Match: &r.Matches[0]}
	path, origin := []byte("/api/x"), []byte("https://a.example")
	if n := testing.AllocsPerRun(100, func() {
		x.Req.Reset()
		x.Resp.Reset()
		x.Reset()
		x.Match = &r.Matches[0]
		x.Req.Path = path
		x.Req.Header.AddID(httpmsg.NameOrigin, origin)
		for _, list := range [...][]filter.RequestFilter{c.Guard, c.Request} {
			for _, f := range list {
				if f.OnRequest(x) != filter.Continue {
					t.Fatal("a filter replied")
				}
			}
		}
		for _, f := range c.Response {
			f.OnResponse(x)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if string(x.Req.Path) != "/v2/x" || string(x.Req.Host) != "inner" || x.Resp.Header.Len() != 3 {
		t.Errorf("%s%s with %d response fields", x.Req.Host, x.Req.Path, x.Resp.Header.Len())
	}
}

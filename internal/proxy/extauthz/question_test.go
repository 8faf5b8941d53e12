package extauthz

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/callout"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// paths lists the fields of a message, "1.4.2.5=shop.example", those that are
// messages by their content.
func paths(t *testing.T, b []byte, at string, messages map[string]bool) (out []string) {
	t.Helper()
	err := callout.EachField(b, func(field protowire.Number, v []byte, n uint64) error {
		name := strings.TrimPrefix(fmt.Sprintf("%s.%d", at, field), ".")
		switch {
		case v == nil:
			out = append(out, fmt.Sprintf("%s=%d", name, n))
		case messages[name]:
			out = append(out, paths(t, v, name, messages)...)
		default:
			out = append(out, fmt.Sprintf("%s=%s", name, v))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func asked() *filter.Exchange {
	x := exchange()
	r := &x.Req
	r.Method, r.MethodID, r.Host, r.Path, r.Scheme, r.Version, r.Length = []byte("POST"), httpmsg.MethodPost, []byte("shop.example"), []byte("/cart"), "https", httpmsg.HTTP2, 12
	r.Header.Add([]byte("cookie"), []byte("y=2"))
	r.Header.Add([]byte("X-List"), []byte("b\xff"))
	r.Header.Add([]byte("Authorization"), []byte("Bearer t"))
	r.Header.Add([]byte("Content-Type"), []byte("text/plain"))
	x.RequestID = []byte("id-1")
	x.Start = time.Unix(1700000000, 5)
	x.Client = netip.MustParseAddr("203.0.113.7")
	x.PeerAddr = netip.MustParseAddrPort("[::ffff:203.0.113.7]:4711")
	x.LocalAddr = netip.MustParseAddrPort("10.0.0.1:443")
	return x
}

func TestCheckRequest(t *testing.T) {
	messages := map[string]bool{}
	for _, name := range []string{"1", "1.1", "1.1.1", "1.1.1.1", "1.2", "1.2.1", "1.2.1.1", "1.4", "1.4.1", "1.4.2", "1.4.2.3", "1.10", "1.12"} {
		messages[name] = true
	}
	s := New(&ir.ExternalAuth{GRPC: true, Send: ir.HeaderSet{All: true}, Context: []ir.Header{{Name: "tenant", Value: "acme"}}}, "", nil)
	got := strings.Join(paths(t, s.appendCheck(nil, asked(), nil, true), "", messages), "\n")
	want := strings.Join([]string{
		"1.1.1.1.2=203.0.113.7", "1.1.1.1.3=4711", "1.2.1.1.2=10.0.0.1", "1.2.1.1.3=443",
		"1.4.1.1=1700000000", "1.4.1.2=5",
		"1.4.2.1=id-1", "1.4.2.2=POST",
		"1.4.2.3.1=:authority", "1.4.2.3.2=shop.example", "1.4.2.3.1=:method", "1.4.2.3.2=POST",
		"1.4.2.3.1=:path", "1.4.2.3.2=/cart?a=1&b=2&c", "1.4.2.3.1=:scheme", "1.4.2.3.2=https",
		"1.4.2.3.1=cookie", "1.4.2.3.2=x=1; y=2", "1.4.2.3.1=x-user", "1.4.2.3.2=root", "1.4.2.3.1=x_user", "1.4.2.3.2=root",
		"1.4.2.3.1=x-keep", "1.4.2.3.2=1", "1.4.2.3.1=x-list", "1.4.2.3.2=a,b\uFFFD",
		"1.4.2.3.1=authorization", "1.4.2.3.2=Bearer t", "1.4.2.3.1=content-type", "1.4.2.3.2=text/plain",
		"1.4.2.4=/cart?a=1&b=2&c", "1.4.2.5=shop.example", "1.4.2.6=https", "1.4.2.10=HTTP/2", "1.4.2.9=12",
		"1.10.1=tenant", "1.10.2=acme",
	}, "\n")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}

	withBody := New(&ir.ExternalAuth{GRPC: true, MaxBody: 8}, "", nil)
	for body, want := range map[string]string{"text": "1.4.2.11=text", "\xff": "1.4.2.12=\xff"} {
		got := paths(t, withBody.appendCheck(nil, asked(), []byte(body), false), "", messages)
		if !slices.Contains(got, want) || !slices.Contains(got, "1.4.2.3.1=x-envoy-auth-partial-body") || !slices.Contains(got, "1.4.2.3.2=true") {
			t.Errorf("%q", got)
		}
	}

	few := New(&ir.ExternalAuth{GRPC: true, Send: ir.HeaderSet{Names: []string{"x-keep"}}}, "", nil)
	if got := slices.DeleteFunc(paths(t, few.appendCheck(nil, asked(), nil, true), "", messages), func(p string) bool { return !strings.HasPrefix(p, "1.4.2.3.") }); fmt.Sprint(got) != "[1.4.2.3.1=x-keep 1.4.2.3.2=1]" {
		t.Error(got)
	}
}

func TestQuestionByHTTP(t *testing.T) {
	for _, c := range []struct {
		cfg  ir.ExternalAuth
		want string
	}{
		{ir.ExternalAuth{}, "POST shop.example /cart | Authorization: Bearer t"},
		{ir.ExternalAuth{Prefix: "/verify/", Get: true, Send: ir.HeaderSet{Names: []string{"cookie", "x-forwarded-for"}}}, "GET shop.example /verify/cart | Cookie: x=1, cookie: y=2, Authorization: Bearer t"},
		{ir.ExternalAuth{Send: ir.HeaderSet{All: true}}, "POST shop.example /cart | " + was + ", cookie: y=2, X-List: b\xff, Authorization: Bearer t"},
	} {
		x := asked()
		x.Req.Header.Add([]byte("X-Forwarded-For"), []byte("1.2.3.4"))
		x.Req.Header.Add([]byte("x-forwarded-uri"), []byte("/admin"))
		x.Req.Header.Add([]byte("Host"), []byte("other"))
		var q callout.Call
		New(&c.cfg, "", nil).askHTTP(&q, x)
		r := &q.Request
		got := fmt.Sprintf("%s %s %s | %s", r.Method, r.Host, r.Path, fields(&r.Header))
		if string(r.Query) != "a=1&b=2&c" {
			t.Errorf("query %q", r.Query)
		}
		want := c.want + ", X-Forwarded-Method: POST, X-Forwarded-Uri: /cart?a=1&b=2&c, X-Forwarded-Host: shop.example, X-Forwarded-Proto: https, X-Forwarded-For: 203.0.113.7"
		if got != want {
			t.Errorf("%+v:\n got %s\nwant %s", c.cfg, got, want)
		}
	}
}

// A server that gets all headers does not get what the mesh is told of the caller; one
// that is to have it does.
func TestCallerIsNotTold(t *testing.T) {
	for _, c := range []struct {
		send ir.HeaderSet
		want bool
	}{{ir.HeaderSet{All: true}, false}, {ir.HeaderSet{Names: []string{"x-keep"}}, false}, {ir.HeaderSet{Names: []string{"gridway-caller"}}, true}, {ir.HeaderSet{All: true, Names: []string{"Gridway-Caller"}}, true}} {
		x := asked()
		x.Req.Header.AddID(httpmsg.NameGridwayCaller, []byte("to.ken.s"))
		s := New(&ir.ExternalAuth{Send: c.send}, "", nil)
		var q callout.Call
		s.askHTTP(&q, x)
		if q.Request.Header.Has(httpmsg.NameGridwayCaller) != c.want {
			t.Errorf("by HTTP, %+v: %s", c.send, fields(&q.Request.Header))
		}
		if got := s.appendCheck(nil, x, nil, true); bytes.Contains(got, []byte("to.ken.s")) != c.want {
			t.Errorf("by gRPC, %+v: %q", c.send, got)
		}
	}
}

func TestAnswersByHTTP(t *testing.T) {
	s := New(&ir.ExternalAuth{
		Take: ir.HeaderSet{Names: []string{"x-user", "connection"}}, Allowed: ir.HeaderSet{Names: []string{"set-cookie"}}, Denied: ir.HeaderSet{Names: []string{"x-why"}},
	}, "", nil)
	for _, c := range []struct {
		status int
		want   string
	}{
		{200, "true | X-User: ada | Set-Cookie: a, Set-Cookie: b"},
		{299, "true | X-User: ada | Set-Cookie: a, Set-Cookie: b"},
		{302, `false | 302 "body" | Location: /login, X-Why: so, Content-Type: text/plain`},
		{499, `false | 499 "body" | Location: /login, X-Why: so, Content-Type: text/plain`},
		{500, "the server answers with status 500"},
		{101, "protocol: status 101 is none of an answer"},
	} {
		q := callout.Call{Answer: []byte("body")}
		q.Response.Status = c.status
		for _, h := range []string{"X-User: ada", "Set-Cookie: a", "Set-Cookie: b", "Location: /login", "X-Why: so", "X-Other: 1", "Content-Type: text/plain", "Content-Length: 4", "Connection: close", "Alt-Svc: h3"} {
			name, value, _ := strings.Cut(h, ": ")
			q.Response.Header.Add([]byte(name), []byte(value))
		}
		a, err := s.answerHTTP(&q)
		x := &filter.Exchange{}
		var got string
		switch {
		case err != nil:
			got = err.Error()
		case a.Allowed:
			a.Admit(x)
			Responses{}.OnResponse(x)
			got = fmt.Sprintf("true | %s | %s", fields(&x.Req.Header), fields(&x.Resp.Header))
		default:
			a.Deny(x, "default/p", "")
			got = fmt.Sprintf("false | %d %q | %s", x.Local.Status, x.Local.Body, fields(&x.Resp.Header))
		}
		if got != c.want {
			t.Errorf("%d:\n got %s\nwant %s", c.status, got, c.want)
		}
	}
}

func TestAsk(t *testing.T) {
	x := asked()
	s := New(&ir.ExternalAuth{Problem: "it is not there"}, "", nil)
	if _, err := s.Ask(x); !errors.Is(err, errUnresolved) {
		t.Error(err)
	}
	s = New(&ir.ExternalAuth{Cluster: "auth", Timeout: time.Second}, "", nil)
	x.Call = func(q *callout.Call) error {
		if q.Cluster != "auth" || q.Timeout != time.Second || q.MaxAnswer != maxAnswer {
			t.Errorf("%+v", q)
		}
		return &callout.Error{Kind: callout.Timeout}
	}
	if _, err := s.Ask(x); err == nil {
		t.Error("a server that does not answer has answered")
	}
	x.Call = func(*callout.Call) error { return callout.ErrImagined }
	if a, err := s.Ask(x); err != nil || !a.Allowed {
		t.Error(a, err)
	}
}

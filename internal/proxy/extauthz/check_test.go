package extauthz

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

func inside(field protowire.Number, content ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), slices.Concat(content...))
}

func str(field protowire.Number, s string) []byte { return inside(field, []byte(s)) }

func num(field protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), n)
}

func option(field protowire.Number, name, value string, more ...[]byte) []byte {
	return inside(field, append([][]byte{inside(1, str(1, name), str(2, value))}, more...)...)
}

func grpcServer() *Server {
	return New(&ir.ExternalAuth{GRPC: true, Send: ir.HeaderSet{All: true}, Take: ir.HeaderSet{All: true}}, "", nil)
}

func exchange() *filter.Exchange {
	x := &filter.Exchange{}
	r := &x.Req
	r.Query, r.HasQuery = []byte("a=1&b=2&c"), true
	for _, h := range []string{"Cookie: x=1", "X-User: root", "x_user: root", "X-Keep: 1", "X-List: a"} {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add([]byte(name), []byte(value))
	}
	return x
}

func fields(h *httpmsg.Header) string {
	var out []string
	for i := range h.Len() {
		f := h.At(i)
		out = append(out, fmt.Sprintf("%s: %s", f.Name, f.Value))
	}
	return strings.Join(out, ", ")
}

const (
	ok     = "\x0a\x00"         // status {}
	refuse = "\x0a\x02\x08\x07" // status {code: 7}
	was    = "Cookie: x=1, X-User: root, x_user: root, X-Keep: 1, X-List: a"
)

func TestCheckResponses(t *testing.T) {
	appendTrue, appendFalse := inside(2, num(1, 1)), inside(2, num(1, 0))
	for _, c := range []struct {
		name string
		text []byte
		want string
	}{
		{"nothing at all", nil, was + " ? a=1&b=2&c"},
		{"a status", []byte(ok), was + " ? a=1&b=2&c"},
		{"a header takes all that look like it away", inside(3, option(2, "x-user", "ada")), "Cookie: x=1, X-Keep: 1, X-List: a, x-user: ada ? a=1&b=2&c"},
		{"the last one of a name holds", inside(3, option(2, "x-keep", "2"), option(2, "x-keep", "3")), "Cookie: x=1, X-User: root, x_user: root, X-List: a, x-keep: 3 ? a=1&b=2&c"},
		{"one is appended", inside(3, option(2, "x-list", "b", appendTrue)), was + ", x-list: b ? a=1&b=2&c"},
		{"one is not", inside(3, option(2, "x-list", "b", appendFalse)), "Cookie: x=1, X-User: root, x_user: root, X-Keep: 1, x-list: b ? a=1&b=2&c"},
		{"one where there is none", inside(3, option(2, "x-list", "b", num(3, 1)), option(2, "x-new", "b", num(3, 1))), was + ", x-new: b ? a=1&b=2&c"},
		{"one where there is one", inside(3, option(2, "x-list", "b", num(3, 3)), option(2, "x-new", "b", num(3, 3))), "Cookie: x=1, X-User: root, x_user: root, X-Keep: 1, X-List: b ? a=1&b=2&c"},
		{"bytes", inside(3, inside(2, inside(1, str(1, "x-new"), str(3, "\xff")))), was + ", x-new: \xff ? a=1&b=2&c"},
		{"headers go", inside(3, str(5, "X-USER"), str(5, "Cookie")), "X-Keep: 1, X-List: a ? a=1&b=2&c"},
		{"what is ours stays", inside(3, option(2, "Content-Length", "1"), option(2, "host", "x"), option(2, ":method", "PUT"), str(5, "host"), option(2, "Transfer-Encoding", "chunked")), was + " ? a=1&b=2&c"},
		{"the query", inside(3, inside(7, str(1, "a"), str(2, "x y")), inside(7, str(1, "é"), str(2, "&")), str(8, "c")), was + " ? b=2&a=x%20y&%C3%A9=%26"},
		{"no query is left", inside(3, str(8, "a"), str(8, "b"), str(8, "c")), was + " ?"},
		{"unknown fields", slices.Concat([]byte(ok), inside(99, str(1, "x")), num(98, 1)), was + " ? a=1&b=2&c"},

		{"a refusal", []byte(refuse), `403 ExternalDenied "the request is refused" ""`},
		{"one with a response", append([]byte(refuse), inside(2, inside(1, num(1, 429)), option(2, "retry-after", "1"), option(2, "set-cookie", "a"), option(2, "set-cookie", "b"), option(2, "connection", "x"), str(3, "slow"))...), `429 ExternalDenied "" "slow" retry-after: 1, set-cookie: a, set-cookie: b`},
		{"one without a status", append([]byte(refuse), inside(2, str(3, ""))...), `403 ExternalDenied "" ""`},
		{"one that would change the request", append([]byte(refuse), inside(3, option(2, "x-user", "ada"))...), `403 ExternalDenied "the request is refused" ""`},

		{"both at once", append([]byte(ok), inside(2, inside(1, num(1, 403)))...), "protocol: the status is OK, and the response is a denied one"},
		{"a status that answers nothing", append([]byte(refuse), inside(2, inside(1, num(1, 100)))...), "protocol: status 100 cannot deny a request"},
		{"a line break", inside(3, option(2, "x-a", "a\r\nb: c")), "protocol: the value of header x-a has a control character"},
		{"no name", inside(3, option(2, "", "a")), `protocol: "" is not the name of a header`},
		{"a bad name", inside(3, option(2, "a b", "a")), `protocol: "a b" is not the name of a header`},
		{"too much", inside(3, slices.Repeat(str(5, "a"), 257)), "protocol: it changes more than 256 things"},
		{"cut", inside(3, str(5, "a"))[:4], "protocol: unexpected EOF"},
		{"NaN", inside(4, inside(1, str(1, "a"), inside(2, protowire.AppendFixed64(protowire.AppendTag(nil, 2, protowire.Fixed64Type), 0x7ff8000000000001)))), "protocol: a number of the metadata is none of JSON"},
	} {
		x := exchange()
		a, err := grpcServer().parseCheck(c.text)
		var got string
		switch {
		case err != nil:
			got = malformed("%w", err).Error()
		case a.Allowed:
			a.Admit(x)
			got = fields(&x.Req.Header) + " ?"
			if x.Req.HasQuery {
				got += " " + string(x.Req.Query)
			}
		default:
			a.Deny(x, "default/p", "")
			got = strings.TrimSpace(fmt.Sprintf("%d %s %q %q %s", x.Local.Status, x.Local.Reason, x.Local.Detail, x.Local.Body, fields(&x.Resp.Header)))
		}
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestResponsesOfAllowedRequests(t *testing.T) {
	a, err := grpcServer().parseCheck(inside(3,
		option(6, "x-a", "added"), option(6, "x-b", "b", num(3, 1)), option(6, "x-c", "c", num(3, 2)), option(6, "x-d", "d", num(3, 3)), option(6, "x-e", "e", inside(2, num(1, 0)))))
	if err != nil {
		t.Fatal(err)
	}
	x := exchange()
	for _, name := range []string{"X-A", "X-B", "X-C", "X-E"} {
		x.Resp.Header.Add([]byte(name), []byte("was"))
	}
	a.Admit(x)
	Responses{}.OnResponse(x)
	if got := fields(&x.Resp.Header); got != "X-A: was, X-B: was, x-a: added, x-c: c, x-e: e" {
		t.Error(got)
	}
}

// What the endpoint may be told is the configuration's to say.
func TestOnlySomeHeadersAreTaken(t *testing.T) {
	s := New(&ir.ExternalAuth{GRPC: true, Take: ir.HeaderSet{Names: []string{"x-user", "x-list"}}, Replace: true}, "", nil)
	a, err := s.parseCheck(inside(3, option(2, "X-User", "ada"), option(2, "x-keep", "2")))
	if err != nil {
		t.Fatal(err)
	}
	x := exchange()
	s.Replaced(x)
	a.Admit(x)
	if got := fields(&x.Req.Header); got != "Cookie: x=1, X-Keep: 1, X-User: ada" {
		t.Error(got)
	}
}

func TestMetadata(t *testing.T) {
	f64 := func(bits uint64) []byte {
		return protowire.AppendFixed64(protowire.AppendTag(nil, 2, protowire.Fixed64Type), bits)
	}
	entry := func(name string, value ...[]byte) []byte { return inside(1, str(1, name), inside(2, value...)) }
	text := inside(4,
		entry("sub", str(3, "ada")), entry("n", f64(0x4045000000000000)), entry("yes", num(4, 1)), entry("none", num(1, 0)),
		entry("deep", inside(5, entry("list", inside(6, inside(1, str(3, "a")), inside(1, str(3, "b"))))))) // 42
	for name, b := range map[string][]byte{"of the response": text, "of the OK response": inside(3, append([]byte{0x1a}, text[1:]...))} {
		a, err := grpcServer().parseCheck(b)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(a.Claims.Values()); got != "map[deep:map[list:[a b]] n:42 none:<nil> sub:ada yes:true]" || a.Claims.Subject != "ada" {
			t.Errorf("%s: %s", name, got)
		}
	}
	deep := str(3, "x")
	for range 40 {
		deep = inside(6, inside(1, deep))
	}
	if _, err := grpcServer().parseCheck(inside(4, entry("a", deep))); err != errTooDeep {
		t.Error(err)
	}
}

func FuzzCheckResponse(f *testing.F) {
	f.Add([]byte(ok))
	f.Add(append([]byte(refuse), inside(2, inside(1, num(1, 429)), option(2, "a", "b"), str(3, "slow"))...))
	f.Add(inside(3, option(2, "x-user", "ada"), str(5, "b"), option(6, "c", "d", num(3, 2)), inside(7, str(1, "a"), str(2, "b")), str(8, "c")))
	f.Add(inside(4, inside(1, str(1, "a"), inside(2, inside(6, inside(1, num(4, 1)))))))
	s := grpcServer()
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := s.parseCheck(text)
		if err != nil {
			return
		}
		x := exchange()
		if a.Allowed {
			a.Admit(x)
		} else {
			a.Deny(x, "default/p", "")
			if x.Local.Status < 200 || x.Local.Status > 599 {
				t.Errorf("status %d", x.Local.Status)
			}
		}
		a.OnResponse(x)
		for _, h := range []*httpmsg.Header{&x.Req.Header, &x.Resp.Header} {
			for i := range h.Len() {
				if f := h.At(i); checkField(f.Name, f.Value) != nil || ours.Has(f.ID) && f.ID != httpmsg.NameOther {
					t.Errorf("%q: %q", f.Name, f.Value)
				}
			}
		}
	})
}

package trace

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

// hop is a record whose try n leads to the next hop.
func hop(span, parent string, at int, tries ...string) *Record {
	r := &Record{TraceID: "t", SpanID: span, ParentID: parent, Start: start.Add(time.Duration(at)), RequestID: "r"}
	for i, s := range tries {
		r.Tries = append(r.Tries, Try{Number: i + 1, SpanID: s})
	}
	return r
}

func shape(roots []*Node) string {
	var b strings.Builder
	Walk(roots, func(n *Node, depth int) { fmt.Fprintf(&b, "%s%s/%d ", strings.Repeat(">", depth), n.SpanID, n.Through) })
	return strings.TrimSpace(b.String())
}

func TestTree(t *testing.T) {
	for _, c := range []struct {
		name, want string
		in         []*Record
	}{
		{"none", "", nil},
		{"edge and two tries", "e/0 >a/1 >b/2", []*Record{hop("b", "e2", 3), hop("a", "e1", 2), hop("e", "", 1, "e1", "e2")}},
		{"three hops", "e/0 >i/1 >>o/1", []*Record{hop("e", "", 1, "e1"), hop("i", "e1", 2, "i1"), hop("o", "i1", 3)}},
		{"an application's own span between", "e/0 o/0", []*Record{hop("e", "", 1, "e1"), hop("o", "x", 3)}},
		{"by the span itself", "e/0 >a/0", []*Record{hop("e", "", 1), hop("a", "e", 2)}},
		{"its own parent", "e/0", []*Record{hop("e", "e", 1)}},
		{"each other's parents", "a/0 >b/0", []*Record{hop("a", "b", 1), hop("b", "a", 2)}},
		{"twice the same span", "e/0 e/0", []*Record{hop("e", "", 1), hop("e", "", 2)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := shape(Tree(c.in)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestOfRequest(t *testing.T) {
	other := hop("x", "", 1, "x1")
	other.RequestID = "other"
	deep := hop("o", "i1", 4)
	deep.RequestID = "made anew by an application"
	list := OfRequest([]*Record{other, hop("i", "x1", 2, "i1"), deep}, "r")
	if len(list) != 2 || list[0].SpanID != "i" || list[1].SpanID != "o" {
		t.Errorf("%v", list)
	}
}

func TestSummarize(t *testing.T) {
	a, b, c := hop("e", "", 1, "e1", "e2"), hop("a", "e2", 3), hop("z", "", 9)
	b.Side, b.Of, b.Failed = Inbound, "Service/shop/cart", true
	c.TraceID = "u"
	got := Summarize([]*Record{b, a, c})
	if len(got) != 2 || got[0].TraceID != "u" || got[1].Records != 2 || got[1].Tries != 2 || !got[1].Failed || !reflect.DeepEqual(got[1].Services, []string{"Service/shop/cart"}) {
		t.Errorf("%+v", got)
	}
}

func TestQueriesAsText(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ in, want, err string }{
		{"", "", ""},
		{"slow=true&errors=true", "errors=true&slow=1s", ""},
		{"slow=250ms&limit=5&service=shop%2Fcart&route=cart&notable=true", "limit=5&notable=true&route=cart&service=shop%2Fcart&slow=250ms", ""},
		{"since=15m", "since=2026-11-22T11%3A45%3A00Z", ""},
		{"since=2026-11-22T10:00:00Z&slow=false&errors=false", "since=2026-11-22T10%3A00%3A00Z", ""},
		{"trace=00000000000000010000000000000002&request=r", "request=r&trace=00000000000000010000000000000002", ""},
		{"trace=1", "", `trace must be 32 hexadecimal digits in lower case, not all zero, and is "1"`},
		{"slow=often", "", `slow must be true or a duration such as 250ms, and is "often"`},
		{"slow=-1s", "", `slow must be true or a duration such as 250ms, and is "-1s"`},
		{"errors=x", "", `errors must be true or false, and is "x"`},
		{"since=yesterday", "", `since must be a duration such as 15m or a time such as 2026-11-22T10:00:00Z, and is "yesterday"`},
		{"since=9999-01-01T00:00:00Z", "", `since must be a duration such as 15m or a time such as 2026-11-22T10:00:00Z, and is "9999-01-01T00:00:00Z"`},
		{"edge=true", "edge=true", ""},
		{"edge=maybe", "", `edge must be true or false, and is "maybe"`},
		{"limit=0", "", `limit must be a number from 1 to 1000, and is "0"`},
		{"limit=1001", "", `limit must be a number from 1 to 1000, and is "1001"`},
		{"limit=1&limit=2", "", "limit is given 2 times"},
		{"route=", "", "route must have 1 to 256 bytes"},
		{"colour=red", "", `there is no parameter "colour"; there are trace, request, slow, errors, notable, edge, service, route, since and limit`},
	} {
		t.Run(c.in, func(t *testing.T) {
			v, err := url.ParseQuery(c.in)
			if err != nil {
				t.Fatal(err)
			}
			q, err := ParseQuery(v, now)
			if err != nil {
				if err.Error() != c.err {
					t.Fatalf("error %q, want %q", err, c.err)
				}
				return
			}
			if got := q.Values().Encode(); got != c.want || c.err != "" {
				t.Fatalf("got %q, want %q and error %q", got, c.want, c.err)
			}
			again, err := ParseQuery(q.Values(), now)
			if err != nil || !reflect.DeepEqual(again, q) {
				t.Errorf("read again: %+v, %v", again, err)
			}
		})
	}
}

func FuzzParseQuery(f *testing.F) {
	f.Add("slow=250ms&limit=5&service=a%2Fb&since=15m&trace=00000000000000010000000000000002")
	f.Add("errors&notable=true&request=r&route=HTTPRoute/a/b")
	f.Fuzz(func(t *testing.T, text string) {
		v, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		q, err := ParseQuery(v, start)
		if err != nil {
			return
		}
		again, err := ParseQuery(q.Values(), start)
		if err != nil || again.Values().Encode() != q.Values().Encode() {
			t.Fatalf("%+v is read again as %+v, %v", q, again, err)
		}
		New(MinMemory).Find(q)
	})
}

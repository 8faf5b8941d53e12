package httpmsg_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

func allNames() (ids []httpmsg.Name) {
	for id := httpmsg.NameOther + 1; id.String() != ""; id++ {
		ids = append(ids, id)
	}
	return ids
}

func TestLookupName(t *testing.T) {
	ids := allNames()
	if len(ids) < 100 || len(ids) > 127 {
		t.Fatalf("%d names; Header.present has room for 127", len(ids))
	}
	for _, id := range ids {
		name := id.String()
		for _, s := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			if got := httpmsg.LookupName([]byte(s)); got != id {
				t.Errorf("LookupName(%q) = %d, want %d", s, got, id)
			}
		}
		// One byte off is another name: each byte changed in each bit, cut and extended.
		for i := range name {
			for bit := range 8 {
				b := []byte(name)
				b[i] ^= 1 << bit
				want := httpmsg.NameOther
				for _, other := range ids {
					if httpmsg.EqualFold(other.String(), b) {
						want = other
					}
				}
				if got := httpmsg.LookupName(b); got != want {
					t.Errorf("LookupName(%q) = %d, want %d", b, got, want)
				}
			}
		}
		if httpmsg.LookupName([]byte(name+"x")) != httpmsg.NameOther {
			t.Errorf("%sx is known", name)
		}
	}
	if httpmsg.LookupName(nil) != httpmsg.NameOther {
		t.Error("the empty name is known")
	}
	if httpmsg.LookupName([]byte(strings.Repeat("x", 200))) != httpmsg.NameOther {
		t.Error("a long name is known")
	}
}

func TestHeaderEdits(t *testing.T) {
	var h httpmsg.Header
	b := func(s string) []byte { return []byte(s) }
	h.Add(b("ACCEPT"), b("a"))
	h.Add(b("X-One"), b("1"))
	h.AddID(httpmsg.NameVia, b("v1"))
	h.Add(b("x-one"), b("2"))
	h.Add(b("via"), b("v2"))
	if h.Len() != 5 || string(h.At(0).Name) != "ACCEPT" || h.At(0).ID != httpmsg.NameAccept {
		t.Fatalf("fields: %s", dump(&h))
	}
	if got := h.AppendJoined(nil, httpmsg.NameVia); string(got) != "v1, v2" {
		t.Errorf("joined = %q", got)
	}
	if string(h.GetName(b("X-ONE"))) != "1" || string(h.GetString("accept")) != "a" || h.Count(httpmsg.NameVia) != 2 {
		t.Error("get by name")
	}
	h.SetName(b("X-ONE"), b("3"))
	h.Set(httpmsg.NameVia, b("v3"))
	if got, want := dump(&h), "ACCEPT=a X-One=3 Via=v3 "; got != want {
		t.Errorf("after Set: %s, want %s", got, want)
	}
	h.Set(httpmsg.NameServer, b("s"))
	h.SetName(b("X-New"), b("n"))
	h.Del(httpmsg.NameAccept)
	h.DelName(b("x-one"))
	h.DelName(b("VIA"))
	h.DelName(b("nothing"))
	if got, want := dump(&h), "Server=s X-New=n "; got != want {
		t.Errorf("after Del: %s, want %s", got, want)
	}
	if h.Has(httpmsg.NameVia) || h.Get(httpmsg.NameVia) != nil || h.HasName(b("x-one")) || h.GetName(b("x-one")) != nil {
		t.Error("deleted fields are still found")
	}
	h.DelFunc(func(f *httpmsg.Field) bool { return f.ID == httpmsg.NameServer })
	if h.Has(httpmsg.NameServer) || h.Len() != 1 {
		t.Errorf("after DelFunc: %s", dump(&h))
	}
	h.AddID(httpmsg.NameVary, nil)
	h.AddID(httpmsg.NameDate, nil)
	h.AddID(httpmsg.NameVary, nil)
	vary := httpmsg.MakeNameSet(httpmsg.NameVary, httpmsg.NameETag)
	if h.DelSet(&vary); dump(&h) != "X-New=n Date= " || h.Has(httpmsg.NameVary) || !h.Has(httpmsg.NameDate) || h.HasAny(&vary) {
		t.Errorf("after DelSet: %s", dump(&h))
	}
	h.Reset()
	if h.Len() != 0 || h.Has(httpmsg.NameOther) {
		t.Error("reset")
	}
}

func dump(h *httpmsg.Header) string {
	var s strings.Builder
	for i := range h.Len() {
		f := h.At(i)
		s.WriteString(string(f.Name) + "=" + string(f.Value) + " ")
	}
	return s.String()
}

func TestHasToken(t *testing.T) {
	var h httpmsg.Header
	h.AddID(httpmsg.NameConnection, []byte(" , keep-alive ,, Upgrade"))
	h.AddID(httpmsg.NameConnection, []byte("x"))
	for token, want := range map[string]bool{"upgrade": true, "Keep-Alive": true, "x": true, "": false, "keep": false} {
		if h.HasToken(httpmsg.NameConnection, token) != want {
			t.Errorf("HasToken(%q) != %v", token, want)
		}
	}
}

func TestArena(t *testing.T) {
	var a httpmsg.Arena
	var kept [][]byte
	for i := range 300 {
		kept = append(kept, a.Copy(bytes.Repeat([]byte{byte(i)}, 40)))
		_ = append(a.CopyString("guard"), "xxxx"...)
	}
	for i, b := range kept {
		if len(b) != 40 || cap(b) != 40 || bytes.Count(b, []byte{byte(i)}) != 40 {
			t.Fatalf("slice %d was overwritten: %v", i, b)
		}
	}
	if got := a.Concat([]byte("a"), nil, []byte("bc")); string(got) != "abc" {
		t.Errorf("Concat = %q", got)
	}
	if got := a.Lower([]byte("aBC-1")); string(got) != "abc-1" {
		t.Errorf("Lower = %q", got)
	}
	part := []byte("a")
	if n := testing.AllocsPerRun(100, func() {
		a.Reset()
		for range 200 {
			a.Copy(kept[0])
			a.Concat(part, part)
		}
	}); n != 0 {
		t.Errorf("%v allocations in steady state", n)
	}
}

func TestMethods(t *testing.T) {
	for m, flags := range map[string][2]bool{
		"GET": {true, true}, "HEAD": {true, true}, "OPTIONS": {true, true}, "TRACE": {true, true},
		"PUT": {false, true}, "DELETE": {false, true}, "POST": {}, "PATCH": {}, "CONNECT": {},
	} {
		id := httpmsg.LookupMethod([]byte(m))
		if id.String() != m || id.Safe() != flags[0] || id.Idempotent() != flags[1] {
			t.Errorf("%s: %v safe=%v idempotent=%v", m, id, id.Safe(), id.Idempotent())
		}
	}
	for _, m := range []string{"", "get", "GOT", "PUTS", "POSX", "PAT", "XXXXXX", "CONNECt"} {
		if httpmsg.LookupMethod([]byte(m)) != httpmsg.MethodOther {
			t.Errorf("%q is known", m)
		}
	}
}

func TestRequestEdits(t *testing.T) {
	var r httpmsg.Request
	r.SetPath([]byte("x/y"))
	r.SetQuery(nil)
	r.SetHost([]byte("Example.COM:80"))
	if got := r.AppendPathAndQuery(nil); string(got) != "/x/y?" || string(r.Host) != "example.com:80" {
		t.Errorf("target %q host %q", got, r.Host)
	}
	r.Reset()
	if r.Path != nil || r.HasQuery {
		t.Error("reset")
	}
}

func TestStatusText(t *testing.T) {
	// net/http keeps the phrases of RFC 7231 and older.
	renamed := map[int]string{413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}
	for code := -1; code < 1000; code++ {
		want, ok := renamed[code]
		if !ok {
			want = http.StatusText(code)
		}
		if got := httpmsg.StatusText(code); got != want {
			t.Errorf("%d: %q, want %q", code, got, want)
		}
	}
}

func TestHeaderAllocatesNothing(t *testing.T) {
	var h httpmsg.Header
	name, value, other := []byte("Content-Type"), []byte("v"), []byte("X-Other")
	use := func() {
		h.Reset()
		for range 10 {
			h.Add(name, value)
			h.Add(other, value)
		}
		h.SetName(other, value)
		h.Set(httpmsg.NameVary, value)
		h.Del(httpmsg.NameContentType)
		h.GetString("x-other")
	}
	use()
	if n := testing.AllocsPerRun(100, use); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLookupName(b *testing.B) {
	names := [][]byte{[]byte("user-agent"), []byte("Accept"), []byte("X-Forwarded-For"), []byte("X-Unknown-Thing")}
	for b.Loop() {
		for _, n := range names {
			httpmsg.LookupName(n)
		}
	}
}

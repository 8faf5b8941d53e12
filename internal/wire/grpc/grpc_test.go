package grpc_test

import (
	"bytes"
	"mime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/grpc"
)

func TestCodes(t *testing.T) {
	for v, want := range map[string]grpc.Code{"0": grpc.OK, "14": grpc.Unavailable, "16": grpc.Unauthenticated, "17": grpc.Unknown, "4294967295": grpc.Unknown} {
		if c, ok := grpc.ParseCode([]byte(v)); !ok || c != want {
			t.Errorf("ParseCode(%q) = %v, %v", v, c, ok)
		}
	}
	for _, v := range []string{"", "00", "01", "-1", "1 ", "x", "99999999999"} {
		if c, ok := grpc.ParseCode([]byte(v)); ok || c != grpc.Unknown {
			t.Errorf("ParseCode(%q) = %v, %v", v, c, ok)
		}
	}
	for c := range grpc.Code(grpc.Codes) {
		if back, ok := grpc.ParseCode(c.Text()); !ok || back != c {
			t.Errorf("%v: text %q reads as %v, %v", c, c.Text(), back, ok)
		}
		if fault := c.HTTPStatus() >= 500 && c != grpc.Unimplemented; fault != c.Fault() {
			t.Errorf("%v: status %d, fault %v", c, c.HTTPStatus(), c.Fault())
		}
	}
	if grpc.OfHTTP(503) != grpc.Unavailable || grpc.OfHTTP(404) != grpc.Unimplemented || grpc.OfHTTP(418) != grpc.Unknown {
		t.Error("statuses of HTTP")
	}
	if grpc.OfReset(7) != grpc.Unavailable || grpc.OfReset(8) != grpc.Cancelled || grpc.OfReset(0) != grpc.Internal {
		t.Error("codes of HTTP/2")
	}
	if s := grpc.Code(200).String(); s != "CODE(200)" || string(grpc.Code(200).Text()) != "2" {
		t.Error(s)
	}
}

func TestTimeouts(t *testing.T) {
	for v, want := range map[string]time.Duration{
		"0n": 0, "1n": 1, "100u": 100 * time.Microsecond, "99999999m": 99999999 * time.Millisecond, "3S": 3 * time.Second,
		"2M": 2 * time.Minute, "1H": time.Hour, "99999999H": grpc.MaxTimeout, "00000010S": 10 * time.Second,
	} {
		if d, ok := grpc.ParseTimeout([]byte(v)); !ok || d != want {
			t.Errorf("ParseTimeout(%q) = %v, %v", v, d, ok)
		}
	}
	for _, v := range []string{"", "1", "S", "-1S", "+1S", "1.5S", "1s", "1h", "1 S", "123456789S", "1SS", "0x1S"} {
		if d, ok := grpc.ParseTimeout([]byte(v)); ok {
			t.Errorf("ParseTimeout(%q) = %v", v, d)
		}
	}
	for d, want := range map[time.Duration]string{
		-1: "1n", 0: "1n", 5 * time.Millisecond: "5000000n", time.Second: "1000000u", 1500 * time.Microsecond: "1500000n",
		time.Hour: "3600000m", 1_000_000 * time.Hour: "60000000M", grpc.MaxTimeout: "2557920H",
	} {
		if got := string(grpc.AppendTimeout(nil, d)); got != want {
			t.Errorf("AppendTimeout(%v) = %s, want %s", d, got, want)
		}
	}
}

func TestMessages(t *testing.T) {
	for m, want := range map[string]string{"": "", "plain ~ text": "plain ~ text", "100%": "100%25", "a\nb": "a%0Ab", "é": "%C3%A9", "\x7f": "%7F"} {
		got := grpc.AppendMessage(nil, m)
		if string(got) != want {
			t.Errorf("AppendMessage(%q) = %s, want %s", m, got, want)
		}
		if back := grpc.AppendDecoded(nil, got); string(back) != m {
			t.Errorf("%q comes back as %q", m, back)
		}
	}
	if got := grpc.AppendDecoded(nil, []byte("%zz%4%41%")); string(got) != "%zz%4A%" {
		t.Errorf("broken encoding: %q", got)
	}
}

func TestContentTypes(t *testing.T) {
	for v, want := range map[string]bool{
		"application/grpc": true, "application/grpc+proto": true, "Application/GRPC; x=y": true, "application/grpc ": true,
		"application/grpc-web": false, "application/grpc-web+proto": false, "application/json": false, "": false, "application/grp": false,
	} {
		if got := grpc.IsContentType([]byte(v)); got != want {
			t.Errorf("%q: %v", v, got)
		}
	}
}

func TestPushback(t *testing.T) {
	if d, ok := grpc.ParsePushback([]byte("150")); !ok || d != 150*time.Millisecond {
		t.Error(d, ok)
	}
	for _, v := range []string{"", "-1", "x", "2147483648", "99999999999"} {
		if d, ok := grpc.ParsePushback([]byte(v)); ok {
			t.Errorf("%q: %v", v, d)
		}
	}
}

func TestSplitPath(t *testing.T) {
	for v, want := range map[string][2]string{"/shop.v1.Catalog/Get": {"shop.v1.Catalog", "Get"}, "/a/b/C": {"a/b", "C"}, "/a/b": {"a", "b"}} {
		if s, m, ok := grpc.SplitPath([]byte(v)); !ok || string(s) != want[0] || string(m) != want[1] {
			t.Errorf("%q: %q %q %v", v, s, m, ok)
		}
	}
	for _, v := range []string{"", "/", "/a", "//a", "/a/", "a/b/c", "*"} {
		if s, m, ok := grpc.SplitPath([]byte(v)); ok {
			t.Errorf("%q: %q %q", v, s, m)
		}
	}
}

func FuzzTimeout(f *testing.F) {
	for _, v := range []string{"1S", "99999999H", "0n", "12345678m", "x"} {
		f.Add([]byte(v))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		d, ok := grpc.ParseTimeout(v)
		if !ok {
			return
		}
		if d < 0 || d > grpc.MaxTimeout {
			t.Fatalf("%q: %v", v, d)
		}
		// What is passed on is never longer, and never much shorter.
		out := grpc.AppendTimeout(nil, d)
		back, ok := grpc.ParseTimeout(out)
		if !ok || back > max(d, 1) || d-back > d/1000 {
			t.Fatalf("%q: %v is passed on as %q: %v", v, d, out, back)
		}
	})
}

func FuzzMessage(f *testing.F) {
	for _, v := range []string{"plain", "100%", "%C3%A9", "%", "%2", "\xff\x00"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, m string) {
		enc := grpc.AppendMessage(nil, m)
		for _, c := range enc {
			if c < ' ' || c > '~' {
				t.Fatalf("%q: byte %#x in %q", m, c, enc)
			}
		}
		if back := grpc.AppendDecoded(nil, enc); string(back) != m {
			t.Fatalf("%q: %q comes back as %q", m, enc, back)
		}
		grpc.AppendDecoded(nil, []byte(m))
	})
}

// FuzzFields: numbers are those of strconv, a content type is gRPC's if it is so
// without its parameters, and a path is put together again from its parts.
func FuzzFields(f *testing.F) {
	for _, v := range []string{"0", "16", "17", "007", "-1", "2147483648", "4294967295", "application/grpc+proto; x=y", "application/grpc-web", "/shop.v1.Catalog/Get", "//a", "/a/"} {
		f.Add([]byte(v))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		plain := len(v) > 0 && len(v) <= 10 && len(bytes.Trim(v, "0123456789")) == 0
		n, _ := strconv.ParseInt(string(v), 10, 64)
		want, isCode := grpc.Unknown, plain && (len(v) == 1 || v[0] != '0')
		if isCode && n < grpc.Codes {
			want = grpc.Code(n)
		}
		if c, ok := grpc.ParseCode(v); ok != isCode || c != want {
			t.Fatalf("code %q: %v, %v, want %v, %v", v, c, ok, want, isCode)
		}
		wait, isWait := time.Duration(0), plain && n < 1<<31
		if isWait {
			wait = time.Duration(n) * time.Millisecond
		}
		if d, ok := grpc.ParsePushback(v); ok != isWait || d != wait {
			t.Fatalf("pushback %q: %v, %v, want %v, %v", v, d, ok, wait, isWait)
		}
		if media, _, err := mime.ParseMediaType(string(v)); err == nil {
			if own := media == "application/grpc" || strings.HasPrefix(media, "application/grpc+"); own != grpc.IsContentType(v) && v[0] != ' ' && v[0] != '\t' {
				t.Fatalf("content type %q is %q", v, media)
			}
		}
		service, method, ok := grpc.SplitPath(v)
		if ok && ("/"+string(service)+"/"+string(method) != string(v) || len(service) == 0 || len(method) == 0 || bytes.IndexByte(method, '/') >= 0) {
			t.Fatalf("path %q: %q, %q", v, service, method)
		}
	})
}

// A reply says the codec of the call again, and nothing else that a client has made up.
func TestReplyType(t *testing.T) {
	for in, want := range map[string]string{
		"": "application/grpc", "application/grpc": "application/grpc", "application/grpc+json": "application/grpc+json",
		"application/grpc+proto; charset=x": "application/grpc+proto", "application/grpc ;a=b": "application/grpc",
		"Application/GRPC+Json": "Application/GRPC+Json", "application/grpc-web": "application/grpc", "text/html": "application/grpc",
		"application/grpc+" + strings.Repeat("x", 100): "application/grpc",
	} {
		if got := string(grpc.ReplyType([]byte(in))); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

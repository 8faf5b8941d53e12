package httpmsg_test

import (
	"bytes"
	"testing"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

var pathCases = []struct {
	in, plain, merged string // "" means refused
}{
	{"/", "/", "/"},
	{"/a/b", "/a/b", "/a/b"},
	{"/a/b/", "/a/b/", "/a/b/"},
	{"//", "//", "/"},
	{"//a", "//a", "/a"},
	{"/a//b///c", "/a//b///c", "/a/b/c"},
	{"/a//", "/a//", "/a/"},
	{"/.", "/", "/"},
	{"/./", "/", "/"},
	{"/a/.", "/a/", "/a/"},
	{"/a/./b", "/a/b", "/a/b"},
	{"/a/..", "/", "/"},
	{"/a/../", "/", "/"},
	{"/a/../b", "/b", "/b"},
	{"/a/b/..", "/a/", "/a/"},
	{"/a/b/../../c", "/c", "/c"},
	{"/a//../b", "/a/b", "/b"},
	{"/a/b/./../g", "/a/g", "/a/g"},
	{"/..", "", ""},
	{"/../", "", ""},
	{"/../x", "", ""},
	{"/a/../../x", "", ""},
	{"//..", "/", ""},
	{"/%2e%2e/x", "", ""},
	{"/a/%2E%2e/x", "/x", "/x"},
	{"/a/.%2e/x", "/x", "/x"},
	{"/a/%2e/x", "/a/x", "/a/x"},
	{"/%41%7a%30%2D%5f%7E", "/Az0-_~", "/Az0-_~"},
	{"/%c3%a9", "/%C3%A9", "/%C3%A9"},
	{"/a%2fb", "/a%2Fb", "/a%2Fb"},
	{"/a%2Fb/../c", "/c", "/c"},
	{"/a%2F..", "", ""},
	{"/..%2fa", "", ""},
	{"/a%2f%2e%2e%2fb", "", ""},
	{"/a%5c..%5cb", "", ""},
	{"/a%2F...", "/a%2F...", "/a%2F..."},
	{"/..;/a", "", ""},
	{"/a/..;x=1/b", "", ""},
	{"/a/.;/b", "", ""},
	{"/a;b=..", "/a;b=..", "/a;b=.."},
	{"/...", "/...", "/..."},
	{"/..a/.b", "/..a/.b", "/..a/.b"},
	{"/%252e%252e/", "/%252e%252e/", "/%252e%252e/"},
	{"/%20", "/%20", "/%20"},
	{"/%00", "", ""},
	{"/a%00b", "", ""},
	{"/%", "", ""},
	{"/%4", "", ""},
	{"/%zz", "", ""},
	{"/%4g", "", ""},
	{"/%u0041", "", ""},
	{"", "", ""},
	{"a", "", ""},
	{"*", "", ""},
}

func TestNormalizePath(t *testing.T) {
	for _, c := range pathCases {
		for merge, want := range map[bool]string{false: c.plain, true: c.merged} {
			out, ok := httpmsg.NormalizePath(nil, []byte(c.in), merge)
			if ok != (want != "") || string(out) != want {
				t.Errorf("NormalizePath(%q, merge=%v) = %q, %v; want %q", c.in, merge, out, ok, want)
			}
		}
	}
}

func FuzzNormalizePath(f *testing.F) {
	for _, c := range pathCases {
		f.Add([]byte(c.in), true)
		f.Add([]byte(c.in), false)
	}
	f.Fuzz(func(t *testing.T, src []byte, merge bool) {
		before := bytes.Clone(src)
		out, ok := httpmsg.NormalizePath(make([]byte, 0, len(src)), src, merge)
		if !bytes.Equal(before, src) {
			t.Fatal("source changed")
		}
		if !ok {
			return
		}
		if len(out) > len(src) || out[0] != '/' {
			t.Fatalf("%q → %q", src, out)
		}
		for _, segment := range bytes.Split(out[1:], []byte("/")) {
			if s := string(segment); s == "." || s == ".." {
				t.Fatalf("%q → %q keeps a dot segment", src, out)
			}
		}
		if merge && bytes.Contains(out, []byte("//")) {
			t.Fatalf("%q → %q keeps a double slash", src, out)
		}
		again, ok := httpmsg.NormalizePath(nil, out, merge)
		if !ok || !bytes.Equal(again, out) {
			t.Fatalf("%q → %q → %q: not stable", src, out, again)
		}
	})
}

func TestNormalizePathAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 64)
	for _, in := range []string{"/a/b/c", "/a/./b/%41/../c"} {
		src := []byte(in)
		if n := testing.AllocsPerRun(100, func() { httpmsg.NormalizePath(dst, src, true) }); n != 0 {
			t.Errorf("%s: %v allocations", in, n)
		}
	}
}

func BenchmarkNormalizePath(b *testing.B) {
	src := []byte("/api/v1/customers/4711/orders")
	for b.Loop() {
		httpmsg.NormalizePath(nil, src, true)
	}
}

package h1_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/wire/h1"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

func TestRefusedRequests(t *testing.T) {
	cases := badRequests
	for _, host := range badHosts {
		cases = append(cases, badCase{"Host " + host, "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n", 400, "InvalidHost"})
	}
	names := map[string]bool{}
	for _, c := range cases {
		if names[c.name] {
			t.Errorf("two cases are called %q", c.name)
		}
		names[c.name] = true
		var r httpmsg.Request
		err := h1.ParseRequest([]byte(c.in), &r, nil)
		if err := mismatch(err, c); err != "" {
			t.Errorf("%s: %s", c.name, err)
		}
		if n, code := feedRequest([]byte(c.in)); n != 0 || code != c.code {
			t.Errorf("%s, byte by byte: n=%d, %s", c.name, n, code)
		}
	}
}

func mismatch(err error, c badCase) string {
	var e *h1.Error
	if !errors.As(err, &e) {
		return fmt.Sprintf("error %v, want %s", err, c.code)
	}
	if e.Status != c.status || e.Code != c.code {
		return fmt.Sprintf("%d %s, want %d %s", e.Status, e.Code, c.status, c.code)
	}
	return ""
}

// feedRequest gives a head a byte at a time and returns its length, or the code
// of the error.
func feedRequest(in []byte) (int, string) {
	var r httpmsg.Request
	step := 1
	if len(in) > 10000 {
		step = 997
	}
	for i := 0; ; i = min(i+step, len(in)) {
		n, err := h1.ParseRequestHead(in[:i:i], &r, nil)
		if err != nil {
			return 0, codeOf(err)
		}
		if n > 0 || i == len(in) {
			return n, ""
		}
	}
}

// describe is all that a request says, as text.
func describe(r *httpmsg.Request) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s %s?%s %v host=%s v=%d body=%d/%d", r.Method, r.Path, r.Query, r.HasQuery, r.Host, r.Version, r.Body, r.Length)
	if r.KeepAlive {
		s.WriteString(" keep")
	}
	if r.ExpectContinue {
		s.WriteString(" expect")
	}
	if len(r.Upgrade) > 0 {
		s.WriteString(" upgrade=" + string(r.Upgrade))
	}
	s.WriteString(fields(&r.Header))
	return s.String()
}

func fields(h *httpmsg.Header) string {
	var s strings.Builder
	for i := range h.Len() {
		fmt.Fprintf(&s, " [%s: %s]", h.At(i).Name, h.At(i).Value)
	}
	return s.String()
}

var goodRequests = []struct{ name, in, want string }{
	{"plain", get + end, "GET /? false host=a v=11 body=0/0 keep"},
	{"curl", curlRequest, "GET /api/v1/items? false host=shop.example.com v=11 body=0/0 keep [User-Agent: curl/8.5.0] [Accept: */*]"},
	{"empty lines in front", "\r\n\r\n" + get + end, "GET /? false host=a v=11 body=0/0 keep"},
	{"query", "GET /a?b=c?d/../e%zz HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a?b=c?d/../e%zz true host=a v=11 body=0/0 keep"},
	{"empty query", "GET /a? HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a? true host=a v=11 body=0/0 keep"},
	{"what browsers leave unescaped", "GET /a|b^c`{}[]?\"<>\\{}|^` HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a|b^c`{}[]?\"<>\\{}|^` true host=a v=11 body=0/0 keep"},
	{"normalised", "GET /a/./b/../%41%2f%7e HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a/A%2F~? false host=a v=11 body=0/0 keep"},
	{"dot across words", "GET /abcdef/./b HTTP/1.1\r\nHost: a\r\n\r\n", "GET /abcdef/b? false host=a v=11 body=0/0 keep"},
	{"double slash kept", "GET //a//b HTTP/1.1\r\nHost: a\r\n\r\n", "GET //a//b? false host=a v=11 body=0/0 keep"},
	{"own method", "PURGE / HTTP/1.1\r\nHost: a\r\n\r\n", "PURGE /? false host=a v=11 body=0/0 keep"},
	{"lower-case method is another", "get / HTTP/1.1\r\nHost: a\r\n\r\n", "get /? false host=a v=11 body=0/0 keep"},
	{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", "GET /? false host= v=10 body=0/0"},
	{"HTTP/1.0 with Host", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", "GET /? false host=a v=10 body=0/0"},
	{"HTTP/1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET /? false host= v=10 body=0/0 keep [Connection: Keep-Alive]"},
	{"HTTP/1.0 keep-alive, close", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "GET /? false host= v=10 body=0/0 [Connection: keep-alive, close]"},
	{"HTTP/1.2 is 1.1", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", "GET /? false host=a v=11 body=0/0 keep"},
	{"close", get + "Connection: x, CLOSE\r\n\r\n", "GET /? false host=a v=11 body=0/0 [Connection: x, CLOSE]"},
	{"close and keep-alive", get + "Connection: close\r\nConnection: keep-alive\r\n\r\n", "GET /? false host=a v=11 body=0/0 [Connection: close] [Connection: keep-alive]"},
	{"absolute", "GET http://B.example:8080/x?y HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x?y true host=b.example:8080 v=11 body=0/0 keep"},
	{"absolute https", "GET HTTPS://b HTTP/1.1\r\nHost: b\r\n\r\n", "GET /? false host=b v=11 body=0/0 keep"},
	{"absolute with query alone", "GET http://b?x HTTP/1.1\r\nHost: b\r\n\r\n", "GET /?x true host=b v=11 body=0/0 keep"},
	{"absolute OPTIONS", "OPTIONS http://b HTTP/1.1\r\nHost: b\r\n\r\n", "OPTIONS *? false host=b v=11 body=0/0 keep"},
	{"absolute HTTP/1.0", "GET http://b/ HTTP/1.0\r\n\r\n", "GET /? false host=b v=10 body=0/0"},
	{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS *? false host=a v=11 body=0/0 keep"},
	{"CONNECT", "CONNECT B:443 HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT /? false host=b:443 v=11 body=0/0 keep"},
	{"CONNECT to IPv6", "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\nContent-Length: 0\r\n\r\n", "CONNECT /? false host=[::1]:443 v=11 body=1/0 keep [Content-Length: 0]"},
	{"value trimmed", get + "X:\t y \t z\t \r\n\r\n", "GET /? false host=a v=11 body=0/0 keep [X: y \t z]"},
	{"empty value", get + "X:\r\nY: \r\n\r\n", "GET /? false host=a v=11 body=0/0 keep [X: ] [Y: ]"},
	{"obs-text", get + "X: caf\xc3\xa9 \xff\r\n\r\n", "GET /? false host=a v=11 body=0/0 keep [X: caf\xc3\xa9 \xff]"},
	{"odd but valid name", get + "!#$%&'*+-.^_`|~9: y\r\n\r\n", "GET /? false host=a v=11 body=0/0 keep [!#$%&'*+-.^_`|~9: y]"},
	{"colons in value", get + "X:::y: z\r\n\r\n", "GET /? false host=a v=11 body=0/0 keep [X: ::y: z]"},
	{"Content-Length", post + "Content-Length: 5\r\n\r\n", "POST /? false host=a v=11 body=1/5 keep [Content-Length: 5]"},
	{"Content-Length and white space", post + "Content-Length:\t5\t\r\n\r\n", "POST /? false host=a v=11 body=1/5 keep [Content-Length: 5]"},
	{"Content-Length with leading zeros", post + "Content-Length: 00000000000000000000005\r\n\r\n", "POST /? false host=a v=11 body=1/5 keep [Content-Length: 00000000000000000000005]"},
	{"Content-Length 2^63-1", post + "Content-Length: 9223372036854775807\r\n\r\n", "POST /? false host=a v=11 body=1/9223372036854775807 keep [Content-Length: 9223372036854775807]"},
	{"GET with content", get + "Content-Length: 5\r\n\r\n", "GET /? false host=a v=11 body=1/5 keep [Content-Length: 5]"},
	{"chunked", post + "Transfer-Encoding: chunked\r\n\r\n", "POST /? false host=a v=11 body=2/-1 keep [Transfer-Encoding: chunked]"},
	{"chunked in capitals", post + "TRANSFER-ENCODING: \tCHUNKED \r\n\r\n", "POST /? false host=a v=11 body=2/-1 keep [TRANSFER-ENCODING: CHUNKED]"},
	{"expectation", post + "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n", "POST /? false host=a v=11 body=1/1 keep expect [Expect: 100-Continue] [Content-Length: 1]"},
	{"expectation without content", get + "Expect: 100-continue\r\n\r\n", "GET /? false host=a v=11 body=0/0 keep"},
	{"expectation in HTTP/1.0", "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", "POST /? false host= v=10 body=1/1 [Content-Length: 1]"},
	{"upgrade", get + "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n", "GET /? false host=a v=11 body=0/0 keep upgrade=websocket [Connection: keep-alive, Upgrade] [Upgrade: websocket]"},
	{"upgrade not named in Connection", get + "Upgrade: websocket\r\n\r\n", "GET /? false host=a v=11 body=0/0 keep [Upgrade: websocket]"},
	{"upgrade in HTTP/1.0", "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "GET /? false host= v=10 body=0/0 [Connection: upgrade] [Upgrade: websocket]"},
	{"upgrade to h2c", get + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n", "GET /? false host=a v=11 body=0/0 keep [Connection: Upgrade, HTTP2-Settings] [Upgrade: h2c]"},
	{"upgrade to h2c in a list", get + "Connection: Upgrade\r\nUpgrade: websocket, H2C\r\n\r\n", "GET /? false host=a v=11 body=0/0 keep [Connection: Upgrade] [Upgrade: websocket, H2C]"},
	{"upgrade to TLS", get + "Connection: Upgrade\r\nUpgrade: TLS/1.2, HTTP/1.1\r\n\r\n", "GET /? false host=a v=11 body=0/0 keep [Connection: Upgrade] [Upgrade: TLS/1.2, HTTP/1.1]"},
	{"upgrade twice", get + "Connection: Upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n\r\n", "GET /? false host=a v=11 body=0/0 keep [Connection: Upgrade] [Upgrade: a] [Upgrade: b]"},
	{"browser", browserRequest, ""},
	{"six", sixRequest, ""},
}

func TestAcceptedRequests(t *testing.T) {
	for _, c := range goodRequests {
		var r, again httpmsg.Request
		if err := h1.ParseRequest([]byte(c.in), &r, nil); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := describe(&r); c.want != "" && got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
		// What follows is not looked at, and every truncation wants more.
		more := []byte(c.in + "\x00\n garbage")
		if n, err := h1.ParseRequestHead(more, &again, nil); n != len(c.in) || err != nil || describe(&again) != describe(&r) {
			t.Errorf("%s, with more behind it: n=%d %v %s", c.name, n, err, describe(&again))
		}
		for i := range len(c.in) {
			if n, err := h1.ParseRequestHead([]byte(c.in[:i]), &again, nil); n != 0 || err != nil {
				t.Errorf("%s, cut at %d: n=%d, %v", c.name, i, n, err)
			}
			if err := h1.ParseRequest([]byte(c.in[:i]), &again, nil); err == nil || codeOf(err) != "Incomplete" {
				t.Errorf("%s, cut at %d: %v, want Incomplete", c.name, i, err)
			}
		}
		if err := h1.ParseRequest([]byte(c.in+"x"), &again, nil); err == nil || codeOf(err) != "TrailingData" {
			t.Errorf("%s, with a byte more: %v", c.name, err)
		}
	}
}

func TestHosts(t *testing.T) {
	for in, want := range map[string]string{
		"a": "a", "A": "a", "EXAMPLE.com": "example.com", "example.com.": "example.com", "Example.com.:80": "example.com:80", "a:": "a", "a.:": "a",
		"shop.example.com:8080": "shop.example.com:8080", "shop.example.com:": "shop.example.com", "shop.Example.com:65535": "shop.example.com:65535", "a:0": "a:0", "a:00080": "a:00080",
		"127.0.0.1:80": "127.0.0.1:80", "my_service-1~x": "my_service-1~x", "xn--caf-dma.example": "xn--caf-dma.example",
		"[::1]": "[::1]", "[::]:80": "[::]:80", "[2001:DB8::1]:8080": "[2001:db8::1]:8080", "[1:2:3:4:5:6:7:8]": "[1:2:3:4:5:6:7:8]", "[::ffff:1.2.3.4]": "[::ffff:1.2.3.4]",
		"[1:2:3:4:5:6:1.2.3.4]": "[1:2:3:4:5:6:1.2.3.4]", "[1::8]:": "[1::8]", "[1:2:3:4:5:6:7::]": "[1:2:3:4:5:6:7::]", strings.Repeat("a", 255): strings.Repeat("a", 255),
	} {
		var r httpmsg.Request
		head := []byte("GET / HTTP/1.1\r\nHost: " + in + "\r\n\r\n")
		before := bytes.Clone(head)
		if err := h1.ParseRequest(head, &r, nil); err != nil || string(r.Host) != want {
			t.Errorf("Host %q: %q, %v; want %q", in, r.Host, err, want)
		}
		if !bytes.Equal(head, before) {
			t.Errorf("Host %q: the buffer was changed", in)
		}
	}
}

func TestRequestLimits(t *testing.T) {
	head := []byte("GET /abc HTTP/1.1\r\nHost: a\r\nX: y\r\nX: z\r\n\r\n")
	for _, c := range []struct {
		lim  h1.Limits
		code string
	}{
		{h1.Limits{HeaderBytes: len(head), HeaderCount: 3, TargetBytes: 4}, ""},
		{h1.Limits{HeaderBytes: len(head) - 1}, "431 HeaderTooLarge"},
		{h1.Limits{HeaderBytes: 20}, "431 HeaderTooLarge"},
		{h1.Limits{HeaderBytes: 19}, "431 HeaderTooLarge"},
		{h1.Limits{HeaderBytes: 18}, "414 TargetTooLong"},
		{h1.Limits{HeaderBytes: 1}, "414 TargetTooLong"},
		{h1.Limits{HeaderCount: 2}, "431 TooManyFields"},
		{h1.Limits{TargetBytes: 3}, "414 TargetTooLong"},
	} {
		var r httpmsg.Request
		code := ""
		if err := h1.ParseRequest(head, &r, &c.lim); err != nil {
			code = fmt.Sprint(statusOf(err), " ", codeOf(err))
		}
		if code != c.code {
			t.Errorf("%+v: %q, want %q", c.lim, code, c.code)
		}
	}
	var r httpmsg.Request
	if err := h1.ParseRequest([]byte("GET //a//b HTTP/1.1\r\nHost: a\r\n\r\n"), &r, &h1.Limits{MergeSlashes: true}); err != nil || string(r.Path) != "/a/b" {
		t.Errorf("merged: %q %v", r.Path, err)
	}
}

func TestScanner(t *testing.T) {
	for _, c := range goodRequests {
		var s h1.Scanner
		for i := range len(c.in) {
			if end := s.HeadEnd([]byte(c.in[:i])); end != -1 {
				t.Fatalf("%s: end at %d of %d", c.name, end, i)
			}
		}
		in := []byte(c.in + "\r\n\r\nmore")
		if end := s.HeadEnd(in); end != len(c.in) {
			t.Errorf("%s: end at %d, want %d", c.name, end, len(c.in))
		}
		s.Reset()
		if end := s.HeadEnd(in); end != len(c.in) {
			t.Errorf("%s at once: end at %d, want %d", c.name, end, len(c.in))
		}
	}
	for in, want := range map[string]int{"a\n\n": 3, "a\n\r\nb": 4, "a\r\n\n": 4, "\r\n": -1, "\r\n\r": -1, "\n\n": 2, "a\r\n\rb\n\n": 7, "a\r\r\n\r\n": 6} {
		var s h1.Scanner
		if got := s.HeadEnd([]byte(in)); got != want {
			t.Errorf("HeadEnd(%q) = %d, want %d", in, got, want)
		}
	}
}

func TestParseRequestAllocatesNothing(t *testing.T) {
	var r httpmsg.Request
	for _, text := range []string{curlRequest, sixRequest, browserRequest, "GET /a/../%41 HTTP/1.1\r\nHost: Example.com.:80\r\n\r\n"} {
		head := []byte(text)
		dst := make([]byte, 0, 4096)
		if n := testing.AllocsPerRun(100, func() {
			if err := h1.ParseRequest(head, &r, nil); err != nil {
				t.Fatal(err)
			}
			h1.StripHopByHop(&r.Header)
			dst = h1.AppendRequest(dst[:0], &r)
		}); n != 0 {
			t.Errorf("%v allocations for %q", n, text)
		}
	}
}

package h1_test

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/wire/h1"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

func TestStripHopByHopRemovesNamedFields(t *testing.T) {
	for _, tc := range []struct{ name, fields, want string }{
		{"unknown", "X-A: 1|Connection: X-A|X-B: 2", "X-B"},
		{"well known", "Accept-Language: de|Referer: r|Connection: accept-language, REFERER, Range|Range: bytes=0-", ""},
		{"several fields", "X-A: 1|Connection: X-A|Connection: X-B|X-B: 2|Connection: x-c|X-C: 3", ""},
		{"named twice", "X-A: 1|X-A: 2|Connection: X-A, X-A, close", ""},
		{"names itself", "Connection: connection, x-a|X-A: 1|Connection: x-b|X-B: 1", ""},
		{
			"credentials and framing stay", "Cookie: a|Authorization: b|Origin: o|Content-Type: t|X-Forwarded-For: f|Forwarded: g|X-Real-IP: h|Via: v|Expect: 100-continue|" +
				"Connection: Cookie, Authorization, Origin, Content-Type, X-Forwarded-For, Forwarded, X-Real-IP, Via, Expect, Host, Content-Length|Content-Length: 3",
			"Cookie Authorization Origin Content-Type X-Forwarded-For Forwarded X-Real-IP Via Expect Content-Length",
		},
		{"TE", "Connection: TE|TE: trailers, gzip", "TE"},
		{"hop by hop", "Connection: keep-alive|Keep-Alive: 1|Proxy-Connection: x|Upgrade: y|Transfer-Encoding: chunked|Proxy-Authorization: z", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var h httpmsg.Header
			for _, line := range strings.Split(tc.fields, "|") {
				name, value, _ := strings.Cut(line, ": ")
				h.Add([]byte(name), []byte(value))
			}
			h1.StripHopByHop(&h)
			var got []string
			for i := range h.Len() {
				got = append(got, string(h.At(i).Name))
			}
			if g := strings.Join(got, " "); g != tc.want {
				t.Errorf("kept %q, want %q", g, tc.want)
			}
		})
	}
}

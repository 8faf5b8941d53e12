package h1_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/wire/h1"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

var badResponses = []badCase{
	{"empty line in front", "\r\nHTTP/1.1 200 OK\r\n\r\n", 502, "InvalidVersion"},
	{"no version", "200 OK\r\n\r\n", 502, "InvalidVersion"},
	{"ICY", "ICY 200 OK\r\n\r\n", 502, "InvalidVersion"},
	{"HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", 502, "UnsupportedVersion"},
	{"HTTP/2 without minor", "HTTP/2 200 OK\r\n\r\n", 502, "InvalidVersion"},
	{"lower-case", "http/1.1 200 OK\r\n\r\n", 502, "InvalidVersion"},
	{"no status", "HTTP/1.1\r\n\r\n", 502, "InvalidStatusLine"},
	{"two spaces", "HTTP/1.1  200 OK\r\n\r\n", 502, "InvalidStatusLine"},
	{"two digits", "HTTP/1.1 20 OK\r\n\r\n", 502, "InvalidStatusLine"},
	{"four digits", "HTTP/1.1 2000 OK\r\n\r\n", 502, "InvalidStatusLine"},
	{"below 100", "HTTP/1.1 099 OK\r\n\r\n", 502, "InvalidStatusLine"},
	{"signed", "HTTP/1.1 +20 OK\r\n\r\n", 502, "InvalidStatusLine"},
	{"letters", "HTTP/1.1 2OO OK\r\n\r\n", 502, "InvalidStatusLine"},
	{"tab after status", "HTTP/1.1 200\tOK\r\n\r\n", 502, "InvalidStatusLine"},
	{"control in reason", "HTTP/1.1 200 O\x01K\r\n\r\n", 502, "ControlCharacter"},
	{"bare LF", "HTTP/1.1 200 OK\nX: y\n\n", 502, "BareLF"},
	{"bare LF without reason", "HTTP/1.1 200\n\n", 502, "BareLF"},
	{"bare CR in reason", "HTTP/1.1 200 O\rK\r\n\r\n", 502, "BareCR"},
	{"fold", "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", 502, "ObsFold"},
	{"space before colon", "HTTP/1.1 200 OK\r\nX : y\r\n\r\n", 502, "SpaceInFieldName"},
	{"no colon", "HTTP/1.1 200 OK\r\nX\r\n\r\n", 502, "MissingColon"},
	{"NUL", "HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n", 502, "ControlCharacter"},
	{"two Content-Lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 502, "DuplicateContentLength"},
	{"two equal Content-Lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 502, "DuplicateContentLength"},
	{"Content-Length list", "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n", 502, "InvalidContentLength"},
	{"Content-Length +1", "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n", 502, "InvalidContentLength"},
	{"bad Content-Length with 304", "HTTP/1.1 304 Not Modified\r\nContent-Length: x\r\n\r\n", 502, "InvalidContentLength"},
	{"both", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 502, "ContentLengthAndTransferEncoding"},
	{"TE twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 502, "DuplicateTransferEncoding"},
	{"TE chunked, gzip", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 502, "InvalidTransferEncoding"},
	{"TE gzip", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", 502, "InvalidTransferEncoding"},
	{"TE gzip, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 502, "UnsupportedTransferEncoding"},
	{"TE in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 502, "TransferEncodingInHTTP10"},
	{"101 without Upgrade", "HTTP/1.1 101 Switching Protocols\r\n\r\n", 502, "InvalidSwitch"},
	{"too large", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 70000) + "\r\n\r\n", 502, "HeaderTooLarge"},
	{"too many", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 101) + "\r\n", 502, "TooManyFields"},
}

func TestRefusedResponses(t *testing.T) {
	for _, c := range badResponses {
		var r httpmsg.Response
		if err := mismatch(h1.ParseResponse([]byte(c.in), &r, httpmsg.MethodGet, nil), c); err != "" {
			t.Errorf("%s: %s", c.name, err)
		}
		if len(c.in) > 10000 {
			continue
		}
		for i := 0; ; i++ {
			n, err := h1.ParseResponseHead([]byte(c.in[:i]), &r, httpmsg.MethodGet, nil)
			if n > 0 || err == nil && i == len(c.in) {
				t.Fatalf("%s, byte by byte: accepted %d of %d", c.name, n, i)
			}
			if err != nil {
				if err := mismatch(err, c); err != "" {
					t.Errorf("%s, byte by byte: %s", c.name, err)
				}
				break
			}
		}
	}
}

func describeResponse(r *httpmsg.Response) string {
	s := fmt.Sprintf("%d %q v=%d body=%d/%d", r.Status, r.Reason, r.Version, r.Body, r.Length)
	if r.KeepAlive {
		s += " keep"
	}
	if len(r.Upgrade) > 0 {
		s += " upgrade=" + string(r.Upgrade)
	}
	return s + fields(&r.Header)
}

var goodResponses = []struct {
	name   string
	method httpmsg.Method
	in     string
	want   string
}{
	{"length", httpmsg.MethodGet, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", `200 "OK" v=11 body=1/5 keep [Content-Length: 5]`},
	{"length 0", httpmsg.MethodGet, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", `200 "OK" v=11 body=1/0 keep [Content-Length: 0]`},
	{"chunked", httpmsg.MethodGet, "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", `200 "OK" v=11 body=2/-1 keep [Transfer-Encoding: Chunked]`},
	{"until close", httpmsg.MethodGet, "HTTP/1.1 200 OK\r\n\r\n", `200 "OK" v=11 body=3/-1`},
	{"no reason", httpmsg.MethodGet, "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", `200 "" v=11 body=1/0 keep [Content-Length: 0]`},
	{"no reason and no space", httpmsg.MethodGet, "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", `200 "" v=11 body=1/0 keep [Content-Length: 0]`},
	{"odd reason", httpmsg.MethodGet, "HTTP/1.1 299 It's \tfine \xe9\r\nContent-Length: 0\r\n\r\n", `299 "It's \tfine \xe9" v=11 body=1/0 keep [Content-Length: 0]`},
	{"odd status", httpmsg.MethodGet, "HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n", `999 "X" v=11 body=1/0 keep [Content-Length: 0]`},
	{"HEAD", httpmsg.MethodHead, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", `200 "OK" v=11 body=0/5 keep [Content-Length: 5]`},
	{"HEAD chunked", httpmsg.MethodHead, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", `200 "OK" v=11 body=0/-1 keep [Transfer-Encoding: chunked]`},
	{"HEAD without length", httpmsg.MethodHead, "HTTP/1.1 200 OK\r\n\r\n", `200 "OK" v=11 body=0/-1 keep`},
	{"204", httpmsg.MethodGet, "HTTP/1.1 204 No Content\r\n\r\n", `204 "No Content" v=11 body=0/-1 keep`},
	{"204 with length 0", httpmsg.MethodGet, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", `204 "No Content" v=11 body=0/0 keep [Content-Length: 0]`},
	{"204 that announces content", httpmsg.MethodGet, "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", `204 "No Content" v=11 body=0/5 [Content-Length: 5]`},
	{"204 that announces chunks", httpmsg.MethodGet, "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", `204 "No Content" v=11 body=0/-1 [Transfer-Encoding: chunked]`},
	{"304", httpmsg.MethodGet, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", `304 "Not Modified" v=11 body=0/5 keep [Content-Length: 5]`},
	{"100", httpmsg.MethodPost, "HTTP/1.1 100 Continue\r\n\r\n", `100 "Continue" v=11 body=0/-1 keep`},
	{"103", httpmsg.MethodGet, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", `103 "Early Hints" v=11 body=0/-1 keep [Link: </a>]`},
	{"101", httpmsg.MethodGet, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", `101 "Switching Protocols" v=11 body=0/-1 upgrade=websocket [Connection: upgrade] [Upgrade: websocket]`},
	{"CONNECT 200", httpmsg.MethodConnect, "HTTP/1.1 200 OK\r\n\r\n", `200 "OK" v=11 body=0/-1 keep`},
	{"CONNECT 403", httpmsg.MethodConnect, "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\n", `403 "No" v=11 body=1/2 keep [Content-Length: 2]`},
	{"close", httpmsg.MethodGet, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", `200 "OK" v=11 body=1/5 [Content-Length: 5] [Connection: close]`},
	{"HTTP/1.0", httpmsg.MethodGet, "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", `200 "OK" v=10 body=1/5 [Content-Length: 5]`},
	{"HTTP/1.0 keep-alive", httpmsg.MethodGet, "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n", `200 "OK" v=10 body=1/5 keep [Content-Length: 5] [Connection: keep-alive]`},
	{"HTTP/1.0 keep-alive until close", httpmsg.MethodGet, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", `200 "OK" v=10 body=3/-1 [Connection: keep-alive]`},
	{"two Hosts mean nothing here", httpmsg.MethodGet, "HTTP/1.1 204 X\r\nHost: a\r\nHost: b\r\n\r\n", `204 "X" v=11 body=0/-1 keep [Host: a] [Host: b]`},
}

func TestAcceptedResponses(t *testing.T) {
	for _, c := range goodResponses {
		var r httpmsg.Response
		if err := h1.ParseResponse([]byte(c.in), &r, c.method, nil); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := describeResponse(&r); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
		for i := range len(c.in) {
			if n, err := h1.ParseResponseHead([]byte(c.in[:i]), &r, c.method, nil); n != 0 || err != nil {
				t.Errorf("%s, cut at %d: n=%d, %v", c.name, i, n, err)
			}
		}
		if n, err := h1.ParseResponseHead([]byte(c.in+"\x00more"), &r, c.method, nil); n != len(c.in) || err != nil || describeResponse(&r) != c.want {
			t.Errorf("%s, with more behind it: n=%d, %v", c.name, n, err)
		}
	}
}

func TestParseResponseAllocatesNothing(t *testing.T) {
	head, dst := []byte(jsonResponse), make([]byte, 0, 4096)
	var r httpmsg.Response
	if n := testing.AllocsPerRun(100, func() {
		if err := h1.ParseResponse(head, &r, httpmsg.MethodGet, nil); err != nil {
			t.Fatal(err)
		}
		h1.StripHopByHop(&r.Header)
		dst = h1.AppendResponse(dst[:0], &r, true, httpmsg.HTTP11)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

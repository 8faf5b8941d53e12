package h1_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sort"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/wire/h1"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// generator makes valid messages.
type generator struct{ *rand.Rand }

func (g generator) pick(s ...string) string { return s[g.IntN(len(s))] }

func (g generator) word(alphabet string, least, most int) string {
	b := make([]byte, least+g.IntN(most-least+1))
	for i := range b {
		b[i] = alphabet[g.IntN(len(alphabet))]
	}
	return string(b)
}

const (
	alnum     = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	pathChars = alnum + "-_~!$&'()*+,;=:@"
	textChars = alnum + "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ \t\xe9\xff"
)

// fields returns field lines and the framing that they announce.
func (g generator) fields(host bool) (lines []string) {
	if host {
		lines = append(lines, g.pick("Host", "host", "HOST")+":"+g.pick("", " ", "\t ")+strings.ToLower(g.word(alnum, 1, 12))+g.pick("", ".example.com", ":8080"))
	}
	for range g.IntN(12) {
		name := g.pick("Accept", "user-agent", "X-Thing", "Cookie", "ETag", "x-"+g.word(alnum+"-_.", 1, 30))
		lines = append(lines, name+":"+g.pick("", " ", "\t", "  ")+strings.Trim(g.word(textChars, 0, 60), " \t")+g.pick("", " ", "\t"))
	}
	if g.IntN(3) == 0 {
		lines = append(lines, "Connection: "+g.pick("close", "keep-alive", "Close", "x, close", "Keep-Alive, y"))
	}
	switch g.IntN(4) {
	case 0:
		lines = append(lines, fmt.Sprint("Content-Length: ", g.IntN(2000)))
	case 1:
		lines = append(lines, "Transfer-Encoding: "+g.pick("chunked", "Chunked"))
	}
	g.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	return lines
}

func TestRequestsAgainstNetHTTP(t *testing.T) {
	g := generator{rand.New(rand.NewPCG(1, 2))}
	var r httpmsg.Request
	for range 4000 {
		path := ""
		for range 1 + g.IntN(4) {
			path += "/" + g.word(pathChars, 1, 10)
		}
		if g.IntN(3) == 0 {
			path += "?" + g.word(pathChars+"/?%", 0, 20)
		}
		head := g.pick("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PURGE") + " " + path + " HTTP/1.1\r\n" +
			strings.Join(g.fields(true), "\r\n") + "\r\n\r\n"
		if err := h1.ParseRequest([]byte(head), &r, nil); err != nil {
			t.Fatalf("%q: %v", head, err)
		}
		want, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
		if err != nil {
			t.Fatalf("net/http: %q: %v", head, err)
		}
		length := r.Length
		if string(r.Method) != want.Method || string(r.AppendPathAndQuery(nil)) != want.RequestURI || string(r.Host) != want.Host ||
			length != want.ContentLength || r.KeepAlive == want.Close || (r.Body == httpmsg.BodyChunked) != (len(want.TransferEncoding) > 0) {
			t.Fatalf("%q\n%s\n%+v", head, describe(&r), want)
		}
		want.Header.Del("Transfer-Encoding")
		compareFields(t, head, &r.Header, want.Header)
	}
}

func TestResponsesAgainstNetHTTP(t *testing.T) {
	g := generator{rand.New(rand.NewPCG(3, 4))}
	var r httpmsg.Response
	for range 4000 {
		method := g.pick("GET", "HEAD", "POST")
		status := []int{200, 201, 204, 206, 301, 304, 400, 404, 500, 503}[g.IntN(10)]
		head := fmt.Sprintf("HTTP/1.1 %d%s\r\n%s\r\n\r\n", status, g.pick("", " ", " Some reason"), strings.Join(append(g.fields(false), "X-Last: 1"), "\r\n"))
		if err := h1.ParseResponse([]byte(head), &r, httpmsg.LookupMethod([]byte(method)), nil); err != nil {
			t.Fatalf("%q: %v", head, err)
		}
		want, err := http.ReadResponse(bufio.NewReader(strings.NewReader(head)), &http.Request{Method: method})
		if err != nil {
			t.Fatalf("net/http: %q: %v", head, err)
		}
		kind := httpmsg.BodyUntilClose
		switch {
		case want.Body == http.NoBody && want.ContentLength <= 0 && (method == "HEAD" || status == 204 || status == 304):
			kind = httpmsg.BodyNone
		case method == "HEAD" || status == 304:
			kind = httpmsg.BodyNone
		case len(want.TransferEncoding) > 0:
			kind = httpmsg.BodyChunked
		case want.ContentLength >= 0:
			kind = httpmsg.BodyLength
		}
		if r.Status != want.StatusCode || r.Body != kind || kind == httpmsg.BodyLength && r.Length != want.ContentLength {
			t.Fatalf("%q: %s method, kind %d\n%s\n%+v", head, method, kind, describeResponse(&r), want)
		}
		want.Header.Del("Transfer-Encoding")
		compareFields(t, head, &r.Header, want.Header)
	}
}

// compareFields compares all but what net/http takes out of the header.
func compareFields(t *testing.T, head string, h *httpmsg.Header, want http.Header) {
	t.Helper()
	var a, b []string
	for i := range h.Len() {
		f := h.At(i)
		switch f.ID {
		case httpmsg.NameTransferEncoding, httpmsg.NameContentLength, httpmsg.NameConnection:
			continue
		}
		a = append(a, http.CanonicalHeaderKey(string(f.Name))+": "+string(f.Value))
	}
	for name, values := range want {
		if name == "Content-Length" || name == "Connection" {
			continue
		}
		for _, v := range values {
			b = append(b, name+": "+v)
		}
	}
	sort.Strings(a)
	sort.Strings(b)
	if strings.Join(a, "\n") != strings.Join(b, "\n") {
		t.Fatalf("%q\n%q\n%q", head, a, b)
	}
}

// TestForwardedRequestsAreReadByNetHTTP sends what the writer makes of a request
// with a body through net/http's reader.
func TestForwardedRequestsAreReadByNetHTTP(t *testing.T) {
	var r httpmsg.Request
	if err := h1.ParseRequest([]byte("POST /a/../b HTTP/1.1\r\nHost: A\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"), &r, nil); err != nil {
		t.Fatal(err)
	}
	h1.StripHopByHop(&r.Header)
	b := h1.AppendRequest(nil, &r)
	b = append(append(h1.AppendChunkSize(b, 5), "hello"...), "\r\n"...)
	r.Trailer.Add([]byte("X-Sum"), []byte("1"))
	b = h1.AppendLastChunk(b, &r.Trailer)
	got, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(got.Body)
	if err != nil || string(body) != "hello" || got.URL.Path != "/b" || got.Host != "a" || got.Trailer.Get("X-Sum") != "1" {
		t.Errorf("%q %v %+v", body, err, got)
	}
}

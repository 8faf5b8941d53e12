package h1_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/wire/h1"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// wide are limits for what was accepted and written again: writing adds fields
// of its own, such as Host and Connection.
var wide = h1.Limits{HeaderBytes: 1 << 20, HeaderCount: 1000}

// FuzzParseRequest: a byte at a time gives what all at once gives; what is
// accepted has the shape that others rely on, and survives being forwarded.
func FuzzParseRequest(f *testing.F) {
	for _, c := range goodRequests {
		f.Add([]byte(c.in))
	}
	for _, c := range badRequests {
		if len(c.in) < 1000 {
			f.Add([]byte(c.in))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var r, again httpmsg.Request
		before := bytes.Clone(in)
		n, err := h1.ParseRequestHead(in, &r, nil)
		code := ""
		if err != nil {
			code = codeOf(err)
		}
		if stepN, stepCode := feedRequest(in); stepN != n || stepCode != code {
			t.Fatalf("%q: at once %d %s, byte by byte %d %s", in, n, code, stepN, stepCode)
		}
		if !bytes.Equal(in, before) {
			t.Fatal("the buffer was changed")
		}
		if n == 0 {
			return
		}
		var s h1.Scanner
		if end := s.HeadEnd(in); end != n {
			t.Fatalf("%q: parsed %d bytes, scanner says %d", in, n, end)
		}
		checkRequest(t, &r)
		h1.StripHopByHop(&r.Header)
		sent := h1.AppendRequest(nil, &r)
		if r.Version == httpmsg.HTTP10 && len(r.Host) == 0 {
			return // sent with an empty Host, which is not accepted from a client
		}
		if err := h1.ParseRequest(sent, &again, &wide); err != nil {
			t.Fatalf("%q → %q: %v", in, sent, err)
		}
		checkRequest(t, &again)
		if again.Body != r.Body || again.Length != r.Length || !bytes.Equal(again.Path, r.Path) || !bytes.Equal(again.Query, r.Query) ||
			!bytes.Equal(again.Host, r.Host) || !bytes.Equal(again.Method, r.Method) || again.HasQuery != r.HasQuery || !bytes.Equal(again.Upgrade, r.Upgrade) {
			t.Fatalf("%q → %q:\n%s\n%s", in, sent, describe(&r), describe(&again))
		}
		h1.StripHopByHop(&again.Header)
		if twice := h1.AppendRequest(nil, &again); !bytes.Equal(bytes.ToLower(twice), bytes.ToLower(sent)) {
			t.Fatalf("forwarded once: %q\ntwice: %q", sent, twice)
		}
	})
}

func checkRequest(t *testing.T, r *httpmsg.Request) {
	t.Helper()
	switch {
	case len(r.Path) == 0 || r.Path[0] != '/' && string(r.Path) != "*",
		bytes.ContainsAny(r.Path, " ?#\r\n\x00"),
		bytes.ContainsAny(r.Query, " #\r\n\x00"),
		bytes.ContainsAny(r.Host, " /@,\r\n\x00ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
		r.Version != httpmsg.HTTP10 && r.Version != httpmsg.HTTP11,
		r.Version == httpmsg.HTTP11 && len(r.Host) == 0,
		r.Body == httpmsg.BodyUntilClose,
		r.Body == httpmsg.BodyLength && r.Length < 0,
		r.Header.Has(httpmsg.NameHost),
		r.Header.Has(httpmsg.NameContentLength) && r.Header.Has(httpmsg.NameTransferEncoding):
		t.Fatalf("accepted: %s", describe(r))
	}
	for i := range r.Header.Len() {
		f := r.Header.At(i)
		if len(f.Name) == 0 || bytes.ContainsAny(f.Name, " :\r\n\t\x00") || bytes.ContainsAny(f.Value, "\r\n\x00") || f.ID != httpmsg.LookupName(f.Name) {
			t.Fatalf("accepted field %q: %q", f.Name, f.Value)
		}
	}
}

// FuzzParseResponse: as FuzzParseRequest.
func FuzzParseResponse(f *testing.F) {
	for _, c := range goodResponses {
		f.Add([]byte(c.in), uint8(c.method))
	}
	for _, c := range badResponses {
		if len(c.in) < 1000 {
			f.Add([]byte(c.in), uint8(httpmsg.MethodGet))
		}
	}
	f.Add([]byte("HTTP/1.1 200 OK\r\n"+strings.Repeat("X: y\r\n", 100)+"\r\n"), uint8(httpmsg.MethodGet))
	f.Fuzz(func(t *testing.T, in []byte, m uint8) {
		method := httpmsg.Method(m % 10)
		var r, again httpmsg.Response
		n, err := h1.ParseResponseHead(in, &r, method, nil)
		for i := 0; i <= len(in) && len(in) < 5000; i++ {
			stepN, stepErr := h1.ParseResponseHead(in[:i:i], &again, method, nil)
			if stepN == 0 && stepErr == nil && i < len(in) {
				continue
			}
			if stepN != n || (err == nil) != (stepErr == nil) || err != nil && codeOf(err) != codeOf(stepErr) {
				t.Fatalf("%q: at once %d %v, byte by byte %d %v", in, n, err, stepN, stepErr)
			}
			break
		}
		if n == 0 {
			return
		}
		if r.Body == httpmsg.BodyUntilClose && r.KeepAlive || r.Status < 100 || r.Status > 999 || r.Body == httpmsg.BodyLength && r.Length < 0 {
			t.Fatalf("accepted: %s", describeResponse(&r))
		}
		h1.StripHopByHop(&r.Header)
		sent := h1.AppendResponse(nil, &r, r.KeepAlive, httpmsg.HTTP11)
		if err := h1.ParseResponse(sent, &again, method, &wide); err != nil {
			t.Fatalf("%q → %q: %v", in, sent, err)
		}
		if again.Status != r.Status || again.Body != r.Body || r.Body == httpmsg.BodyLength && again.Length != r.Length {
			t.Fatalf("%q → %q:\n%s\n%s", in, sent, describeResponse(&r), describeResponse(&again))
		}
	})
}

package h1_test

import (
	"testing"

	"github.com/gridway/gridway/internal/wire/h1"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

const (
	curlRequest = "GET /api/v1/items HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n"

	sixRequest = "GET /api/v1/customers/4711/orders?page=2&size=50 HTTP/1.1\r\nHost: shop.example.com\r\n" +
		"User-Agent: Go-http-client/1.1\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\n" +
		"Authorization: Bearer abcdefghijklmnopqrstuvwxyz0123456789\r\nX-Request-Id: 0af7651916cd43dd8448eb211c80319c\r\n\r\n"

	browserRequest = "GET /products/coffee/grinder-3000?ref=home HTTP/1.1\r\nHost: shop.example.com\r\nConnection: keep-alive\r\n" +
		"sec-ch-ua: \"Chromium\";v=\"130\", \"Google Chrome\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\nsec-ch-ua-mobile: ?0\r\n" +
		"Upgrade-Insecure-Requests: 1\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n" +
		"Sec-Fetch-Site: same-origin\r\nReferer: https://shop.example.com/products/coffee\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n" +
		"Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\nCookie: session=8d1f6c1e0b7a4f4aa0d8a1f3b2c4d5e6; theme=dark\r\n\r\n"

	jsonResponse = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Fri, 20 Nov 2026 12:00:00 GMT\r\n" +
		"Content-Type: application/json\r\nContent-Length: 1024\r\nConnection: keep-alive\r\nETag: \"5f3c\"\r\n\r\n"
)

func BenchmarkParseRequest(b *testing.B) {
	for name, text := range map[string]string{"curl": curlRequest, "six": sixRequest, "browser": browserRequest} {
		b.Run(name, func(b *testing.B) {
			head := []byte(text)
			var r httpmsg.Request
			b.SetBytes(int64(len(head)))
			for b.Loop() {
				if n, err := h1.ParseRequestHead(head, &r, nil); err != nil || n == 0 {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkParseResponse(b *testing.B) {
	head := []byte(jsonResponse)
	var r httpmsg.Response
	for b.Loop() {
		if n, err := h1.ParseResponseHead(head, &r, httpmsg.MethodGet, nil); err != nil || n == 0 {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkHeadEnd(b *testing.B) {
	head := []byte(browserRequest)
	for b.Loop() {
		var s h1.Scanner
		if s.HeadEnd(head) != len(head) {
			b.Fatal("no end")
		}
	}
}

func BenchmarkAppendRequest(b *testing.B) {
	var r httpmsg.Request
	if err := h1.ParseRequest([]byte(browserRequest), &r, nil); err != nil {
		b.Fatal(err)
	}
	h1.StripHopByHop(&r.Header)
	dst := make([]byte, 0, 4096)
	for b.Loop() {
		dst = h1.AppendRequest(dst[:0], &r)
	}
}

func BenchmarkAppendResponse(b *testing.B) {
	var r httpmsg.Response
	if err := h1.ParseResponse([]byte(jsonResponse), &r, httpmsg.MethodGet, nil); err != nil {
		b.Fatal(err)
	}
	h1.StripHopByHop(&r.Header)
	dst := make([]byte, 0, 4096)
	for b.Loop() {
		dst = h1.AppendResponse(dst[:0], &r, true, httpmsg.HTTP11)
	}
}

func BenchmarkStripHopByHop(b *testing.B) {
	var r httpmsg.Request
	if err := h1.ParseRequest([]byte(browserRequest), &r, nil); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r.Header.AddID(httpmsg.NameConnection, nil)
		h1.StripHopByHop(&r.Header)
	}
}

func BenchmarkChunkReader(b *testing.B) {
	var body []byte
	for range 16 {
		body = append(h1.AppendChunkSize(body, 1024), make([]byte, 1024)...)
		body = append(body, "\r\n"...)
	}
	body = h1.AppendLastChunk(body, nil)
	var trailer httpmsg.Header
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		var c h1.ChunkReader
		for in, done := body, false; !done; {
			var n int
			var err error
			if _, n, done, err = c.Next(in, &trailer); err != nil {
				b.Fatal(err)
			}
			in = in[n:]
		}
	}
}

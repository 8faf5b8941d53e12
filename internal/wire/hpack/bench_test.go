package hpack_test

import (
	"bytes"
	"strconv"
	"testing"

	xhpack "golang.org/x/net/http2/hpack"

	"github.com/gridway/gridway/internal/wire/hpack"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

var browserFields = [][2]string{
	{":method", "GET"},
	{":scheme", "https"},
	{":authority", "shop.example.com"},
	{":path", "/products/coffee/grinder-3000?ref=home"},
	{"user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"},
	{"accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"},
	{"accept-encoding", "gzip, deflate, br, zstd"},
	{"accept-language", "en-GB,en;q=0.9,de;q=0.8"},
	{"referer", "https://shop.example.com/products/coffee"},
	{"cookie", "session=8d1f6c1e0b7a4f4aa0d8a1f3b2c4d5e6; theme=dark"},
	{"x-request-id", "0af7651916cd43dd8448eb211c80319c"},
	{"sec-fetch-site", "same-origin"},
}

// sequence is what a client sends on one connection: path and request ID change.
func sequence(n int) (blocks [][]byte) {
	var buf bytes.Buffer
	enc := xhpack.NewEncoder(&buf)
	for i := range n {
		buf.Reset()
		for _, f := range browserFields {
			h := xhpack.HeaderField{Name: f[0], Value: f[1]}
			switch f[0] {
			case ":path", "x-request-id":
				h.Value += strconv.Itoa(i)
			case "cookie":
				h.Sensitive = true
			}
			if err := enc.WriteField(h); err != nil {
				panic(err)
			}
		}
		blocks = append(blocks, bytes.Clone(buf.Bytes()))
	}
	return blocks
}

func decodeInto(d *hpack.Decoder, block []byte, r *httpmsg.Request) error {
	r.Reset()
	var f hpack.Field
	d.Begin(block, &r.Arena, 1<<16)
	for {
		more, err := d.Next(&f)
		if err != nil || !more {
			return err
		}
		if f.Pseudo == hpack.PseudoNone {
			r.Header.AddField(f.Name, f.Value, f.ID)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	blocks := sequence(1000)
	b.Run("ours", func(b *testing.B) {
		d := hpack.NewDecoder()
		var r httpmsg.Request
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if i%len(blocks) == 0 {
				d = hpack.NewDecoder()
			}
			if err := decodeInto(d, blocks[i%len(blocks)], &r); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("x-net", func(b *testing.B) {
		n := 0
		emit := func(xhpack.HeaderField) { n++ }
		d := xhpack.NewDecoder(4096, emit)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if i%len(blocks) == 0 {
				d = xhpack.NewDecoder(4096, emit)
			}
			if _, err := d.Write(blocks[i%len(blocks)]); err != nil {
				b.Fatal(err)
			}
			d.Close()
		}
	})
}

func request() *httpmsg.Request {
	r := new(httpmsg.Request)
	if err := decodeInto(hpack.NewDecoder(), sequence(1)[0], r); err != nil {
		panic(err)
	}
	return r
}

func encodeRequest(e *hpack.Encoder, dst []byte, r *httpmsg.Request, path []byte) []byte {
	dst = e.Begin(dst)
	dst = e.Method(dst, []byte("GET"))
	dst = e.Scheme(dst, "https")
	dst = e.Authority(dst, []byte("shop.example.com"))
	dst = e.Path(dst, path)
	for i := range r.Header.Len() {
		dst = e.Field(dst, r.Header.At(i))
	}
	return dst
}

func BenchmarkEncode(b *testing.B) {
	r := request()
	for name, huffman := range map[string]bool{"ours": true, "ours-plain": false} {
		b.Run(name, func(b *testing.B) {
			e := hpack.NewEncoder()
			e.SetHuffman(huffman)
			dst := make([]byte, 0, 4096)
			path := []byte("/products/coffee/grinder-3000?ref=home")
			b.ReportAllocs()
			for b.Loop() {
				dst = encodeRequest(e, dst[:0], r, path)
			}
			b.ReportMetric(float64(len(dst)), "bytes")
		})
	}
	b.Run("x-net", func(b *testing.B) {
		var buf bytes.Buffer
		e := xhpack.NewEncoder(&buf)
		b.ReportAllocs()
		for b.Loop() {
			buf.Reset()
			for _, f := range browserFields {
				sensitive := f[0] == "cookie" || f[0] == ":path" || f[0] == "x-request-id"
				if err := e.WriteField(xhpack.HeaderField{Name: f[0], Value: f[1], Sensitive: sensitive}); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(buf.Len()), "bytes")
	})
}

func TestAllocatesNothing(t *testing.T) {
	blocks := sequence(300)
	d, e := hpack.NewDecoder(), hpack.NewEncoder()
	var r httpmsg.Request
	var dst []byte
	i := 0
	step := func() {
		if err := decodeInto(d, blocks[i], &r); err != nil {
			t.Fatal(err)
		}
		dst = encodeRequest(e, dst[:0], &r, []byte("/x"))
		i++
	}
	for range 150 { // until the dynamic tables have their memory
		step()
	}
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("%v allocations per block", n)
	}
}

// BenchmarkDecodeUnindexed decodes what NGINX answers with to each request.
func BenchmarkDecodeUnindexed(b *testing.B) {
	block := []byte{0x88}
	for _, f := range [][2]string{
		{"server", "nginx/1.22.1"},
		{"date", "Sat, 21 Nov 2026 14:26:26 GMT"},
		{"content-type", "application/grpc"},
		{"content-length", "105"},
		{"last-modified", "Sat, 21 Nov 2026 14:15:00 GMT"},
		{"etag", `"69207d14-69"`},
		{"accept-ranges", "bytes"},
	} {
		block = unindexed(block, &httpmsg.Field{Name: []byte(f[0]), Value: []byte(f[1])}, false)
	}
	for _, remember := range []bool{false, true} {
		b.Run(map[bool]string{false: "plain", true: "remembered"}[remember], func(b *testing.B) {
			d := hpack.NewDecoder()
			if remember {
				d.Remember()
			}
			var arena httpmsg.Arena
			var f hpack.Field
			b.ReportAllocs()
			for b.Loop() {
				arena.Reset()
				d.Begin(block, &arena, 1<<16)
				for more := true; more; {
					var err error
					if more, err = d.Next(&f); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

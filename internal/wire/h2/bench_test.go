package h2_test

import (
	"bytes"
	"io"
	"testing"

	"golang.org/x/net/http2"
	xhpack "golang.org/x/net/http2/hpack"
)

// BenchmarkServer: a request and its answer, all frames of them, against the
// same by the framer and HPACK of x/net without any state machine.
func BenchmarkServer(b *testing.B) {
	for name, content := range map[string][]byte{"get": nil, "post-8k": body(8 << 10)} {
		all := requests(20000, content)
		b.Run("ours-"+name, func(b *testing.B) {
			x := newExchanger(b.Fatal)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%len(all) == 0 {
					x = newExchanger(b.Fatal)
				}
				x.feed(all[i%len(all)])
			}
		})
		b.Run("x-net-"+name, func(b *testing.B) {
			in := new(bytes.Reader)
			var fr *http2.Framer
			var head bytes.Buffer
			var enc *xhpack.Encoder
			answer := body(1024)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%len(all) == 0 {
					fr = http2.NewFramer(io.Discard, in)
					fr.SetReuseFrames()
					fr.ReadMetaHeaders = xhpack.NewDecoder(4096, nil)
					enc = xhpack.NewEncoder(&head)
				}
				in.Reset(all[i%len(all)])
				for {
					f, err := fr.ReadFrame()
					if err == io.EOF {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
					switch f := f.(type) {
					case *http2.PingFrame:
						fr.WritePing(true, f.Data)
					case *http2.DataFrame:
						fr.WriteWindowUpdate(0, f.Length)
					}
				}
				head.Reset()
				for _, h := range [][2]string{{":status", "200"}, {"content-type", "application/json"}, {"server", "gridway"}, {"date", "Fri, 20 Nov 2026 12:00:00 GMT"}, {"content-length", "1024"}} {
					enc.WriteField(xhpack.HeaderField{Name: h[0], Value: h[1]})
				}
				id := uint32(2*(i%len(all)) + 1)
				fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: head.Bytes(), EndHeaders: true})
				fr.WriteData(id, true, answer)
			}
		})
	}
}

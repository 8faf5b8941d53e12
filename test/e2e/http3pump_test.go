package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"testing"
)

// Uploads that come in pieces are sent on by tasks over TCP and by goroutines over
// QUIC, with the same memory one after the other.
func TestUploadsOverQUICAndTCPInTurn(t *testing.T) {
	t.Parallel()
	sum := func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	}
	h2, _ := h2Server(t, 100, sum)
	h3, _ := h3ServerOf(t, 100, sum)
	for name, backend := range map[string]string{"HTTP1": backendDoc("app", serve(t, sum).addr), "HTTP2": h2Backend("app", h2), "HTTP3": h3Backend("app", "", h3)} {
		t.Run(name, func(t *testing.T) {
			g := http3Edge(t, "http3: {}", routeDoc("app", ""), backend)
			tcp := overHTTP2(t, &tls.Config{ServerName: "a.example", InsecureSkipVerify: true})
			quic := overHTTP3(t, "a.example")
			const pieces, each = 8, 20_000
			for i := range 60 {
				client := tcp
				if i%2 == 1 {
					client = quic
				}
				r, w := io.Pipe()
				go func() {
					for range pieces {
						if _, err := w.Write(make([]byte, each)); err != nil {
							break
						}
					}
					w.Close()
				}()
				req, err := http.NewRequest("POST", "https://"+g.addr+"/", r)
				if err != nil {
					t.Fatal(err)
				}
				req.Host = "a.example"
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(resp.Body); string(got) != fmt.Sprint(pieces*each) || err != nil {
					t.Errorf("upload %d: %s %q, %v", i, resp.Status, got, err)
				}
				resp.Body.Close()
			}
		})
	}
}

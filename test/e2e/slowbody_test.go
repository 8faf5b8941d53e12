package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// inPieces gives n pieces of so many bytes, one for each tick.
func inPieces(t *testing.T, every time.Duration, n, size int) io.Reader {
	t.Helper()
	r, w := io.Pipe()
	t.Cleanup(func() { r.Close() })
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for range n {
			if _, err := w.Write(make([]byte, size)); err != nil {
				return
			}
			<-tick.C
		}
		w.Close()
	}()
	return r
}

// A body that comes more slowly than it may is cut off, however steadily it comes;
// one that waits for the endpoint is not, and neither is one that is fast enough.
func TestSlowBodies(t *testing.T) {
	t.Parallel()
	for _, down := range wsClients {
		t.Run(down, func(t *testing.T) {
			t.Parallel()
			app := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/late" {
					<-time.After(1500 * time.Millisecond)
				}
				if n, err := io.Copy(io.Discard, r.Body); err == nil {
					fmt.Fprint(w, n)
				}
			})
			const limits = "limits: {minBodyRate: {rate: 10KB/s, grace: 400ms}}"
			var g *gateway
			scheme, client := "http://", (*http.Client)(nil)
			if down == "h3" {
				g = http3Edge(t, "http3: {}, "+limits, routeDoc("app", ""), backendDoc("app", app.addr))
				scheme, client = "https://", overHTTP3(t, "a.example")
			} else {
				g = serveYAML(t, edgeWith("client: {"+limits+"}", "", []string{app.addr}))
				client = g.eventClient(down)
			}
			post := func(path string, body io.Reader) (status int, text string) {
				t.Helper()
				req, err := http.NewRequest("POST", scheme+g.addr+path, body)
				if err != nil {
					t.Fatal(err)
				}
				req.Host = "a.example"
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				b, _ := io.ReadAll(resp.Body)
				return resp.StatusCode, string(b)
			}
			if status, text := post("/", inPieces(t, 50*time.Millisecond, 200, 20)); status != 408 {
				t.Errorf("a slow body: %d %s", status, text)
			}
			if status, text := post("/", inPieces(t, 50*time.Millisecond, 24, 2500)); status != 200 || text != "60000" {
				t.Errorf("50 kB in a second: %d %s", status, text)
			}
			if status, text := post("/late", bytes.NewReader(make([]byte, 8<<20))); status != 200 || text != fmt.Sprint(8<<20) {
				t.Errorf("an endpoint that takes its time: %d %s", status, text)
			}
			g.logged(`"status":408`, `"reason":"RequestTimeout"`)
		})
	}
}

package e2e

import (
	"net/http"
	"testing"
)

// Responses without a body of their own say what the one with it would say.
func TestCompressionOfHeadAndNotModified(t *testing.T) {
	t.Parallel()
	text := make([]byte, 5000)
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/plain")
		h.Set("ETag", `"v1"`)
		if r.Header.Get("If-None-Match") != "" {
			h.Del("Content-Type")
			h.Set("Vary", "Accept-Language")
			w.WriteHeader(304)
			return
		}
		h.Set("Content-Length", "5000")
		w.Write(text)
	})
	g := serveYAML(t, edge("compression: {algorithms: [gzip], minBytes: 100}", app.addr))
	get, _, err := g.do(g.request("GET", "/", nil, header("Accept-Encoding", "gzip")))
	if err != nil {
		t.Fatal(err)
	}
	if get.Header.Get("ETag") != `W/"v1"` || get.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("%v", get.Header)
	}
	head, _, err := g.do(g.request("HEAD", "/", nil, header("Accept-Encoding", "gzip")))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ETag", "Content-Encoding", "Vary", "Content-Type"} {
		if head.Header.Get(name) != get.Header.Get(name) {
			t.Errorf("%s: %q for HEAD, %q for GET", name, head.Header.Get(name), get.Header.Get(name))
		}
	}
	if head.Header.Get("Content-Length") != "" {
		t.Errorf("HEAD announces %s bytes", head.Header.Get("Content-Length"))
	}
	for accept, tag := range map[string]string{"gzip": `W/"v1"`, "identity": `"v1"`} {
		resp, _, err := g.do(g.request("GET", "/", nil, header("Accept-Encoding", accept), header("If-None-Match", tag)))
		if err != nil {
			t.Fatal(err)
		}
		if vary := resp.Header.Values("Vary"); resp.StatusCode != 304 || resp.Header.Get("ETag") != tag || len(vary) != 2 {
			t.Errorf("%s: %d, tag %s, Vary %q", accept, resp.StatusCode, resp.Header.Get("ETag"), vary)
		}
	}
	// The connection is in step.
	c := g.dial()
	for range 3 {
		c.send("HEAD / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
		if resp, body := c.mustRespond("HEAD"); resp.StatusCode != 200 || body != "" {
			t.Fatalf("%d %q", resp.StatusCode, body)
		}
	}
}

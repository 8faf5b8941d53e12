package e2e

import (
	"io"
	"net/http"
	"testing"
)

// A chunk that passes a limit is refused when its size is announced, without
// waiting for data that may never come; what was sent of the body before is
// worth nothing to the backend, which must see that.
func TestChunkAnnouncesTooMuch(t *testing.T) {
	t.Parallel()
	begun, ended := make(chan string, 8), make(chan error, 8)
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		piece := make([]byte, 5)
		if _, err := io.ReadFull(r.Body, piece); err != nil {
			t.Errorf("the backend got no piece: %v", err)
		}
		begun <- string(piece)
		_, err := io.Copy(io.Discard, r.Body)
		ended <- err
	})
	const post = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	for name, config := range map[string][2]string{
		"limit of the listener": {"client: {limits: {bodyBytes: 1000}}", ""},
		"limit of the route":    {"client: {limits: {bodyBytes: 100000}}", "maxBodyBytes: 1000"},
	} {
		t.Run(name, func(t *testing.T) {
			g := serveYAML(t, edgeWith(config[0], config[1], []string{app.addr}))
			c := g.dial()
			c.send(post + "5\r\nhello\r\n")
			if piece := <-begun; piece != "hello" {
				t.Errorf("the backend got %q", piece)
			}
			c.send("3e4;later=x\r\n") // 5 and 996
			resp, body := c.mustRespond("POST")
			want(t, resp, 413, "BodyTooLarge")
			problem(t, resp, body)
			if !resp.Close {
				t.Error("the connection goes on")
			}
			if err := <-ended; err == nil {
				t.Error("the backend took the body for whole")
			}
		})
	}
	t.Run("buffer", func(t *testing.T) {
		g := serveYAML(t, edgeWith("client: {limits: {bodyBytes: 100000}}", "buffer: {requestBytes: 1000}", []string{app.addr}))
		c := g.dial()
		c.send(post + "5\r\nhello\r\nfff\r\n")
		resp, _ := c.mustRespond("POST")
		want(t, resp, 413, "BodyTooLarge")
		select {
		case <-begun:
			t.Error("the backend was asked")
		default:
		}
	})
}

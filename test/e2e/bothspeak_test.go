package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A request whose client has not ended it goes on while its endpoint answers: the
// limit for silence in uploads is not for streams in both directions.
func TestClientsMayListen(t *testing.T) {
	t.Parallel()
	for _, up := range []string{"h2c", "h3"} {
		t.Run(up, func(t *testing.T) {
			t.Parallel()
			heard := make(chan string, 1)
			app := serveOver(t, up, func(w http.ResponseWriter, r *http.Request) {
				flush := http.NewResponseController(w).Flush
				tick := time.NewTicker(50 * time.Millisecond)
				defer tick.Stop()
				for range 20 { // a second
					io.WriteString(w, ".")
					flush()
					<-tick.C
				}
				io.WriteString(w, "!")
				flush()
				rest, _ := io.ReadAll(r.Body)
				heard <- string(rest)
			})
			config := documents(wsConfig(t, "h2", up, app, "timeouts: {idle: 1h}"), policyDoc("edge", "Gateway", "edge", "client: {timeouts: {bodyIdle: 200ms}}"))
			g := serveYAML(t, config)
			body, say := io.Pipe()
			req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+g.addr+"/", body)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = "a.example"
			resp, err := http2Client(t, nil).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if !reads(t, resp.Body, strings.Repeat(".", 20)+"!") {
				return
			}
			if _, err := io.WriteString(say, "and now I speak"); err != nil {
				t.Error(err)
			}
			say.Close()
			if rest, err := io.ReadAll(resp.Body); len(rest) > 0 || err != nil {
				t.Errorf("after the end: %q, %v", rest, err)
			}
			if got := <-heard; got != "and now I speak" {
				t.Errorf("the endpoint heard %q", got)
			}
		})
	}
}

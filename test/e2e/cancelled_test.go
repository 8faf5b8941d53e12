package e2e

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestCancelledAtOnce: when a client gives a request up, the endpoint's work on it ends
// with the next requests that the client makes, not when somebody happens to look:
// whatever both sides speak, before the response and in the middle of it.
func TestCancelledAtOnce(t *testing.T) {
	t.Parallel()
	// Requests that are answered one after the other while the endpoint may still
	// work on what was given up. They take less than the 100 ms after which clients
	// are looked at; each case is tried that many times, so that no luck passes.
	const grace, rounds = 25, 8
	began, ended := make(chan struct{}, 1), make(chan struct{}, 1)
	handler := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/begun":
			w.Write([]byte("begun"))
			http.NewResponseController(w).Flush()
			fallthrough
		case "/wait":
			began <- struct{}{}
			<-r.Context().Done()
			ended <- struct{}{}
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: 1\n\n")
			http.NewResponseController(w).Flush()
			began <- struct{}{}
			<-r.Context().Done()
			ended <- struct{}{}
		}
	}
	h3, _ := h3Server(t, handler)
	for version, app := range map[string]string{
		"HTTP/1": backendDoc("app", serve(t, handler).addr), "HTTP/2": h2cBackend(t, handler), "HTTP/3": h3Backend("app", "", h3),
	} {
		for kind, policy := range map[string]string{"plain": "", "hedged": "hedge: {delay: 1h}\nretry: {attempts: 0}"} {
			g := http3Edge(t, "http3: {}", append([]string{routeDoc("app", ""), app}, policies(policy)...)...)
			for client, c := range map[string]*http.Client{
				"HTTP/2": overHTTP2(t, &tls.Config{ServerName: "a.example", InsecureSkipVerify: true}), "HTTP/3": overHTTP3(t, "a.example"),
			} {
				t.Run(client+" to "+version+" "+kind, func(t *testing.T) {
					get := func(ctx context.Context, path string) (*http.Response, error) {
						r, err := http.NewRequestWithContext(ctx, "GET", "https://"+g.addr+path, nil)
						if err != nil {
							t.Fatal(err)
						}
						r.Host = "a.example"
						return c.Do(r)
					}
					for range rounds {
						for _, path := range []string{"/wait", "/begun", "/events"} {
							ctx, cancel := context.WithCancel(t.Context())
							over := make(chan struct{})
							go func() {
								defer close(over)
								if resp, err := get(ctx, path); err == nil {
									io.Copy(io.Discard, resp.Body)
									resp.Body.Close()
								}
							}()
							<-began
							cancel()
							<-over
							late := true
							for range grace {
								resp, err := get(t.Context(), "/")
								if err != nil {
									t.Fatal(err)
								}
								resp.Body.Close()
								if late = len(ended) == 0; !late {
									break
								}
							}
							<-ended
							if late {
								t.Errorf("%s: the endpoint still worked for nobody when %d more requests were answered", path, grace)
							}
						}
					}
				})
			}
		}
	}
}

// policies is a policy on the route, if there is one.
func policies(spec string) []string {
	if strings.TrimSpace(spec) == "" {
		return nil
	}
	return []string{policyDoc("app", "HTTPRoute", "app", spec)}
}

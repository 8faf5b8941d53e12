package e2e

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// overHTTP2 is a client that speaks HTTP/2 and nothing else: with prior
// knowledge, or by ALPN if config is there. It keeps one connection.
func overHTTP2(t *testing.T, config *tls.Config) *http.Client {
	t.Helper()
	// A transport writes its protocols into the configuration that it is given.
	tr := &http.Transport{TLSClientConfig: config.Clone(), Protocols: new(http.Protocols)}
	if config == nil {
		tr.Protocols.SetUnencryptedHTTP2(true)
	} else {
		tr.Protocols.SetHTTP2(true)
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

// TestHTTP2Clients sends what HTTP/2 clients send, with TLS and without, to an
// HTTP/1 server that says what it got.
func TestHTTP2Clients(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "servers")
	cert, key := ca.issue("a.example")
	secure, plain := ownPort(t), ownPort(t)
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("X-Got", fmt.Sprintf("%s %s %s %d end=%s", r.Method, r.Host, r.URL, len(body), r.Trailer.Get("X-End")))
		if r.URL.Query().Has("echo") {
			w.Write(body)
		} else {
			w.Write([]byte("ok"))
		}
		w.Header().Set("X-Sum", fmt.Sprint(len(body)))
	})
	start(t, documents(gatewayOn("",
		fmt.Sprintf("{name: https, port: %d, protocol: HTTPS, hostname: a.example, tls: {certificateRefs: [{name: a}]}}", secure),
		fmt.Sprintf("{name: http, port: %d, protocol: HTTP}", plain)),
		secretDoc("a", cert, key), routeDoc("app", ""), backendDoc("app", app.addr)))
	for name, side := range map[string]struct {
		client *http.Client
		url    string
	}{
		"h2c": {overHTTP2(t, nil), fmt.Sprintf("http://127.0.0.1:%d", plain)},
		"h2":  {overHTTP2(t, &tls.Config{ServerName: "a.example", InsecureSkipVerify: true}), fmt.Sprintf("https://127.0.0.1:%d", secure)},
	} {
		t.Run(name, func(t *testing.T) {
			var all sync.WaitGroup
			for i := range 60 {
				all.Go(func() {
					size := []int{0, 1, 1000, 70_000, 700_000}[i%5]
					body := bytes.Repeat([]byte{byte(i)}, size)
					r, _ := http.NewRequest("POST", side.url+fmt.Sprintf("/p%d?echo&x=1", i), bytes.NewReader(body))
					r.Host = "a.example"
					if i%2 == 0 {
						r.ContentLength = -1
						r.Body = io.NopCloser(bytes.NewReader(body))
						r.Trailer = http.Header{"X-End": {"yes"}}
					}
					resp, err := side.client.Do(r)
					if err != nil {
						t.Error(err)
						return
					}
					defer resp.Body.Close()
					got, err := io.ReadAll(resp.Body)
					if err != nil || !bytes.Equal(got, body) {
						t.Errorf("%d of %d bytes came back: %v", len(got), size, err)
					}
					want := fmt.Sprintf("POST a.example /p%d?echo&x=1 %d end=", i, size)
					if i%2 == 0 {
						want += "yes"
					}
					if h := resp.Header.Get("X-Got"); h != want {
						t.Errorf("the server got %q, not %q", h, want)
					}
					if resp.ProtoMajor != 2 || resp.Trailer.Get("X-Sum") != fmt.Sprint(size) {
						t.Errorf("answered over %s with trailer %v", resp.Proto, resp.Trailer)
					}
				})
			}
			all.Wait()
		})
	}
}

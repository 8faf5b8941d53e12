package demo

import (
	"crypto/tls"
	"net/http"
	"os"
	"time"

	"github.com/quic-go/quic-go/http3"
)

// clients speak the versions of HTTP.
type clients struct {
	plain  *http.Client // HTTP/1.1
	second *http.Client // HTTP/2 with TLS
	third  *http.Client // HTTP/3
	calls  *http.Client // HTTP/2 without TLS, for gRPC

	quic *http3.Transport
}

const clientTimeout = 5 * time.Second

func newClients(edge Edge) clients {
	trust := func() *tls.Config { return &tls.Config{RootCAs: edge.Trust, MinVersion: tls.VersionTLS13} }
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client := func(tr http.RoundTripper) *http.Client {
		return &http.Client{Timeout: clientTimeout, Transport: tr, CheckRedirect: stay}
	}
	var unencrypted http.Protocols
	unencrypted.SetUnencryptedHTTP2(true)
	// The library would tell about buffers on standard error.
	_ = os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	quic := &http3.Transport{TLSClientConfig: trust()}
	c := clients{
		plain:  client(&http.Transport{MaxIdleConnsPerHost: maxClients, IdleConnTimeout: 30 * time.Second}),
		second: client(&http.Transport{TLSClientConfig: trust(), ForceAttemptHTTP2: true, IdleConnTimeout: 30 * time.Second}),
		third:  client(quic),
		calls:  client(&http.Transport{Protocols: &unencrypted, IdleConnTimeout: 30 * time.Second}),
		quic:   quic,
	}
	c.calls.Timeout = 0 // each call has a deadline of its own
	return c
}

// of is the client of a customer, and the base URL that it speaks to: of eight
// customers two speak HTTP/2 and one HTTP/3.
func (c *clients) of(customer int, edge Edge) (*http.Client, string) {
	switch {
	case edge.Secure == "":
	case customer%8 == 1, customer%8 == 5:
		return c.second, edge.Secure
	case customer%8 == 3:
		return c.third, edge.Secure
	}
	return c.plain, edge.Plain
}

func (c *clients) close() {
	for _, each := range []*http.Client{c.plain, c.second, c.calls} {
		each.CloseIdleConnections()
	}
	_ = c.quic.Close()
}

package federation

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gridway/gridway/internal/mesh/identity"
)

const (
	fetchTime    = 30 * time.Second
	maxRedirects = 5
)

// fetch asks the endpoint of a relation, each time by what is trusted now.
func (f *Federation) fetch(ctx context.Context, p *trusted) (*identity.Bundle, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: f.opt.Roots}
	if p.Profile == SPIFFE {
		config = f.spiffe(p)
	}
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment, MaxResponseHeaderBytes: 64 << 10}
	client := &http.Client{Transport: transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return fmt.Errorf("there are more than %d redirects", maxRedirects)
		}
		if err := checkURL(r.URL); err != nil { // §5.2.1.3
			return fmt.Errorf("a redirect leads to a URL that %w", err)
		}
		return nil
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL, nil)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", p.URL, answer.Status)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, identity.MaxBundle+1))
	if err != nil {
		return nil, err
	}
	return identity.ParseBundle(p.td, text)
}

// spiffe verifies that the endpoint is who it is to be (§5.2.2.4), wherever it redirects.
func (f *Federation) spiffe(p *trusted) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			id, err := identity.Verify(s.PeerCertificates, f.bundleOf, f.opt.Now())
			if err == nil && id != p.endpoint {
				err = fmt.Errorf("the endpoint is %s, and not %s", id, p.endpoint)
			}
			return err
		},
	}
}

// Handler serves our bundle. It asks nobody who he is (§5.2.1.3).
func Handler(bundle func() *identity.Bundle) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET is allowed", http.StatusMethodNotAllowed)
			return
		}
		text := bundle().JSON()
		sum := sha256.Sum256(text)
		tag := `"` + hex.EncodeToString(sum[:8]) + `"`
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(text) // whose reader may have left
	})
}

// ServerTLS is for an endpoint of profile https_spiffe: it shows the own SVID, and asks
// for no certificate.
func ServerTLS(k *identity.Keyring) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return k.Certificate("") },
	}
}

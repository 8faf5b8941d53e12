package ocspstaple

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/crypto/ocsp"
)

const (
	// maxResponse bounds an OCSP response in bytes; real ones have a few KiB.
	maxResponse = 64 << 10
	// clockSkew is tolerated in thisUpdate.
	clockSkew = 5 * time.Minute
)

// errRevoked is a signed statement, unlike the other failures.
var errRevoked = errors.New("the certificate was revoked")

type response struct {
	der                    []byte
	thisUpdate, nextUpdate time.Time
}

// fetch asks the responders that the certificate names, one after another.
func (s *Stapler) fetch(ctx context.Context, leaf, issuer *x509.Certificate) (*response, error) {
	if len(leaf.OCSPServer) == 0 {
		return nil, errors.New("the certificate names no OCSP responder")
	}
	req, err := ocsp.CreateRequest(leaf, issuer, nil)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, url := range leaf.OCSPServer {
		der, err := s.post(ctx, url, req)
		if err == nil {
			var r *response
			if r, err = check(der, leaf, issuer); err == nil {
				return r, nil
			}
		}
		errs = append(errs, fmt.Errorf("%s: %w", url, err))
	}
	return nil, errors.Join(errs...)
}

func (s *Stapler) post(ctx context.Context, url string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/ocsp-request")
	req.Header.Set("Accept", "application/ocsp-response")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	der, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	if err == nil && len(der) > maxResponse {
		err = fmt.Errorf("response longer than %d bytes", maxResponse)
	}
	return der, err
}

// check verifies that der is a current statement of the issuer that leaf is good.
func check(der []byte, leaf, issuer *x509.Certificate) (*response, error) {
	r, err := ocsp.ParseResponseForCert(der, leaf, issuer)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	switch {
	case r.Status == ocsp.Revoked:
		return nil, fmt.Errorf("%w at %v", errRevoked, r.RevokedAt)
	case r.Status != ocsp.Good:
		return nil, errors.New("the responder does not know the certificate")
	case r.ThisUpdate.After(now.Add(clockSkew)):
		return nil, fmt.Errorf("the response begins at %v", r.ThisUpdate)
	}
	next := r.NextUpdate
	if next.IsZero() {
		next = now.Add(openEnded)
	}
	if !next.After(now) {
		return nil, fmt.Errorf("the response ended at %v", next)
	}
	return &response{der: der, thisUpdate: r.ThisUpdate, nextUpdate: next}, nil
}

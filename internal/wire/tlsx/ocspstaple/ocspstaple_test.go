package ocspstaple_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/gridway/gridway/internal/wire/tlsx/ocspstaple"
)

// responder answers OCSP requests in process, so that it runs on synctest's clock.
type responder struct {
	t            *testing.T
	leaf, issuer *x509.Certificate
	key          *ecdsa.PrivateKey
	status       int
	body         []byte // sent instead of a response when set
	lifetime     time.Duration
	takes        time.Duration // until it answers

	asked atomic.Int32
	fail  atomic.Bool
}

func newResponder(t *testing.T) *responder {
	r := &responder{t: t, status: ocsp.Good, lifetime: 8 * time.Hour}
	var err error
	if r.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	r.issuer = r.certificate(nil, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	r.leaf = r.certificate(r.issuer, &x509.Certificate{OCSPServer: []string{"http://ocsp.test/"}})
	return r
}

func (r *responder) certificate(parent, template *x509.Certificate) *x509.Certificate {
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.Subject = pkix.Name{CommonName: "test"}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(90*24*time.Hour)
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, r.key.Public(), r.key)
	if err != nil {
		r.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		r.t.Fatal(err)
	}
	return cert
}

func (r *responder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.asked.Add(1)
	if r.takes > 0 {
		<-time.After(r.takes)
	}
	if r.fail.Load() {
		return nil, errors.New("the responder is down")
	}
	in, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	if q, err := ocsp.ParseRequest(in); err != nil || q.SerialNumber.Cmp(r.leaf.SerialNumber) != 0 {
		r.t.Errorf("request: %+v, %v", q, err)
	}
	body := r.body
	if body == nil {
		body, err = ocsp.CreateResponse(r.issuer, r.issuer, ocsp.Response{
			Status: r.status, SerialNumber: r.leaf.SerialNumber,
			ThisUpdate: time.Now(), NextUpdate: time.Now().Add(r.lifetime),
		}, r.key)
		if err != nil {
			return nil, err
		}
	}
	return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(body)), Request: req}, nil
}

func TestRefreshAndOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newResponder(t)
		s := ocspstaple.New(ocspstaple.Options{Client: &http.Client{Transport: r}})
		defer s.Close()
		staple := func() []byte { return s.Staple(r.leaf, r.issuer) }
		if staple() != nil {
			t.Error("a response before anybody was asked")
		}
		synctest.Wait()
		first := staple()
		if first == nil || r.asked.Load() != 1 {
			t.Fatalf("no response; asked %d times", r.asked.Load())
		}
		// Nothing happens before half of its life is over; then it is replaced.
		advance(4*time.Hour - time.Minute)
		if r.asked.Load() != 1 {
			t.Errorf("asked %d times", r.asked.Load())
		}
		advance(2 * time.Minute)
		second := staple()
		if r.asked.Load() != 2 || bytes.Equal(first, second) {
			t.Errorf("asked %d times", r.asked.Load())
		}
		// An outage: the last good one stays until it ends, and no longer.
		r.fail.Store(true)
		advance(7 * time.Hour)
		if !bytes.Equal(staple(), second) {
			t.Error("the last good response is gone while it is valid")
		}
		if r.asked.Load() < 6 || r.asked.Load() > 25 {
			t.Errorf("asked %d times during the outage", r.asked.Load())
		}
		advance(2 * time.Hour)
		if staple() != nil {
			t.Error("an expired response is stapled")
		}
		r.fail.Store(false)
		advance(time.Hour)
		if staple() == nil {
			t.Error("not asked again after the outage")
		}
	})
}

func advance(d time.Duration) {
	time.Sleep(d) // synctest's clock
	synctest.Wait()
}

func TestRefused(t *testing.T) {
	for name, spoil := range map[string]func(*responder){
		"revoked": func(r *responder) { r.status = ocsp.Revoked },
		"unknown": func(r *responder) { r.status = ocsp.Unknown },
		"expired": func(r *responder) { r.lifetime = -time.Minute },
		"garbage": func(r *responder) { r.body = []byte("<html>") },
		"too long": func(r *responder) {
			r.body = []byte(strings.Repeat("x", 65<<10))
		},
		"of another issuer": func(r *responder) {
			other := newResponder(r.t)
			other.leaf = r.leaf
			resp, err := ocsp.CreateResponse(other.issuer, other.issuer, ocsp.Response{
				Status: ocsp.Good, SerialNumber: r.leaf.SerialNumber,
				ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
			}, other.key)
			if err != nil {
				r.t.Fatal(err)
			}
			r.body = resp
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newResponder(t)
				spoil(r)
				s := ocspstaple.New(ocspstaple.Options{Client: &http.Client{Transport: r}})
				defer s.Close()
				s.Staple(r.leaf, r.issuer)
				synctest.Wait()
				if s.Staple(r.leaf, r.issuer) != nil || r.asked.Load() != 1 {
					t.Errorf("stapled; asked %d times", r.asked.Load())
				}
			})
		})
	}
}

func TestForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newResponder(t)
		s := ocspstaple.New(ocspstaple.Options{Client: &http.Client{Transport: r}})
		defer s.Close()
		s.Staple(r.leaf, r.issuer)
		advance(8 * 24 * time.Hour)
		asked := r.asked.Load()
		advance(8 * 24 * time.Hour)
		if r.asked.Load() != asked {
			t.Errorf("asked %d times more for a certificate that nobody uses", r.asked.Load()-asked)
		}
	})
}

package dryrun

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// stand is who sends an imagined request, from where and when. Nil is nobody in
// particular.
type stand struct {
	caller *filter.Caller // nil: who the request's credentials prove
	method string
	at     time.Time
	tls    *tls.ConnectionState
	// shown is for the methods of the policy that is in force.
	shown *Credential
}

func (s *stand) known() bool { return s != nil && s.caller != nil }

// put makes the request one of theirs.
func (s *stand) put(x *filter.Exchange) {
	if s == nil {
		return
	}
	if !s.at.IsZero() {
		x.Start = s.at
	}
	if s.tls != nil {
		x.TLS = s.tls
	}
	if s.caller != nil {
		x.Caller = *s.caller
	}
}

// show gives the request their credential.
func (s *stand) show(x *filter.Exchange, p *ir.Authentication) {
	if s != nil {
		s.shown.put(x, p)
	}
}

// imagine reads who sends the request.
func (t *Table) imagine(req Request) (*stand, error) {
	if err := req.Credential.check(); err != nil {
		return nil, err
	}
	if req.Caller == nil && req.At == "" && req.Credential == nil {
		return nil, nil
	}
	s := &stand{shown: req.Credential}
	var err error
	if req.At != "" {
		if s.at, err = time.Parse(time.RFC3339, req.At); err != nil {
			return nil, fmt.Errorf("%q is not a time; write it like 2026-11-30T08:00:00+01:00", req.At)
		}
	}
	if c := req.Caller; c != nil {
		if err := t.imagineCaller(s, c); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (t *Table) imagineCaller(s *stand, c *Imagined) error {
	if c.Identity != "" {
		id, err := url.Parse(c.Identity)
		if err != nil || id.Scheme != "spiffe" || id.Host == "" {
			return fmt.Errorf("%q is not a SPIFFE ID; write it like spiffe://example.org/ns/shop/sa/cart", c.Identity)
		}
		cert := &x509.Certificate{URIs: []*url.URL{id}}
		s.tls = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: [][]*x509.Certificate{{cert}}}
	}
	if c.Certificate != "" {
		if c.Identity != "" {
			return errors.New("a client has a certificate or an identity, not both: the identity is in the certificate")
		}
		chain, err := certificateChain(c.Certificate)
		if err != nil {
			return err
		}
		s.tls = &tls.ConnectionState{PeerCertificates: chain, VerifiedChains: [][]*x509.Certificate{chain}}
	}
	if c.Consumer == "" && c.Claims == nil && c.Method == "" {
		return nil
	}
	s.caller, s.method = &filter.Caller{Method: cmp.Or(c.Method, "imagined")}, c.Method
	if c.Consumer != "" {
		namespace, name, found := strings.Cut(c.Consumer, "/")
		if !found {
			namespace, name = "default", c.Consumer
		}
		if s.caller.Consumer = t.consumer(namespace, name); s.caller.Consumer == nil {
			return fmt.Errorf("there is no Consumer %s/%s", namespace, name)
		}
	}
	if c.Claims != nil {
		text, err := json.Marshal(c.Claims) // a copy, which NewClaims may change
		if err != nil {
			return err
		}
		values := map[string]any{}
		d := json.NewDecoder(strings.NewReader(string(text)))
		d.UseNumber()
		if err := d.Decode(&values); err != nil {
			return err
		}
		s.caller.Claims = filter.NewClaims(values)
	}
	return nil
}

// certificateChain reads certificates in PEM, of which the first is the client's.
func certificateChain(text string) (chain []*x509.Certificate, err error) {
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("the client's certificate cannot be read: %w", err)
		}
		chain = append(chain, cert)
	}
	if len(chain) == 0 {
		return nil, errors.New("the client's certificate is not in PEM")
	}
	return chain, nil
}

func (t *Table) consumer(namespace, name string) *ir.Consumer {
	for _, c := range t.config.Consumers {
		if c.Namespace == namespace && c.Name == name {
			return c
		}
	}
	return nil
}

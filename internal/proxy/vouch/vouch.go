// Package vouch carries what an edge has found out about a caller through the mesh:
// the edge signs it into a token that goes with the request, and the proxies of
// workloads believe it.
//
// A token is a JWS in compact form (RFC 7515) by the key of the edge's SVID, with the
// SVID's certificates in its header (x5c). Whoever has the trust bundle can verify it:
// no keys are distributed, and when the SVID is renewed, denied or over, so is what
// it signs. It says for which request it was made, and lasts a minute at most.
//
// A Voucher belongs to package proxy; the pipeline asks it. It owns no goroutines.
package vouch

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/tlsx"
)

const (
	// Header has the token.
	Header = httpmsg.NameGridwayCaller
	// Method is what access logs call it among what proves who calls.
	Method = "gridway-caller"

	// MaxToken bounds a token in bytes: servers that take header fields of 8 KiB are common.
	MaxToken = 8 << 10
	// MaxLifetime bounds how long a token is good for.
	MaxLifetime = time.Minute
	// Leeway is by how much the clocks of two hosts may differ.
	Leeway = 10 * time.Second

	tokenType = "gridway-caller+jwt"
	algorithm = "ES256"
)

var encoding = base64.RawURLEncoding.Strict()

// Voucher makes tokens as the process's own identity, and verifies those of others.
type Voucher struct {
	ids  tlsx.Identities
	self atomic.Pointer[self]
	stop func()

	// chains are certificates that were verified lately, by the header of tokens that has
	// them. Readers take no lock.
	chains atomic.Pointer[map[string]*chain]
	mu     sync.Mutex // held while chains is replaced
	// denials counts how often somebody was denied; guarded by mu.
	denials uint64

	tokens memory
	counts counts
}

// New makes one for a process with these identities, until Close. It is nil without any.
func New(ids tlsx.Identities) *Voucher {
	if ids == nil {
		return nil
	}
	v := &Voucher{ids: ids}
	v.chains.Store(&map[string]*chain{})
	v.stop = ids.WatchDenied(func(func(id, serial string) bool) { v.forget() })
	return v
}

// Close ends the watch for denials.
func (v *Voucher) Close() {
	if v != nil {
		v.stop()
	}
}

// FacesClients tells whether a workload of that name is an edge, which may say who
// calls: "edge", or what begins with "edge-". Control planes give Gateways, and with
// them the keys of their certificates, to the same names.
func FacesClients(service string) bool {
	return service == "edge" || strings.HasPrefix(service, "edge-")
}

// signs returns the trust domain of a SPIFFE ID that may sign tokens.
func signs(id string) (domain string, ok bool) {
	rest, ok := strings.CutPrefix(id, "spiffe://")
	if !ok {
		return "", false
	}
	part := strings.Split(rest, "/")
	if len(part) != 5 || part[0] == "" || part[1] != "ns" || part[2] == "" || part[3] != "sa" || !FacesClients(part[4]) {
		return "", false
	}
	return part[0], true
}

// self is who the process is as long as its SVID is the same.
type self struct {
	cert     *tls.Certificate
	id       string
	audience string
	// edge: the process may sign, with key, behind head.
	edge bool
	key  *ecdsa.PrivateKey
	head []byte
}

func (v *Voucher) own() (*self, error) {
	cert, err := v.ids.Certificate("")
	if err != nil {
		return nil, err
	}
	if s := v.self.Load(); s != nil && s.cert == cert {
		return s, nil
	}
	s, err := newSelf(cert)
	if err != nil {
		return nil, err
	}
	v.self.Store(s)
	return s, nil
}

func newSelf(cert *tls.Certificate) (*self, error) {
	if cert.Leaf == nil || len(cert.Leaf.URIs) != 1 {
		return nil, errors.New("the SVID names nobody")
	}
	domain, path, ok := filter.SPIFFE(cert.Leaf.URIs[0])
	if !ok {
		return nil, errors.New("the SVID has no SPIFFE ID")
	}
	s := &self{cert: cert, id: "spiffe://" + domain + path, audience: "spiffe://" + domain}
	if _, s.edge = signs(s.id); !s.edge {
		return s, nil
	}
	key, ok := cert.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("the key of the SVID is not of ECDSA on P-256, which tokens are signed with (RFC 7518 §3.4)")
	}
	s.key = key
	head, err := json.Marshal(header{Algorithm: algorithm, Type: tokenType, Chain: cert.Certificate})
	if err != nil {
		return nil, err
	}
	s.head = append(encoding.AppendEncode(nil, head), '.')
	return s, nil
}

// header of a token. Certificates are base64 with padding there (RFC 7515 §4.1.6), as
// encoding/json has bytes.
type header struct {
	Algorithm string          `json:"alg"`
	Type      string          `json:"typ"`
	Chain     [][]byte        `json:"x5c"`
	Critical  json.RawMessage `json:"crit,omitempty"`
}

// payload of a token (RFC 7519 §4.1).
type payload struct {
	Issuer   string `json:"iss"`
	Audience string `json:"aud"`
	IssuedAt int64  `json:"iat"`
	Expires  int64  `json:"exp"`
	// Request is the request's ID; empty if the edge gives none.
	Request    string         `json:"jti,omitempty"`
	Method     string         `json:"method"`
	Credential string         `json:"credential,omitempty"`
	Consumer   *consumer      `json:"consumer,omitempty"`
	Claims     map[string]any `json:"claims,omitempty"`
}

type consumer struct {
	Namespace string            `json:"namespace"`
	Name      string            `json:"name"`
	Groups    []string          `json:"groups,omitempty"`
	Plan      string            `json:"plan,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
}

// chain is whose certificates a header has.
type chain struct {
	id  string
	key *ecdsa.PublicKey
	// until is when to look again.
	until time.Time
}

const (
	// look is how long a verified chain is believed: roots may go.
	look = 10 * time.Second
	// maxChains bounds those that are remembered: there are few edges.
	maxChains = 256
	maxChain  = 5
)

// forget has all chains verified anew.
func (v *Voucher) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.denials++
	v.chains.Store(&map[string]*chain{})
}

// chainOf is whose certificates an encoded header has, if they are trusted now.
func (v *Voucher) chainOf(head []byte, now time.Time) (*chain, filter.Fault) {
	if c := (*v.chains.Load())[string(head)]; c != nil && now.Before(c.until) {
		return c, filter.FaultNone
	}
	v.mu.Lock()
	before := v.denials
	v.mu.Unlock()
	c, fault := v.verifyChain(head, now)
	if fault != filter.FaultNone {
		return nil, fault
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.denials != before {
		return c, filter.FaultNone // it may be over already: the next token will tell
	}
	all := make(map[string]*chain, len(*v.chains.Load())+1)
	for h, one := range *v.chains.Load() {
		if now.Before(one.until) && len(all) < maxChains-1 {
			all[h] = one
		}
	}
	all[string(head)] = c
	v.chains.Store(&all)
	return c, filter.FaultNone
}

func (v *Voucher) verifyChain(head []byte, now time.Time) (*chain, filter.Fault) {
	h, fault := readHeader(head)
	if fault != filter.FaultNone {
		return nil, fault
	}
	list := make([]*x509.Certificate, len(h.Chain))
	for i, der := range h.Chain {
		var err error
		if list[i], err = x509.ParseCertificate(der); err != nil {
			return nil, filter.FaultMalformed
		}
	}
	id, err := v.ids.VerifyPeer(list)
	if err != nil {
		return nil, filter.FaultUntrusted
	}
	key, ok := list[0].PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, filter.FaultAlgorithm
	}
	until := now.Add(look)
	if list[0].NotAfter.Before(until) {
		until = list[0].NotAfter
	}
	return &chain{id: id, key: key, until: until}, filter.FaultNone
}

func readHeader(head []byte) (*header, filter.Fault) {
	text, err := encoding.AppendDecode(nil, head)
	if err != nil {
		return nil, filter.FaultMalformed
	}
	var h header
	if json.Unmarshal(text, &h) != nil || len(h.Chain) == 0 || len(h.Chain) > maxChain || h.Critical != nil {
		return nil, filter.FaultMalformed
	}
	switch {
	case h.Type != tokenType:
		return nil, filter.FaultType
	case h.Algorithm != algorithm:
		return nil, filter.FaultAlgorithm
	}
	return &h, filter.FaultNone
}

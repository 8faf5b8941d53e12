package vouch

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// Verify reads the token of a request that has come from a peer, who is proven by the
// connection, at a time. The caller is nobody unless the fault is FaultNone.
//
// What comes from the edge itself, on its own connection, needs no signature to be
// believed: that of the handshake proves the same. Everything else of the token must
// be right there, too.
func (v *Voucher) Verify(token []byte, peer string, requestID []byte, now time.Time) (filter.Caller, filter.Fault) {
	c, fault := v.verify(token, peer, requestID, now)
	if fault != filter.FaultNone {
		v.counts.refused[fault].Add(1)
		return filter.Caller{}, fault
	}
	return c, filter.FaultNone
}

func (v *Voucher) verify(token []byte, peer string, requestID []byte, now time.Time) (filter.Caller, filter.Fault) {
	if len(token) > MaxToken {
		return filter.Caller{}, filter.FaultMalformed
	}
	head, rest, _ := bytes.Cut(token, dot)
	var d digest
	_, edge := signs(peer)
	if !edge { // what an edge sends has not been seen before
		d = sha256.Sum256(token)
		if k := v.tokens.get(&d); k != nil {
			return v.again(k, head, requestID, now)
		}
	}
	body, signature, ok := bytes.Cut(rest, dot)
	if !ok || len(head) == 0 || len(body) == 0 || bytes.ContainsAny(token, "\r\n") {
		return filter.Caller{}, filter.FaultMalformed
	}
	p, ok := readPayload(body)
	if !ok {
		return filter.Caller{}, filter.FaultMalformed
	}
	if fault := v.judge(p, requestID, now); fault != filter.FaultNone {
		return filter.Caller{}, fault
	}
	if p.Issuer == peer {
		v.counts.direct.Add(1)
		return p.caller(), filter.FaultNone
	}
	c, fault := v.trusted(head, p.Issuer, now)
	if fault != filter.FaultNone {
		return filter.Caller{}, fault
	}
	if !verified(c.key, token[:len(head)+1+len(body)], signature) {
		return filter.Caller{}, filter.FaultSignature
	}
	v.counts.verified.Add(1)
	caller := p.caller()
	if !edge {
		v.tokens.put(&known{digest: d, payload: p, caller: caller}, len(body), now.Unix())
	}
	return caller, filter.FaultNone
}

// again is verify for a token whose signature is known to be good.
func (v *Voucher) again(k *known, head, requestID []byte, now time.Time) (filter.Caller, filter.Fault) {
	if fault := v.judge(k.payload, requestID, now); fault != filter.FaultNone {
		return filter.Caller{}, fault
	}
	if _, fault := v.trusted(head, k.payload.Issuer, now); fault != filter.FaultNone {
		return filter.Caller{}, fault
	}
	v.counts.remembered.Add(1)
	return k.caller, filter.FaultNone
}

// trusted returns the certificates in the head of a token, if they are trusted and the
// issuer's.
func (v *Voucher) trusted(head []byte, issuer string, now time.Time) (*chain, filter.Fault) {
	c, fault := v.chainOf(head, now)
	if fault == filter.FaultNone && c.id != issuer {
		fault = filter.FaultIssuer
	}
	return c, fault
}

var dot = []byte(".")

// judge looks at what a token says, before anybody knows whether it is true.
func (v *Voucher) judge(p *payload, requestID []byte, now time.Time) filter.Fault {
	own, err := v.own()
	if err != nil {
		return filter.FaultNoKeys
	}
	domain, ok := signs(p.Issuer)
	at, slack := now.Unix(), int64(Leeway/time.Second)
	switch {
	case !ok || own.audience != "spiffe://"+domain:
		return filter.FaultIssuer
	case p.Audience != own.audience:
		return filter.FaultAudience
	case p.Expires <= p.IssuedAt || p.Expires-p.IssuedAt > int64(MaxLifetime/time.Second):
		return filter.FaultClaims
	case p.over(at):
		return filter.FaultExpired
	case at+slack < p.IssuedAt:
		return filter.FaultNotYet
	case p.Request != "" && p.Request != string(requestID):
		return filter.FaultRequest
	}
	return filter.FaultNone
}

// over tells whether a token has expired at a time in seconds, by anybody's clock.
func (p *payload) over(at int64) bool { return at-int64(Leeway/time.Second) >= p.Expires }

func verified(key *ecdsa.PublicKey, signed, encoded []byte) bool {
	var signature [64]byte
	if encoding.DecodedLen(len(encoded)) != len(signature) {
		return false
	}
	if n, err := encoding.Decode(signature[:], encoded); err != nil || n != len(signature) {
		return false
	}
	digest := sha256.Sum256(signed)
	return ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
}

func readPayload(encoded []byte) (*payload, bool) {
	text, err := encoding.AppendDecode(nil, encoded)
	if err != nil {
		return nil, false
	}
	var p payload
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&p) != nil || p.Method == "" {
		return nil, false
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, false
	}
	if c := p.Consumer; c != nil && (c.Namespace == "" || c.Name == "") {
		return nil, false
	}
	return &p, true
}

// caller is whom a token is about, as policies see it.
func (p *payload) caller() filter.Caller {
	c := filter.Caller{Method: p.Method, Credential: p.Credential}
	if who := p.Consumer; who != nil {
		c.Consumer = &ir.Consumer{Namespace: who.Namespace, Name: who.Name, Groups: who.Groups, GroupList: strings.Join(who.Groups, ","), Plan: who.Plan}
		for name, value := range who.Labels {
			c.Consumer.Labels = append(c.Consumer.Labels, ir.Label{Name: name, Value: value})
		}
		slices.SortFunc(c.Consumer.Labels, func(a, b ir.Label) int { return strings.Compare(a.Name, b.Name) })
	}
	if len(p.Claims) > 0 {
		c.Claims = filter.NewClaims(p.Claims)
	}
	return c
}

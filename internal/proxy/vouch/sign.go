package vouch

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// Errors of Sign.
var (
	ErrNoEdge = errors.New("this process is no edge, whose word proxies of the mesh would take: an edge is called edge or edge-…")
	ErrLong   = errors.New("what is known of the caller does not fit in 8 KiB: name fewer claims in callers.claims of the MeshPolicy")
)

// always are the claims that go with every token that has claims: what Claims has fields
// for.
var always = []string{"iss", "sub", "client_id", "azp", "scope", "scp"}

// Sign makes a token of what is known of the caller of a request, as of now.
func (v *Voucher) Sign(c *filter.Caller, o *ir.Vouching, requestID []byte, now time.Time) ([]byte, error) {
	token, err := v.sign(c, o, requestID, now)
	if err != nil {
		v.counts.unsigned.Add(1)
		return nil, err
	}
	v.counts.signed.Add(1)
	return token, nil
}

func (v *Voucher) sign(c *filter.Caller, o *ir.Vouching, requestID []byte, now time.Time) ([]byte, error) {
	s, err := v.own()
	if err != nil {
		return nil, err
	}
	if !s.edge {
		return nil, ErrNoEdge
	}
	p := payload{
		Issuer: s.id, Audience: s.audience, IssuedAt: now.Unix(), Expires: now.Add(o.Lifetime).Unix(),
		Request: string(requestID), Method: c.Method, Credential: c.Credential, Claims: chosen(c.Claims, o.Claims),
	}
	if who := c.Consumer; who != nil {
		p.Consumer = &consumer{Namespace: who.Namespace, Name: who.Name, Groups: who.Groups, Plan: who.Plan}
		if len(who.Labels) > 0 {
			p.Consumer.Labels = make(map[string]string, len(who.Labels))
			for _, l := range who.Labels {
				p.Consumer.Labels[l.Name] = l.Value
			}
		}
	}
	text, err := json.Marshal(&p)
	if err != nil {
		return nil, err
	}
	size := len(s.head) + encoding.EncodedLen(len(text)) + 1 + encoding.EncodedLen(64)
	if size > MaxToken {
		return nil, ErrLong
	}
	out := append(make([]byte, 0, size), s.head...)
	out = encoding.AppendEncode(out, text)
	digest := sha256.Sum256(out)
	r, t, err := ecdsa.Sign(rand.Reader, s.key, digest[:])
	if err != nil {
		return nil, err
	}
	var signature [64]byte // RFC 7518 §3.4: both numbers in full length
	r.FillBytes(signature[:32])
	t.FillBytes(signature[32:])
	return encoding.AppendEncode(append(out, '.'), signature[:]), nil
}

// Goes tells whether a claim of that name goes with tokens.
func Goes(name string, o *ir.Vouching) bool {
	return slices.Contains(always, name) || slices.Contains(o.Claims, name) || slices.Equal(o.Claims, []string{"*"})
}

// chosen are the claims that go with a token.
func chosen(c *filter.Claims, names []string) map[string]any {
	all := c.Values()
	if len(all) == 0 {
		return nil
	}
	if len(names) == 1 && names[0] == "*" {
		return all
	}
	out := make(map[string]any, len(always)+len(names))
	for _, list := range [2][]string{always, names} {
		for _, name := range list {
			if v, ok := all[name]; ok {
				out[name] = v
			}
		}
	}
	return out
}

package acme

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"github.com/gridway/gridway/internal/config/issuance"
)

const (
	// lookupTimeout bounds the look at the storage for what another edge has
	// asked for, and maxLookups how many of them there are at once: anyone can
	// ask for any token.
	lookupTimeout = 2 * time.Second
	maxLookups    = 16
	// answerLife is how long an answer that nobody took away counts.
	answerLife = time.Hour
)

// Responder answers the challenges of authorities: those of this process, and
// by way of the storage those of others that share it.
type Responder struct {
	storage Storage
	log     *slog.Logger
	lookups chan struct{}
	// shared: there are orders, so that others may have placed the same.
	shared atomic.Bool

	mu     sync.Mutex
	tokens map[string]string           // guarded by mu; token → key authorization
	certs  map[string]*tls.Certificate // guarded by mu; name → certificate for TLS-ALPN-01
}

func newResponder(s Storage, log *slog.Logger) *Responder {
	return &Responder{
		storage: s, log: log, lookups: make(chan struct{}, maxLookups),
		tokens: map[string]string{}, certs: map[string]*tls.Certificate{},
	}
}

// answer is what an edge stores for the others.
type answer struct {
	Name             string    `json:"name"`
	Token            string    `json:"token"`
	KeyAuthorization string    `json:"keyAuthorization"`
	Expires          time.Time `json:"expires"`
}

// KeyAuthorization returns what the file of an HTTP-01 challenge has to hold,
// RFC 8555 §8.3. It may look at the storage, and so block for a moment.
func (r *Responder) KeyAuthorization(token string) (string, bool) {
	if !validToken(token) {
		return "", false
	}
	r.mu.Lock()
	text, ok := r.tokens[token]
	r.mu.Unlock()
	if ok {
		return text, true
	}
	if a := r.lookup(httpAnswerKey(token)); a != nil && a.Token == token {
		return a.KeyAuthorization, true
	}
	return "", false
}

// Certificate returns the certificate for a TLS-ALPN-01 handshake, RFC 8737 §3.
// It may look at the storage, and so block for a moment.
func (r *Responder) Certificate(name string) (*tls.Certificate, bool) {
	name = strings.ToLower(name)
	r.mu.Lock()
	cert := r.certs[name]
	r.mu.Unlock()
	if cert != nil {
		return cert, true
	}
	key := tlsAnswerKey(name)
	if checkKey(key) != nil { // a client can send anything
		return nil, false
	}
	a := r.lookup(key)
	if a == nil || a.Name != name {
		return nil, false
	}
	cert, err := challengeCertificate(name, a.KeyAuthorization)
	return cert, err == nil
}

// lookup asks the storage for what another edge wants answered.
func (r *Responder) lookup(key string) *answer {
	if !r.shared.Load() {
		return nil
	}
	select {
	case r.lookups <- struct{}{}:
		defer func() { <-r.lookups }()
	default:
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	a, err := load[answer](ctx, r.storage, key)
	if err != nil {
		r.log.Warn("the answer to a challenge could not be looked up", "error", err)
		return nil
	}
	if a == nil || time.Now().After(a.Expires) {
		return nil
	}
	return a
}

// present lets a challenge be answered, here and by others, until withdraw.
func (r *Responder) present(ctx context.Context, c acme.Challenge) (withdraw func(), err error) {
	name := strings.ToLower(c.Identifier.Value)
	a := answer{Name: name, Token: c.Token, KeyAuthorization: c.KeyAuthorization, Expires: time.Now().Add(answerLife)}
	var key string
	switch issuance.Challenge(c.Type) {
	case issuance.HTTP01:
		if !validToken(c.Token) {
			return nil, errors.New("the authority's token is not one") // RFC 8555 §8.1
		}
		key = httpAnswerKey(c.Token)
		r.mu.Lock()
		r.tokens[c.Token] = c.KeyAuthorization
		r.mu.Unlock()
	case issuance.TLSALPN01:
		key = tlsAnswerKey(name)
		cert, err := challengeCertificate(name, c.KeyAuthorization)
		if err != nil {
			return nil, err
		}
		r.mu.Lock()
		r.certs[name] = cert
		r.mu.Unlock()
	default:
		return nil, errors.New("challenges of type " + c.Type + " are not answered here")
	}
	withdraw = func() {
		r.mu.Lock()
		delete(r.tokens, c.Token)
		if issuance.Challenge(c.Type) == issuance.TLSALPN01 {
			delete(r.certs, name)
		}
		r.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
		defer cancel()
		if err := r.storage.Delete(ctx, key); err != nil {
			r.log.Warn("the answer to a challenge could not be removed", "error", err)
		}
	}
	if err := save(ctx, r.storage, key, a); err != nil {
		withdraw()
		return nil, err
	}
	return withdraw, nil
}

func httpAnswerKey(token string) string { return "challenges/http-" + token }
func tlsAnswerKey(name string) string   { return "challenges/tls-" + clip(name) }

// validToken: the characters of base64url, RFC 8555 §8.1, and a length that a
// file's name can have.
func validToken(t string) bool {
	if len(t) < 16 || len(t) > 160 {
		return false
	}
	for i := range len(t) {
		if c := t[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func challengeCertificate(name, keyAuthorization string) (*tls.Certificate, error) {
	return acmez.TLSALPN01ChallengeCert(acme.Challenge{
		Type: acme.ChallengeTypeTLSALPN01, Identifier: acme.Identifier{Type: "dns", Value: name}, KeyAuthorization: keyAuthorization,
	})
}

// clip shortens a name to what the name of a file can have.
func clip(name string) string { return name[max(0, len(name)-150):] }

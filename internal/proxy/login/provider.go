package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/fetch"
)

const (
	// fresh is how long endpoints are used before they are looked for again.
	fresh = 10 * time.Minute
	// respite is how long a provider is left alone that could not be asked.
	respite = time.Second

	fetchTimeout = 5 * time.Second
	maxAnswer    = 256 << 10
	connections  = 16
	maxRedirects = 3
	// maxAsking bounds the requests that wait for a provider.
	maxAsking = 256
)

// Errors that say how a question to the provider ended, possibly wrapped.
var (
	// ErrRefused: the provider has answered, and it is no.
	ErrRefused = errors.New("the provider refuses")
	// ErrUnavailable: there is no answer that can be used.
	ErrUnavailable = errors.New("the provider cannot be asked")
	// ErrBusy: as many wait for it already as may.
	ErrBusy = fmt.Errorf("%w: too many wait for it", ErrUnavailable)
)

// ResultOf counts an error.
func ResultOf(err error) Result {
	switch {
	case err == nil:
		return Good
	case errors.Is(err, ErrUnavailable):
		return Unavailable
	}
	return Refused
}

// Metadata is where a provider's endpoints are (OpenID Connect Discovery 1.0 §3, RFC
// 8414 §2).
type Metadata struct {
	Issuer        string   `json:"issuer"`
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	UserInfo      string   `json:"userinfo_endpoint"`
	EndSession    string   `json:"end_session_endpoint"`
	Revocation    string   `json:"revocation_endpoint"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
	// NamesIssuer: answers to requests for authorization have "iss" (RFC 9207).
	NamesIssuer bool `json:"authorization_response_iss_parameter_supported"`
}

// provider is asked for many configurations.
type provider struct {
	issuer, url string
	plain       bool
	offline     bool
	log         *slog.Logger
	client      *fetch.Client
	ctx         context.Context
	asking      atomic.Int64
	known       atomic.Pointer[found]
	trouble     atomic.Pointer[Trouble]

	mu     sync.Mutex // held by who looks for the endpoints
	failed time.Time  // guarded by mu
	why    error      // guarded by mu
}

// Trouble is since when a provider's endpoints cannot be found, and why. Kept: those
// that were found before are used.
type Trouble struct {
	Since time.Time
	Err   string
	Kept  bool
}

type found struct {
	meta Metadata
	at   time.Time
}

func (s *Set) newProvider(one *ir.Login) *provider {
	p := &provider{issuer: one.Issuer, url: one.URL, plain: one.Plain, offline: s.opts.Offline, log: s.opts.Log.With("issuer", one.Issuer), ctx: s.ctx}
	o := fetch.Options{Plain: one.Plain, MaxBody: maxAnswer, Redirects: maxRedirects, Timeout: fetchTimeout, Connections: connections}
	if len(one.CA) > 0 {
		o.TLS = &ir.UpstreamTLS{CA: one.CA}
	}
	var err error
	if p.client, err = fetch.New(o); err != nil { // compile has read the CA
		s.opts.Log.Error("a provider cannot be asked", "login", one.Name, "error", err)
	}
	return p
}

func (p *provider) close() {
	if p.client != nil {
		p.client.Close()
	}
}

// do asks the provider something, if not too many do.
func (p *provider) do(q *fetch.Request) (*fetch.Response, error) {
	if p.offline || p.client == nil {
		return nil, ErrUnavailable
	}
	if p.asking.Add(1) > maxAsking {
		p.asking.Add(-1)
		return nil, ErrBusy
	}
	defer p.asking.Add(-1)
	r, err := p.client.Do(p.ctx, q)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return r, nil
}

// Metadata finds the provider's endpoints. Wait is called before it waits. Endpoints
// that were found stay when the provider is gone.
func (l *Login) Metadata(wait func()) (*Metadata, error) {
	p := l.provider
	if !l.Usable() {
		return nil, ErrUnavailable
	}
	if p.offline {
		return &Metadata{Issuer: p.issuer, Authorization: p.issuer}, nil
	}
	f := p.known.Load()
	if f != nil && time.Since(f.at) < fresh {
		return &f.meta, nil
	}
	if f != nil && !p.mu.TryLock() { // somebody is looking; what is known will do
		return &f.meta, nil
	}
	wait()
	if f == nil {
		p.mu.Lock()
	}
	defer p.mu.Unlock()
	if f = p.known.Load(); f != nil && time.Since(f.at) < fresh {
		return &f.meta, nil
	}
	if p.why == nil || time.Since(p.failed) >= respite {
		meta, err := p.discover()
		if err == nil {
			p.why = nil
			p.trouble.Store(nil)
			p.known.Store(&found{*meta, time.Now()})
			return meta, nil
		}
		p.log.Warn("the provider's endpoints cannot be found", "error", err, "kept", f != nil)
		p.why, p.failed = err, time.Now()
		since := p.failed
		if t := p.trouble.Load(); t != nil {
			since = t.Since
		}
		p.trouble.Store(&Trouble{Since: since, Err: err.Error(), Kept: f != nil})
	}
	if f != nil {
		return &f.meta, nil
	}
	return nil, p.why
}

// discover reads the document (OpenID Connect Discovery 1.0 §4).
func (p *provider) discover() (*Metadata, error) {
	answer, err := p.client.Get(p.ctx, p.url, "application/json")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	m := &Metadata{}
	if json.Unmarshal(answer.Body, m) != nil {
		return nil, fmt.Errorf("%w: its document is not JSON", ErrUnavailable)
	}
	if m.Issuer != p.issuer { // §4.3
		return nil, fmt.Errorf("%w: its document is for issuer %.200q", ErrUnavailable, m.Issuer)
	}
	for _, e := range []struct {
		name, url string
		must      bool
	}{
		{"authorization_endpoint", m.Authorization, true},
		{"token_endpoint", m.Token, true},
		{"userinfo_endpoint", m.UserInfo, false},
		{"end_session_endpoint", m.EndSession, false},
		{"revocation_endpoint", m.Revocation, false},
	} {
		if e.url == "" && !e.must {
			continue
		}
		if _, err := ir.ParseFetchURL(e.url, p.plain); err != nil {
			return nil, fmt.Errorf("%w: its %s: %w", ErrUnavailable, e.name, err)
		}
	}
	return m, nil
}

// secretInBody tells whether the client's secret goes into the body of requests:
// where the provider says that it takes it there and not in the header (RFC 6749
// §2.3.1).
func (m *Metadata) secretInBody() bool {
	return slices.Contains(m.AuthMethods, "client_secret_post") && !slices.Contains(m.AuthMethods, "client_secret_basic")
}

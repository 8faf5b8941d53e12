package consul

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

const (
	// DefaultQueries is how many queries wait at an agent at a time: an agent takes
	// 200 connections of one address unless it is told otherwise
	// (limits.http_max_conns_per_client), and others may be on the same host.
	DefaultQueries = 128
	// longest is how long a query waits at an agent that has room for all. An agent
	// adds up to a sixteenth.
	longest = time.Minute
	// round is how long it takes at most until each watch has had its turn, where
	// there are more than queries; shortest bounds what one waits then.
	round    = 10 * time.Second
	shortest = 50 * time.Millisecond
	// grace is what an answer may take beside the waiting.
	grace = 10 * time.Second

	connectTimeout = 5 * time.Second
	maxRetryAfter  = time.Minute
	maxComplaint   = 256
)

// agent is one Consul agent, or what answers in its place.
type agent struct {
	key     string
	address string // as it is shown
	token   string
	base    *url.URL
	slots   chan struct{}
	client  *http.Client
	err     error // why nobody can be asked

	watches atomic.Int64
}

// patience is how long a query waits: long, or as long as others can spare.
func (a *agent) patience() time.Duration {
	watches, queries := a.watches.Load(), int64(cap(a.slots))
	if watches <= queries {
		return longest
	}
	return max(shortest, round*time.Duration(queries)/time.Duration(watches))
}

func newAgent(key string, config *ir.ConsulAgent, transport func(*ir.ConsulAgent) (http.RoundTripper, error)) *agent {
	queries := config.MaxQueries
	if queries <= 0 {
		queries = DefaultQueries
	}
	a := &agent{key: key, address: config.Address, token: config.Token, slots: make(chan struct{}, queries)}
	if strings.HasPrefix(config.Address, "unix:") {
		a.base = &url.URL{Scheme: "http", Host: "localhost"}
	} else if a.base, a.err = url.Parse(config.Address); a.err != nil {
		return a
	}
	t, err := transport(config)
	if err != nil {
		a.err = err
		return a
	}
	a.client = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // the token is for this agent
	}}
	return a
}

func (a *agent) close() {
	if a.client != nil {
		a.client.CloseIdleConnections()
	}
}

// transport connects to an agent as its configuration says. No proxy of the
// environment is used.
func transport(config *ir.ConsulAgent) (http.RoundTripper, error) {
	queries := config.MaxQueries
	if queries <= 0 {
		queries = DefaultQueries
	}
	dialer := &net.Dialer{Timeout: connectTimeout}
	t := &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: connectTimeout, ForceAttemptHTTP2: true,
		MaxConnsPerHost: queries, MaxIdleConnsPerHost: queries, IdleConnTimeout: 30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
	if path, ok := strings.CutPrefix(config.Address, "unix:"); ok {
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return dialer.DialContext(ctx, "unix", path) }
	}
	if config.TLS == nil {
		return t, nil
	}
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: config.TLS.ServerName}
	if len(config.TLS.CA) > 0 {
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(config.TLS.CA) {
			return nil, errors.New("the CA bundle holds no certificate")
		}
	}
	if c := config.TLS.Certificate; c != nil {
		pair, err := tls.X509KeyPair(c.Chain, c.Key)
		if err != nil {
			return nil, fmt.Errorf("client certificate: %w", err)
		}
		t.TLSClientConfig.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// reply is an answer about a service.
type reply struct {
	instances []instance
	index     uint64
	indexed   bool // there was an index
	// leaderless: the servers know no leader. filtered: the token may not read all.
	leaderless, filtered bool
	// anonymous: no token was sent, and who has none may read nothing unless the
	// anonymous token says otherwise. What is filtered is not told then.
	anonymous bool
}

// refusal is an answer that is none.
type refusal struct {
	status     int
	text       string
	retryAfter time.Duration
}

func (r *refusal) Error() string {
	text := fmt.Sprintf("the agent answers %d", r.status)
	if r.text != "" {
		text += ": " + r.text
	}
	switch r.status {
	case http.StatusForbidden, http.StatusUnauthorized:
		text += " (see agent.tokenSecretRef)"
	case http.StatusNotFound:
		text += " (is it an agent of Consul?)"
	}
	return text
}

// cause is the part of an error that does not change from one attempt to the next:
// errors of connections name ports.
func cause(err error) string {
	var refused *refusal
	var op *net.OpError
	switch {
	case errors.As(err, &refused):
		return refused.Error()
	case errors.As(err, &op):
		return op.Op + op.Err.Error()
	}
	return err.Error()
}

// ask puts one question, and waits for its turn and for something newer than index.
func (a *agent) ask(ctx context.Context, q *query, index uint64) (reply, error) {
	if a.err != nil {
		return reply{}, a.err
	}
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return reply{}, ctx.Err()
	}
	wait := a.patience()
	timeout := grace
	if index > 0 {
		timeout += wait + wait/16
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errSilent)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url(q, index, wait), nil)
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "gridway")
	if a.token != "" {
		req.Header.Set("X-Consul-Token", a.token)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return reply{}, plain(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return reply{}, refused(resp)
	}
	r := reply{
		// An agent that has the answer from its own stream of changes (Consul 1.10 and
		// later, for queries with an index) does not look for a leader and says false.
		leaderless: resp.Header.Get("X-Consul-KnownLeader") == "false" && resp.Header.Get("X-Consul-Query-Backend") != "streaming",
		filtered:   resp.Header.Get("X-Consul-Results-Filtered-By-Acls") == "true",
		anonymous:  a.token == "" && resp.Header.Get("X-Consul-Default-Acl-Policy") == "deny",
	}
	if n, err := strconv.ParseUint(resp.Header.Get("X-Consul-Index"), 10, 64); err == nil {
		r.index, r.indexed = n, true
	}
	if r.instances, err = readAnswer(resp.Body, q.warning); err != nil {
		return reply{}, plain(ctx, err)
	}
	return r, nil
}

// errSilent: nothing has come in all the time that there is.
var errSilent = errors.New("the agent does not answer in time")

// plain is an error without the URL, which is long and says nothing that is not known.
func plain(ctx context.Context, err error) error {
	if context.Cause(ctx) == errSilent {
		return errSilent
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// url is the question. Wait is spread, so that queries do not end together.
func (a *agent) url(q *query, index uint64, wait time.Duration) string {
	v := url.Values{}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	if !q.warning {
		v.Set("passing", "1")
	}
	if q.tags != "" {
		v["tag"] = strings.Split(q.tags, "\x00")
	}
	set("dc", q.datacenter)
	set("ns", q.namespace)
	set("partition", q.partition)
	set("near", q.near)
	set("filter", q.filter)
	set(string(q.consistency), "1")
	if index > 0 {
		v.Set("index", strconv.FormatUint(index, 10))
		v.Set("wait", (wait - time.Duration(rand.Int64N(int64(wait)/8))).Round(time.Millisecond).String())
	}
	u := *a.base
	u.Path = strings.TrimSuffix(u.Path, "/")
	u.RawPath = u.EscapedPath() + "/v1/health/service/" + url.PathEscape(q.service)
	u.Path += "/v1/health/service/" + q.service
	u.RawQuery = v.Encode()
	return u.String()
}

// refused reads why an agent does not answer.
func refused(resp *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxComplaint))
	r := &refusal{status: resp.StatusCode, text: printable(string(text))}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		r.retryAfter = min(time.Duration(min(s, 3600))*time.Second, maxRetryAfter)
	}
	return r
}

// printable is text in one line, without what a terminal may act upon.
func printable(text string) string {
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 || c == '\uFFFD' {
			return ' '
		}
		return c
	}, text))
}

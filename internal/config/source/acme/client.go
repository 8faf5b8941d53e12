package acme

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"github.com/gridway/gridway/internal/config/issuance"
)

const (
	// requestTimeout bounds one request to an authority, pollTimeout the wait
	// for it to look at a challenge or to issue.
	requestTimeout = 30 * time.Second
	pollTimeout    = 3 * time.Minute
	pollInterval   = 500 * time.Millisecond
	// maxReply bounds what is read of a reply.
	maxReply = 4 << 20
)

// client asks authorities. It implements authority.
type client struct {
	storage   Storage
	responder *Responder
	userAgent string
	now       func() time.Time
	log       *slog.Logger

	mu         sync.Mutex
	transports map[string]*http.Transport // guarded by mu; by CA bundle
}

func newClient(o *Options, r *Responder) *client {
	return &client{storage: o.Storage, responder: r, userAgent: o.UserAgent, now: o.Now, log: o.Log, transports: map[string]*http.Transport{}}
}

// setbackError is why a certificate could not be had.
type setbackError struct {
	err error
	// refused: the authority has said no, as opposed to not being reached.
	refused bool
	// wait is how long the authority asks to be left alone.
	wait time.Duration
}

func (e *setbackError) Error() string { return e.err.Error() }
func (e *setbackError) Unwrap() error { return e.err }

// conversation is one series of requests for one order.
type conversation struct {
	*client
	order    *issuance.Order
	acme     *acme.Client
	recorder *recorder
}

func (c *client) talk(o *issuance.Order) (*conversation, error) {
	transport, err := c.transport(o.CA)
	if err != nil {
		return nil, err
	}
	r := &recorder{base: transport, now: c.now}
	return &conversation{client: c, order: o, recorder: r, acme: &acme.Client{
		Directory: o.Directory, UserAgent: c.userAgent, PollInterval: pollInterval, PollTimeout: pollTimeout,
		HTTPClient: &http.Client{Transport: r, Timeout: requestTimeout},
	}}, nil
}

// transport is shared by the conversations that trust the same CAs.
func (c *client) transport(ca []byte) (*http.Transport, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.transports[string(ca)]; t != nil {
		return t, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(ca) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(ca) {
			return nil, errors.New("the CA bundle holds no certificate")
		}
	}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, ForceAttemptHTTP2: true,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: requestTimeout,
		IdleConnTimeout: 30 * time.Second, MaxIdleConnsPerHost: 2,
	}
	c.transports[string(ca)] = t
	return t, nil
}

// close ends idle connections.
func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.transports {
		t.CloseIdleConnections()
	}
}

// recorder remembers how long an authority asks to be left alone, and bounds
// its replies.
type recorder struct {
	base http.RoundTripper
	now  func() time.Time

	mu   sync.Mutex
	wait time.Duration // guarded by mu; of the last reply that was an error
	// refuse is the URL of renewal information while that is not wanted, which
	// ends the conversation.
	refuse string // guarded by mu
	end    func() // guarded by mu
	// once: a reply that is an error ends the conversation.
	once bool
}

var errNotNow = errors.New("renewal information is asked for later")

// unwanted ends the conversation that asks for what it was told not to. The
// library asks for renewal information with each download, and again and again
// where there is none, while a good certificate waits.
func (r *recorder) unwanted(req *http.Request) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse == "" || !strings.HasPrefix(req.URL.String(), r.refuse) {
		return false
	}
	r.end()
	return true
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	if r.unwanted(req) {
		return nil, errNotNow
	}
	resp, err := r.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: maxReply}
	if resp.StatusCode >= 400 {
		r.mu.Lock()
		r.wait = retryAfter(resp.Header.Get("Retry-After"), r.now())
		if r.once {
			r.end()
		}
		r.mu.Unlock()
	}
	return resp, nil
}

// retryAfter reads the header, RFC 9110 §10.2.3; zero if there is none.
func retryAfter(v string, now time.Time) time.Duration {
	const longest = 30 * 24 * time.Hour
	if seconds, err := strconv.ParseUint(v, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, longest)
	}
	if at, err := http.ParseTime(v); err == nil {
		return min(max(0, at.Sub(now)), longest)
	}
	return 0
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the reply is longer than %d bytes", maxReply)
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// setback sorts an error for the pause that follows.
func (t *conversation) setback(err error) error {
	problem, refused := problemOf(err)
	out := &setbackError{err: explain(err, problem.Type), refused: refused}
	t.recorder.mu.Lock()
	defer t.recorder.mu.Unlock()
	out.wait = t.recorder.wait
	return out
}

// explain says what to do where the authority's words do not.
func explain(err error, kind string) error {
	switch kind {
	case acme.ProblemTypeUserActionRequired:
		return fmt.Errorf("%w (its terms of service may have changed: read them at the URL above)", err)
	case acme.ProblemTypeExternalAccountRequired:
		return fmt.Errorf("%w (set externalAccountBinding of the CertificateIssuer)", err)
	}
	return err
}

// obtain asks for the order's certificate. replaces is the one it will replace,
// or nil; turn chooses the challenge to begin with.
func (c *client) obtain(ctx context.Context, o *issuance.Order, replaces *x509.Certificate, turn int) (*bundle, error) {
	t, err := c.talk(o)
	if err != nil {
		return nil, err
	}
	b, err := t.obtain(ctx, replaces, turn)
	if err != nil {
		return nil, t.setback(err)
	}
	return b, nil
}

func (t *conversation) obtain(ctx context.Context, replaces *x509.Certificate, turn int) (*bundle, error) {
	account, err := t.account(ctx)
	if err != nil {
		return nil, fmt.Errorf("account: %w", err)
	}
	order, err := t.place(ctx, account, replaces)
	if isProblem(err, acme.ProblemTypeAccountDoesNotExist) {
		if account, err = t.reregister(ctx, account); err != nil {
			return nil, fmt.Errorf("account: %w", err)
		}
		order, err = t.place(ctx, account, replaces)
	}
	if err != nil {
		return nil, fmt.Errorf("order: %w", err)
	}
	if err := t.prove(ctx, account, order, turn); err != nil {
		return nil, err
	}
	key, err := newKey(t.order.KeyType)
	if err != nil {
		return nil, err
	}
	return t.finalize(ctx, account, order, key)
}

// place places the order. That it replaces a certificate is only a hint to the
// authority (RFC 9773 §5), which may have a reason not to like it.
func (t *conversation) place(ctx context.Context, account acme.Account, replaces *x509.Certificate) (acme.Order, error) {
	want := acme.Order{Profile: t.order.Profile}
	for _, name := range t.order.Names {
		want.Identifiers = append(want.Identifiers, acme.Identifier{Type: "dns", Value: name})
	}
	dir, err := t.acme.GetDirectory(ctx)
	if err != nil {
		return want, err
	}
	if replaces != nil && dir.RenewalInfo != "" {
		if id, err := acme.ARIUniqueIdentifier(replaces); err == nil {
			hinted := want
			hinted.Replaces = id
			order, err := t.acme.NewOrder(ctx, account, hinted)
			if err == nil || !refused(err) || isProblem(err, acme.ProblemTypeAccountDoesNotExist) || isProblem(err, acme.ProblemTypeRateLimited) {
				return order, err
			}
		}
	}
	return t.acme.NewOrder(ctx, account, want)
}

func (t *conversation) finalize(ctx context.Context, account acme.Account, order acme.Order, key crypto.Signer) (*bundle, error) {
	csr, err := acmez.NewCSR(key, t.order.Names)
	if err != nil {
		return nil, err
	}
	order, err = t.acme.FinalizeOrder(ctx, account, order, csr.Raw)
	if err != nil {
		return nil, fmt.Errorf("finalize: %w", err)
	}
	dir, err := t.acme.GetDirectory(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t.recorder.mu.Lock()
	t.recorder.refuse, t.recorder.end = dir.RenewalInfo, cancel
	t.recorder.mu.Unlock()
	// The first chain is the authority's own choice; that another one could not
	// be had does not matter.
	chains, err := t.acme.GetCertificateChain(ctx, account, order.Certificate)
	switch {
	case len(chains) > 0:
	case err != nil:
		return nil, fmt.Errorf("download: %w", err)
	default:
		return nil, errors.New("download: the authority gave no certificate")
	}
	return newBundle(t.order, bytes.TrimSpace(chains[0].ChainPEM), key, t.now())
}

// problemOf finds what the authority said.
func problemOf(err error) (p acme.Problem, ok bool) {
	var at *acme.Problem
	switch {
	case errors.As(err, &p):
		return p, true
	case errors.As(err, &at) && at != nil:
		return *at, true
	}
	return p, false
}

func isProblem(err error, kind string) bool {
	p, ok := problemOf(err)
	return ok && p.Type == kind
}

func refused(err error) bool {
	_, ok := problemOf(err)
	return ok
}

// advise asks when to renew a certificate, RFC 9773 §4.
func (c *client) advise(ctx context.Context, o *issuance.Order, leaf *x509.Certificate) (*advice, error) {
	t, err := c.talk(o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t.recorder.once, t.recorder.end = true, cancel
	info, err := t.acme.GetRenewalInfo(ctx, leaf)
	if err != nil {
		return nil, err
	}
	a := &advice{Serial: serialText(leaf.SerialNumber), Renew: info.SelectedTime, Explanation: info.ExplanationURL}
	if info.RetryAfter != nil {
		a.Again = *info.RetryAfter
	}
	return a, nil
}

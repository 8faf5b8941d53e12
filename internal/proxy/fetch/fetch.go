// Package fetch asks HTTP servers for small documents on the proxy's own account:
// key sets, discovery documents, introspections. Everything is bounded: the time,
// the bytes, the redirects, the connections. No proxy is taken from the
// environment, and no error repeats a credential or a query.
//
// A Client owns no goroutines but those of its connections, which Close ends. Who
// calls it on a task detaches that first. What is fetched for requests uses it.
package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/tlsx"
)

const (
	defaultTimeout     = 5 * time.Second
	defaultBody        = 256 << 10
	defaultConnections = 8

	maxHeader   = 32 << 10
	dialTimeout = 5 * time.Second
	idleTimeout = 30 * time.Second
	maxError    = 200
)

// Options of a Client.
type Options struct {
	// TLS is how servers are verified; nil is by the system's roots.
	TLS *ir.UpstreamTLS
	// Plain lets requests go by http to others than this machine.
	Plain bool
	// Timeout bounds a request from its beginning to the end of the answer's body;
	// zero is 5 s.
	Timeout time.Duration
	// MaxBody bounds the bytes of an answer's body; zero is 256 KiB.
	MaxBody int64
	// Redirects is how many redirects a request without body and credentials may
	// follow. Others follow none.
	Redirects int
	// Connections bounds those to one server, in use and idle; zero is 8. Who is
	// beyond waits.
	Connections int
}

// Client asks servers. It is for use by many goroutines.
type Client struct {
	opts      Options
	client    http.Client
	transport *http.Transport
}

// New makes a Client; an error says that TLS cannot be as the options want it.
func New(o Options) (*Client, error) {
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxBody == 0 {
		o.MaxBody = defaultBody
	}
	if o.Connections == 0 {
		o.Connections = defaultConnections
	}
	settings := o.TLS
	if settings == nil {
		settings = &ir.UpstreamTLS{System: true}
	}
	config, err := tlsx.ClientConfig(settings)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	config.NextProtos = nil // the transport offers what it can
	c := &Client{opts: o}
	c.transport = &http.Transport{
		Proxy:                  nil,
		DialContext:            c.dial,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    dialTimeout,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
		MaxConnsPerHost:        o.Connections,
		MaxIdleConnsPerHost:    o.Connections,
		IdleConnTimeout:        idleTimeout,
	}
	c.client = http.Client{Transport: c.transport, CheckRedirect: c.redirect}
	return c, nil
}

// Close ends idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Request is what a server is asked.
type Request struct {
	// Method is GET if it is empty.
	Method string
	URL    string
	Header http.Header
	Body   []byte
}

// Response is what it has answered.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// StatusError says that an answer has another status than 200.
type StatusError struct{ Status int }

func (e *StatusError) Error() string { return fmt.Sprintf("status %d", e.Status) }

// ErrTooLong says that a body is longer than Options.MaxBody.
var ErrTooLong = errors.New("the answer is too long")

// Get asks for a document. An answer that is not 200 is a StatusError.
func (c *Client) Get(ctx context.Context, address, accept string) (*Response, error) {
	r, err := c.Do(ctx, &Request{URL: address, Header: http.Header{"Accept": {accept}}})
	if err == nil && r.Status != http.StatusOK {
		return nil, named(http.MethodGet, address, &StatusError{r.Status})
	}
	return r, err
}

// Do asks a server and reads its whole answer, whatever its status.
func (c *Client) Do(ctx context.Context, q *Request) (*Response, error) {
	method := q.Method
	if method == "" {
		method = http.MethodGet
	}
	u, err := ir.ParseFetchURL(q.URL, c.opts.Plain)
	if err != nil {
		return nil, named(method, q.URL, err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	// A body only where there is one, so that GET says nothing of its length.
	var body io.Reader
	if q.Body != nil {
		body = bytes.NewReader(q.Body)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, named(method, q.URL, err)
	}
	for name, values := range q.Header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "gridway")
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, named(method, q.URL, err)
	}
	defer resp.Body.Close()
	if resp.ContentLength > c.opts.MaxBody {
		return nil, named(method, q.URL, ErrTooLong)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, c.opts.MaxBody+1))
	switch {
	case err != nil:
		return nil, named(method, q.URL, err)
	case int64(len(text)) > c.opts.MaxBody:
		return nil, named(method, q.URL, ErrTooLong)
	}
	return &Response{Status: resp.StatusCode, Header: resp.Header, Body: text}, nil
}

// redirect follows to where a request might have gone at once, and never with a
// body or a credential.
func (c *Client) redirect(req *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case first.Method != http.MethodGet || first.Header.Get("Authorization") != "" || len(via) > c.opts.Redirects:
		return http.ErrUseLastResponse
	case first.URL.Scheme == "https" && req.URL.Scheme != "https":
		return errors.New("the server redirects from https to http")
	}
	if _, err := ir.ParseFetchURL(req.URL.String(), c.opts.Plain); err != nil {
		return fmt.Errorf("the server redirects to a URL that is not asked: %w", err)
	}
	return nil
}

// dial sees to it that what may go to this machine alone does, whatever a name
// resolves to.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	if host, _, err := net.SplitHostPort(address); err == nil && !c.opts.Plain && ir.Loopback(host) {
		d.Control = func(_, address string, _ syscall.RawConn) error {
			if a, err := netip.ParseAddrPort(address); err != nil || !a.Addr().Unmap().IsLoopback() {
				return errors.New("localhost is not this machine")
			}
			return nil
		}
	}
	return d.DialContext(ctx, network, address)
}

// named says what was asked, without the query, which may hold a secret.
func named(method, address string, err error) error {
	var e *url.Error
	for errors.As(err, &e) {
		err = e.Err
	}
	place := "a URL"
	if u, bad := url.Parse(address); bad == nil {
		place = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
	}
	switch text := err.Error(); {
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	case len(text) > maxError:
		err = errors.New(strings.ToValidUTF8(text[:maxError], "") + "…")
	}
	return fmt.Errorf("%s %s: %w", method, place, err)
}

// Package client is the typed client of the admin API. The CLI uses it, and so
// may any program that watches a Gridway process. It starts no goroutines that
// outlive a call, except for idle connections, which Close ends.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// maxReply bounds what is read of one reply: a dump of 100,000 routes fits.
const maxReply = 512 << 20

// ErrUnreachable is in the chain of errors of calls that got no reply at all.
var ErrUnreachable = errors.New("the admin API cannot be reached")

// Options of a Client.
type Options struct {
	// Address is "HOST:PORT", "http://…", "https://…" or "unix:PATH"; empty
	// means adminapi.DefaultAddress.
	Address string
	// Token is presented if it is not empty.
	Token string
	// TLS verifies an https address; nil uses the system's roots.
	TLS *tls.Config
	// Timeout bounds one call; zero means 30 s.
	Timeout time.Duration
}

// Client calls one process. Its methods may be called at the same time. Error
// replies are *adminapi.Fault.
type Client struct {
	base    string
	address string
	token   string
	http    *http.Client
}

// New checks the address; it does not connect.
func New(opt Options) (*Client, error) {
	if opt.Address == "" {
		opt.Address = adminapi.DefaultAddress
	}
	if opt.Timeout == 0 {
		opt.Timeout = 30 * time.Second
	}
	transport := &http.Transport{
		TLSClientConfig: opt.TLS, MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second,
		// No proxy: a proxy between the CLI and its own machine is a mistake.
	}
	c := &Client{address: opt.Address, token: opt.Token, http: &http.Client{
		Transport: transport, Timeout: opt.Timeout,
		// The API does not redirect; what does is something else, and must
		// not be given the token.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if path, ok := strings.CutPrefix(opt.Address, "unix:"); ok {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}
		c.base = "http://localhost"
		return c, nil
	}
	base := opt.Address
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("admin API address %q: must be HOST:PORT, http://HOST:PORT, https://HOST:PORT or unix:PATH", opt.Address)
	}
	c.base = u.Scheme + "://" + u.Host
	return c, nil
}

// Address is the one given to New.
func (c *Client) Address() string { return c.address }

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Ready returns nil when the process takes traffic.
func (c *Client) Ready(ctx context.Context) error {
	_, err := get[adminapi.Health](ctx, c, "/readyz")
	return err
}

// Status is what `gridway status` shows.
func (c *Client) Status(ctx context.Context) (*adminapi.Status, error) {
	return get[adminapi.Status](ctx, c, "/v1/status")
}

// Troubles are what is not well on the way to a Service, NAMESPACE/NAME, as a proxy sees it;
// either may be empty for all.
func (c *Client) Troubles(ctx context.Context, service, proxy string) (*adminapi.Troubles, error) {
	return get[adminapi.Troubles](ctx, c, "/v1/troubles?"+url.Values{"service": {service}, "proxy": {proxy}}.Encode())
}

// Config is the configuration in service, with secrets hidden.
func (c *Client) Config(ctx context.Context) (*ir.Config, error) {
	return get[ir.Config](ctx, c, "/v1/config")
}

// Objects lists objects, of one kind unless kind is empty, with their values if asked.
func (c *Client) Objects(ctx context.Context, kind string, values bool) ([]adminapi.Object, error) {
	path := "/v1/objects"
	if kind != "" {
		path += "/" + url.PathEscape(kind)
	}
	if values {
		path += "?values=true"
	}
	return list[adminapi.Object](ctx, c, path)
}

// Object is one object with its value. An empty namespace is that of a cluster-scoped kind.
func (c *Client) Object(ctx context.Context, kind, namespace, name string) (*adminapi.Object, error) {
	if namespace == "" {
		namespace = "-"
	}
	return get[adminapi.Object](ctx, c, "/v1/objects/"+url.PathEscape(kind)+"/"+url.PathEscape(namespace)+"/"+url.PathEscape(name))
}

// Routes lists every match of every rule.
func (c *Client) Routes(ctx context.Context) ([]adminapi.RouteRow, error) {
	return list[adminapi.RouteRow](ctx, c, "/v1/routes")
}

// MeshRoutes lists every match of every route on Services; empty names are for all of
// them.
func (c *Client) MeshRoutes(ctx context.Context, namespace, service string) ([]dryrun.Row, error) {
	return list[dryrun.Row](ctx, c, "/v1/mesh/routes?"+url.Values{"namespace": {namespace}, "service": {service}}.Encode())
}

// Consumers lists those who may call; empty names are for all of them.
func (c *Client) Consumers(ctx context.Context, namespace, name string) ([]adminapi.Consumer, error) {
	return list[adminapi.Consumer](ctx, c, "/v1/consumers?"+url.Values{"namespace": {namespace}, "name": {name}}.Encode())
}

// Clusters is their live state.
func (c *Client) Clusters(ctx context.Context) ([]adminapi.Cluster, error) {
	return list[adminapi.Cluster](ctx, c, "/v1/clusters")
}

// Explain says what would become of a request.
func (c *Client) Explain(ctx context.Context, r dryrun.Request) (*dryrun.Decision, error) {
	return call[dryrun.Decision](ctx, c, http.MethodPost, "/v1/explain", r)
}

// ExplainPassage says what would become of a request between services of a mesh.
func (c *Client) ExplainPassage(ctx context.Context, q dryrun.PassageRequest) (*dryrun.Passage, error) {
	return call[dryrun.Passage](ctx, c, http.MethodPost, "/v1/mesh/explain", q)
}

// Top is the rates of the last seconds.
func (c *Client) Top(ctx context.Context) (*metric.Snapshot, error) {
	return get[metric.Snapshot](ctx, c, "/v1/top")
}

// LogLevel returns the level of the log.
func (c *Client) LogLevel(ctx context.Context) (string, error) {
	l, err := get[adminapi.LogLevel](ctx, c, "/v1/log/level")
	if err != nil {
		return "", err
	}
	return l.Level, nil
}

// SetLogLevel changes it: debug, info, warn or error.
func (c *Client) SetLogLevel(ctx context.Context, level string) error {
	_, err := call[adminapi.LogLevel](ctx, c, http.MethodPut, "/v1/log/level", adminapi.LogLevel{Level: level})
	return err
}

// Metrics writes the metrics as Prometheus reads them.
func (c *Client) Metrics(ctx context.Context, w io.Writer) error {
	resp, err := c.do(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(w, io.LimitReader(resp.Body, maxReply))
	return err
}

func get[T any](ctx context.Context, c *Client, path string) (*T, error) {
	return call[T](ctx, c, http.MethodGet, path, nil)
}

func list[T any](ctx context.Context, c *Client, path string) ([]T, error) {
	v, err := get[[]T](ctx, c, path)
	if err != nil {
		return nil, err
	}
	return *v, nil
}

// call sends body as JSON, if there is one, and decodes the reply.
func call[T any](ctx context.Context, c *Client, method, path string, body any) (*T, error) {
	resp, err := c.do(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	v := new(T)
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxReply)).Decode(v); err != nil {
		return nil, fmt.Errorf("%s: the reply to %s cannot be read: %w", c.address, path, err)
	}
	return v, nil
}

// do returns a successful reply to a body of JSON, or none. The caller closes it.
func (c *Client) do(ctx context.Context, method, path string, body any) (*http.Response, error) {
	if body == nil {
		return c.send(ctx, method, path, nil, nil)
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return c.send(ctx, method, path, http.Header{"Content-Type": {"application/json"}}, text)
}

// send returns a successful reply, whose body the caller closes.
func (c *Client) send(ctx context.Context, method, path string, header http.Header, body []byte) (*http.Response, error) {
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, r)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // its text repeats the URL
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w at %s: %w", ErrUnreachable, c.address, err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, readFault(resp)
}

// readFault makes an error of a reply that is not a success.
func readFault(resp *http.Response) error {
	f := &adminapi.Fault{}
	err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(f)
	if err != nil || f.Status == 0 {
		return &adminapi.Fault{Title: http.StatusText(resp.StatusCode), Status: resp.StatusCode, Detail: "is this a Gridway admin API?"}
	}
	return f
}

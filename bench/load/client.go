// Package load makes requests: through wrk and h2load for CPU figures, and by
// clients of its own where they cannot (uploads, a fixed rate, streams,
// thousands of idle connections). Each function that starts goroutines waits for them. Only the
// packages of bench import it.
package load

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Target is what to ask.
type Target struct {
	Addr    string      // IP:PORT
	TLS     *tls.Config // nil for plain HTTP
	Traffic Traffic
	Streams int // at a time on each connection of HTTP/2
	Path    string
	Routes  int      // above 0: the path of the i-th request is /r(i mod Routes)/x
	Callers int      // above 0: the i-th request has the API key of caller i mod Callers
	Headers []string // "Name: value"
	Upload  int      // bytes of a POST's body; 0 is a GET
	JSON    string   // the body of a POST, if it is not empty
	Signed  bool     // each request has a signature of its own (RFC 9421), of SigningKey
	Close   bool     // a new connection for each request
}

// timeout bounds one request, so that a proxy that hangs is an error and not a
// benchmark without end.
const timeout = 20 * time.Second

var zeros = make([]byte, 64<<10)

// Client is one connection that opens itself when needed.
type Client struct {
	t    Target
	conn net.Conn
	r    *bufio.Reader
	head []byte
}

// NewClient makes a client that has no connection yet.
func NewClient(t Target) *Client { return &Client{t: t} }

// Close closes the connection, if there is one.
func (c *Client) Close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// Connect opens the connection unless it is open.
func (c *Client) Connect(ctx context.Context) error {
	if c.conn != nil {
		return nil
	}
	d := net.Dialer{Timeout: timeout}
	conn, err := d.DialContext(ctx, "tcp", c.t.Addr)
	if err != nil {
		return err
	}
	if c.t.TLS != nil {
		secure := tls.Client(conn, c.t.TLS)
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return err
		}
		conn = secure
	}
	c.conn, c.r = conn, nil
	return nil
}

// Park gives the client's buffers back and keeps its connection.
func (c *Client) Park() { c.r, c.head = nil, nil }

// Connected tells that the client holds a connection; the proxy may have closed its end.
func (c *Client) Connected() bool { return c.conn != nil }

// Again makes a request on the connection that is there, and fails if none is.
func (c *Client) Again(ctx context.Context) error {
	if c.conn == nil {
		return net.ErrClosed
	}
	return c.Do(ctx, 0)
}

// Do makes the i-th request and reads its response to the end. Anything but
// status 200 is an error.
func (c *Client) Do(ctx context.Context, i int) error {
	_, err := c.do(ctx, i, "")
	return err
}

// Header makes a request and returns the value of a response header, "" if it
// is not there.
func (c *Client) Header(ctx context.Context, name string) (string, error) {
	return c.do(ctx, 0, name)
}

func (c *Client) do(ctx context.Context, i int, header string) (value string, err error) {
	if err := c.Connect(ctx); err != nil {
		return "", err
	}
	defer func() {
		if err != nil || c.t.Close {
			c.Close()
		}
	}()
	if err := c.conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return "", err
	}
	if c.r == nil {
		c.r = bufio.NewReaderSize(c.conn, 32<<10)
	}
	c.head = append(c.t.appendHead(c.head[:0], i), c.t.JSON...)
	if _, err := c.conn.Write(c.head); err != nil {
		return "", err
	}
	for left := c.t.Upload; left > 0; {
		n, err := c.conn.Write(zeros[:min(left, len(zeros))])
		if err != nil {
			return "", err
		}
		left -= n
	}
	return c.response(header)
}

func (t *Target) method() string {
	if t.Upload > 0 || t.JSON != "" {
		return http.MethodPost
	}
	return http.MethodGet
}

func (t *Target) appendHead(b []byte, i int) []byte {
	b = append(append(b, t.method()...), ' ')
	if t.Routes > 0 {
		b = strconv.AppendInt(append(b, "/r"...), int64(i%t.Routes), 10)
		b = append(b, "/x"...)
	} else {
		b = append(b, t.Path...)
	}
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, t.Addr...)
	b = append(b, "\r\n"...)
	for _, h := range t.Headers {
		b = append(append(b, h...), "\r\n"...)
	}
	if t.Callers > 0 {
		b = append(append(b, KeyHeader+": "...), Key(i%t.Callers)...)
		b = append(b, "\r\n"...)
	}
	if t.Signed {
		b = t.appendSignature(b)
	}
	if t.JSON != "" {
		b = append(b, "Content-Type: application/json\r\n"...)
	}
	if n := t.Upload + len(t.JSON); n > 0 {
		b = strconv.AppendInt(append(b, "Content-Length: "...), int64(n), 10)
		b = append(b, "\r\n"...)
	}
	if t.Close {
		b = append(b, "Connection: close\r\n"...)
	}
	return append(b, "\r\n"...)
}

var errFraming = errors.New("response without Content-Length")

// response reads one response that has a Content-Length.
func (c *Client) response(header string) (value string, err error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	status := -1
	if parts := bytes.Fields(line); len(parts) >= 2 {
		status, _ = strconv.Atoi(string(parts[1]))
	}
	length, closes := -1, false
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		name, v, ok := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(":"))
		if !ok {
			break
		}
		v = bytes.TrimSpace(v)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(v)); err != nil {
				return "", err
			}
		case bytes.EqualFold(name, []byte("Connection")):
			closes = bytes.EqualFold(v, []byte("close"))
		case header != "" && bytes.EqualFold(name, []byte(header)):
			value = string(v)
		}
	}
	if status != http.StatusOK {
		return "", fmt.Errorf("status %d", status)
	}
	if length < 0 {
		return "", errFraming
	}
	if _, err := c.r.Discard(length); err != nil {
		return "", err
	}
	if closes {
		c.Close()
	}
	return value, nil
}

package health

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/h1"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/netx"
)

// probe makes one check on a connection of its own.
func (c *Checker) probe(t Target, by int64) error {
	http2 := t.HTTP2() || c.cfg.GRPC != nil
	conn, err := t.Dial(c.ctx, withPort(t.Address(), c.cfg.Port), http2, by)
	if err != nil {
		return err
	}
	// Close must not wait for an endpoint that hangs.
	stop := context.AfterFunc(c.ctx, func() { _ = conn.Abort() })
	defer func() {
		if stop() {
			_ = conn.Close()
		}
	}()
	switch {
	case c.cfg.GRPC != nil:
		return probeGRPC(conn, t, c.cfg.GRPC, by)
	case c.cfg.HTTP == nil:
		return nil
	}
	q := newRequest(c.cfg.HTTP, t.Host())
	probe := probeHTTP1
	if http2 {
		probe = probeHTTP2
	}
	status, err := probe(conn, t, &q, by)
	if err != nil {
		return err
	}
	return judgeStatus(c.cfg.HTTP, status)
}

func withPort(address string, port uint16) string {
	if port == 0 || strings.HasPrefix(address, "unix:") {
		return address
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// agent is the User-Agent of checks.
const agent = "gridway-health"

// request is what a check asks for.
type request struct {
	method, path, host, agent string
	fields                    []ir.Header
}

func newRequest(cfg *ir.HTTPHealth, host string) request {
	q := request{method: cfg.Method, path: cfg.Path, host: host, agent: agent}
	if q.method == "" {
		q.method = "GET"
	}
	if q.path == "" {
		q.path = "/"
	}
	if cfg.Host != "" {
		q.host = cfg.Host
	}
	for _, h := range cfg.Headers {
		switch {
		case strings.EqualFold(h.Name, "host"):
			q.host = h.Value
		case strings.EqualFold(h.Name, "user-agent"):
			q.agent = h.Value
		case strings.EqualFold(h.Name, "connection"), strings.EqualFold(h.Name, "content-length"),
			strings.EqualFold(h.Name, "transfer-encoding"): // framing is ours
		default:
			q.fields = append(q.fields, h)
		}
	}
	return q
}

// fill makes req the request, without content.
func (q *request) fill(req *httpmsg.Request, secure bool) {
	req.Method, req.Path, req.Host, req.Scheme = []byte(q.method), []byte(q.path), []byte(q.host), "http"
	if secure {
		req.Scheme = "https"
	}
	req.MethodID = httpmsg.LookupMethod(req.Method)
	req.Header.Add([]byte("user-agent"), []byte(q.agent))
	for _, h := range q.fields {
		req.Header.Add([]byte(h.Name), []byte(h.Value))
	}
}

// appendHTTP1 appends the request as HTTP/1.1 has it.
func (q *request) appendHTTP1(dst []byte) []byte {
	dst = fmt.Appendf(dst, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\nConnection: close\r\n", q.method, q.path, q.host, q.agent)
	if q.method == "POST" || q.method == "PUT" || q.method == "PATCH" {
		dst = append(dst, "Content-Length: 0\r\n"...)
	}
	for _, h := range q.fields {
		dst = fmt.Appendf(dst, "%s: %s\r\n", h.Name, h.Value)
	}
	return append(dst, "\r\n"...)
}

func probeHTTP1(conn *netx.Conn, _ Target, q *request, by int64) (status int, err error) {
	conn.SetWriteBy(by)
	conn.SetReadBy(by)
	if _, err := conn.Write(q.appendHTTP1(nil)); err != nil {
		return 0, fmt.Errorf("send: %w", err)
	}
	var r httpmsg.Response
	n, err := readHead(conn, &r, httpmsg.LookupMethod([]byte(q.method)))
	if err != nil {
		return 0, err
	}
	drain(conn, &r, n, by)
	return r.Status, nil
}

func judgeStatus(cfg *ir.HTTPHealth, status int) error {
	for _, s := range cfg.Statuses {
		if status >= s.From && status <= s.To {
			return nil
		}
	}
	if len(cfg.Statuses) == 0 && status >= 200 && status <= 299 {
		return nil
	}
	return fmt.Errorf("status %d", status)
}

// readHead reads the final response's head and returns how many bytes of the
// body came with it. Its header is bounded by the buffer.
func readHead(conn *netx.Conn, r *httpmsg.Response, method httpmsg.Method) (extra int, err error) {
	buf := bufpool.Get(bufpool.Medium)
	defer buf.Release()
	b := buf.B[:bufpool.Medium]
	lim := h1.Limits{HeaderBytes: len(b)}
	have := 0
	for {
		n, err := h1.ParseResponseHead(b[:have], r, method, &lim)
		switch {
		case err != nil:
			return 0, err
		case n > 0 && r.Status >= 100 && r.Status < 200:
			have = copy(b, b[n:have])
			continue
		case n > 0:
			r.Header.Reset() // its fields are in buf
			return have - n, nil
		}
		got, err := conn.Read(b[have:])
		have += got
		if err != nil && got == 0 {
			return 0, fmt.Errorf("receive: %w", err)
		}
	}
}

// drain reads a short body, so that the endpoint does not see its answer reset.
func drain(conn *netx.Conn, r *httpmsg.Response, have int, by int64) {
	if r.Body == httpmsg.BodyNone || r.Body == httpmsg.BodyLength && int64(have) >= r.Length {
		return
	}
	conn.SetReadBy(min(by, netx.After(drainTime)))
	buf := bufpool.Get(bufpool.Small)
	defer buf.Release()
	for left := 64 << 10; left > 0; {
		n, err := conn.Read(buf.B[:bufpool.Small])
		if left -= n; err != nil {
			return
		}
	}
}

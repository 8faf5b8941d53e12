package health

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/h1"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/netx"
)

// probe makes one check on a connection of its own.
func (c *Checker) probe(t Target, by int64) error {
	conn, err := t.Dial(c.ctx, withPort(t.Address(), c.cfg.Port), by)
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
	if c.cfg.HTTP == nil {
		return nil
	}
	return probeHTTP(conn, c.cfg.HTTP, t.Host(), by)
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

func probeHTTP(conn *netx.Conn, cfg *ir.HTTPHealth, host string, by int64) error {
	conn.SetWriteBy(by)
	conn.SetReadBy(by)
	if _, err := conn.Write(appendRequest(nil, cfg, host)); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	var r httpmsg.Response
	n, err := readHead(conn, &r, httpmsg.LookupMethod([]byte(cfg.Method)))
	if err != nil {
		return err
	}
	drain(conn, &r, n, by)
	for _, s := range cfg.Statuses {
		if r.Status >= s.From && r.Status <= s.To {
			return nil
		}
	}
	if len(cfg.Statuses) == 0 && r.Status >= 200 && r.Status <= 299 {
		return nil
	}
	return fmt.Errorf("status %d", r.Status)
}

func appendRequest(dst []byte, cfg *ir.HTTPHealth, host string) []byte {
	method, path, agent := cfg.Method, cfg.Path, "gridway-health"
	if method == "" {
		method = "GET"
	}
	if path == "" {
		path = "/"
	}
	if cfg.Host != "" {
		host = cfg.Host
	}
	var fields []ir.Header
	for _, h := range cfg.Headers {
		switch {
		case strings.EqualFold(h.Name, "host"):
			host = h.Value
		case strings.EqualFold(h.Name, "user-agent"):
			agent = h.Value
		case strings.EqualFold(h.Name, "connection"), strings.EqualFold(h.Name, "content-length"),
			strings.EqualFold(h.Name, "transfer-encoding"): // framing is ours
		default:
			fields = append(fields, h)
		}
	}
	dst = fmt.Appendf(dst, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\nConnection: close\r\n", method, path, host, agent)
	if method == "POST" || method == "PUT" || method == "PATCH" {
		dst = append(dst, "Content-Length: 0\r\n"...)
	}
	for _, h := range fields {
		dst = fmt.Appendf(dst, "%s: %s\r\n", h.Name, h.Value)
	}
	return append(dst, "\r\n"...)
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
	conn.SetReadBy(min(by, netx.After(200*time.Millisecond)))
	buf := bufpool.Get(bufpool.Small)
	defer buf.Release()
	for left := 64 << 10; left > 0; {
		n, err := conn.Read(buf.B[:bufpool.Small])
		if left -= n; err != nil {
			return
		}
	}
}

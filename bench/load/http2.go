package load

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// GRPCBytes is the size of a gRPC message.
const GRPCBytes = 100

// Message is a message of gRPC with its prefix.
func Message() []byte {
	m := make([]byte, 5+GRPCBytes)
	binary.BigEndian.PutUint32(m[1:], GRPCBytes)
	return m
}

var grpcMessage = Message()

// http2Client makes requests and gRPC's unary calls on a connection that it may share.
type http2Client struct {
	t         Target
	transport *http.Transport
}

// Connect makes a request, which opens the connection.
func (c *http2Client) Connect(ctx context.Context) error { return c.Do(ctx, 0) }

func (c *http2Client) Close() { c.transport.CloseIdleConnections() }

func (c *http2Client) Do(ctx context.Context, _ int) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	method, body := http.MethodGet, io.Reader(http.NoBody)
	if c.t.Traffic == GRPC {
		method, body = http.MethodPost, bytes.NewReader(grpcMessage)
	}
	req, err := c.t.request(ctx, method, body)
	if err != nil {
		return err
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2:
		return fmt.Errorf("%s %s", resp.Proto, resp.Status)
	case c.t.Traffic == GRPC && (n != int64(len(grpcMessage)) || resp.Trailer.Get("Grpc-Status") != "0"):
		return fmt.Errorf("%d bytes, gRPC status %q", n, resp.Trailer.Get("Grpc-Status"))
	}
	return nil
}

func (t Target) request(ctx context.Context, method string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, t.url(), body)
	if err != nil {
		return nil, err
	}
	for _, h := range t.fields() {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	return req, nil
}

// fields are the header fields of the target's requests, as "Name: value".
func (t Target) fields() []string {
	if t.Traffic == GRPC || t.Traffic == GRPCStream {
		return append([]string{"Content-Type: application/grpc", "TE: trailers"}, t.Headers...)
	}
	return t.Headers
}

// grpcStream exchanges messages on one stream of a connection that it may share.
type grpcStream struct {
	t         Target
	transport *http.Transport
	send      *io.PipeWriter // nil until it is open
	receive   io.ReadCloser
	cancel    context.CancelFunc
	buf       [5 + GRPCBytes]byte
}

func (s *grpcStream) Connect(ctx context.Context) error {
	if s.send != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	r, w := io.Pipe()
	req, err := s.t.request(ctx, http.MethodPost, r)
	if err != nil {
		cancel()
		return err
	}
	resp, err := s.transport.RoundTrip(req) //nolint:bodyclose // Close closes it
	if err != nil {
		cancel()
		return err
	}
	s.send, s.receive, s.cancel = w, resp.Body, cancel
	if resp.StatusCode != http.StatusOK {
		s.Close()
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// Close ends the stream and the connection, with those who share it.
func (s *grpcStream) Close() {
	if s.send != nil {
		_ = s.send.Close()
		_, _ = io.Copy(io.Discard, s.receive) // until the trailer
		_ = s.receive.Close()
		s.cancel()
		s.send = nil
	}
	s.transport.CloseIdleConnections()
}

func (s *grpcStream) Do(ctx context.Context, _ int) error {
	if err := s.Connect(ctx); err != nil {
		return err
	}
	if _, err := s.send.Write(grpcMessage); err != nil {
		return err
	}
	_, err := io.ReadFull(s.receive, s.buf[:])
	return err
}

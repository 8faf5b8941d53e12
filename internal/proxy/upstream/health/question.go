package health

import (
	"context"
	"errors"
	"fmt"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Question is a call of gRPC that the proxy makes itself.
type Question struct {
	// Path is the method's. Host is the target's if it is empty.
	Path, Host string
	// Messages are the request's, each with its prefix; at most MaxQuestion bytes.
	Messages []byte
	// Most bounds the answer in bytes.
	Most int
}

// MaxQuestion fits the window that every endpoint gives (RFC 9113 §6.9.2).
const MaxQuestion = 16 << 10

// StatusError is an endpoint's answer that is not OK.
type StatusError struct {
	Code    grpc.Code
	Message string
}

func (e *StatusError) Error() string { return fmt.Sprintf("%s: %.200s", e.Code, e.Message) }

// Ask asks a target, on a connection of its own, and returns the messages of the
// answer with their prefixes.
func Ask(ctx context.Context, t Target, q *Question, by int64) ([]byte, error) {
	if len(q.Messages) > MaxQuestion {
		return nil, errors.New("the question is too long")
	}
	conn, err := t.Dial(ctx, t.Address(), true, by)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Abort() })
	defer func() {
		if stop() {
			_ = conn.Close()
		}
	}()
	host := q.Host
	if host == "" {
		host = t.Host()
	}
	r := request{method: "POST", path: q.Path, host: host, agent: "gridway", fields: []ir.Header{
		{Name: "content-type", Value: "application/grpc"},
		{Name: "te", Value: "trailers"},
	}}
	var req httpmsg.Request
	r.fill(&req, t.Secure())
	c := call{conn: conn, most: q.Most}
	if err := c.exchange(&req, q.Messages, by, func() bool { return false }); err != nil {
		return nil, err
	}
	return c.answer()
}

// answer is the content of a response whose status is OK.
func (c *call) answer() ([]byte, error) {
	if s := c.response.Status; s != 200 {
		return nil, &StatusError{grpc.OfHTTP(s), fmt.Sprintf("HTTP status %d", s)}
	}
	if kind := string(c.response.Header.Get(httpmsg.NameContentType)); !isGRPC(kind) {
		return nil, fmt.Errorf("content-type %.50q is not that of gRPC", kind)
	}
	fields := &c.trailer
	if !fields.HasName(grpcStatus) {
		fields = &c.response.Header
	}
	code, ok := grpc.ParseCode(fields.GetName(grpcStatus))
	switch {
	case !ok:
		return nil, errors.New("the answer has no grpc-status")
	case code != grpc.OK:
		return nil, &StatusError{code, string(grpc.AppendDecoded(nil, fields.GetString("grpc-message")))}
	case c.overflow:
		return nil, fmt.Errorf("the answer is longer than %d bytes", c.most)
	}
	return c.content, nil
}

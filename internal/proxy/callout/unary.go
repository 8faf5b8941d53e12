package callout

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

const (
	// prefixLen is that of the flag and the length before a message of gRPC.
	prefixLen = 5
	// timeoutLen is that of the longest grpc-timeout: eight digits and a unit.
	timeoutLen = 9
)

// StatusError is a status of gRPC other than OK.
type StatusError struct {
	Code    grpc.Code
	Message string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("the server says %s: %s", e.Code, e.Message)
}

var (
	post     = []byte("POST")
	trailers = []byte("trailers")
	agent    = []byte("gridway")

	userAgent = []byte("User-Agent")
)

// Unary makes the call one of gRPC, with one message each way, to the method
// "/service/Method". The message is copied.
func (c *Call) Unary(method string, message []byte) {
	c.GRPC = true
	c.MaxAnswer = max(c.MaxAnswer, prefixLen)
	r := &c.Request
	c.Body = append(r.Arena.Alloc(prefixLen + len(message))[:0], 0)
	c.Body = append(binary.BigEndian.AppendUint32(c.Body, uint32(len(message))), message...)
	r.Method, r.MethodID, r.Path = post, httpmsg.MethodPost, r.Arena.CopyString(method)
	r.Header.AddID(httpmsg.NameContentType, grpc.ContentType)
	r.Header.AddID(httpmsg.NameTE, trailers)
	r.Header.Add(userAgent, agent)
	r.Header.AddID(httpmsg.NameGRPCTimeout, grpc.AppendTimeout(r.Arena.Alloc(timeoutLen)[:0], max(c.Timeout, time.Nanosecond)))
}

// Message is the one of the answer, which is a part of Answer. The error is a
// *StatusError if the server has said so, and an *Error of kind Protocol if the
// answer is none of gRPC.
func (c *Call) Message() ([]byte, error) {
	r := &c.Response
	code, message, ok := c.Status()
	switch {
	case ok && code != grpc.OK:
		return nil, &StatusError{Code: code, Message: message}
	case !ok && r.Status != 200:
		return nil, &StatusError{Code: grpc.OfHTTP(r.Status), Message: fmt.Sprintf("status %d of HTTP", r.Status)}
	case !grpc.IsContentType(r.Header.Get(httpmsg.NameContentType)):
		return nil, protocolError("the content type is not gRPC's")
	case !ok:
		return nil, protocolError("there is no grpc-status")
	}
	a := c.Answer
	switch {
	case len(a) < prefixLen:
		return nil, protocolError("there is no message")
	case a[0] != 0:
		return nil, protocolError("the message is compressed, which was not asked for")
	case uint64(binary.BigEndian.Uint32(a[1:])) != uint64(len(a)-prefixLen):
		return nil, protocolError("there is not exactly one message")
	}
	return a[prefixLen:], nil
}

// Status is the answer's status of gRPC, from its trailer or, where there is
// nothing else, its head. ok is false if there is none.
func (c *Call) Status() (code grpc.Code, message string, ok bool) {
	for _, h := range []*httpmsg.Header{&c.Response.Trailer, &c.Response.Header} {
		if v := h.Get(httpmsg.NameGRPCStatus); v != nil {
			code, ok = grpc.ParseCode(v)
			text := string(grpc.AppendDecoded(nil, h.Get(httpmsg.NameGRPCMessage)))
			return code, strings.ToValidUTF8(text, "\uFFFD"), ok
		}
	}
	return grpc.Unknown, "", false
}

func protocolError(text string) error { return &Error{Kind: Protocol, Err: errors.New(text)} }

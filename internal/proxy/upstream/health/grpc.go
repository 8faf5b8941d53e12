package health

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/netx"
)

// The service grpc.health.v1.Health of
// https://github.com/grpc/grpc/blob/master/doc/health-checking.md
const grpcCheckPath = "/grpc.health.v1.Health/Check"

// servingStatus are the names of HealthCheckResponse.ServingStatus.
var servingStatus = [...]string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}

const serving = 1

// probeGRPC asks for the health of a service.
func probeGRPC(conn *netx.Conn, t Target, cfg *ir.GRPCHealth, by int64) error {
	host := cfg.Host
	if host == "" {
		host = t.Host()
	}
	timeout := max(time.Duration(by-netx.Monotonic()).Milliseconds(), 1)
	q := request{
		method: "POST", path: grpcCheckPath, host: host, agent: agent,
		fields: []ir.Header{
			{Name: "content-type", Value: "application/grpc"},
			{Name: "te", Value: "trailers"},
			// At most 8 digits, says the protocol.
			{Name: "grpc-timeout", Value: strconv.FormatInt(min(timeout, 99_999_999), 10) + "m"},
		},
	}
	var req httpmsg.Request
	q.fill(&req, t.Secure())
	c := call{conn: conn}
	if err := c.exchange(&req, appendCheckRequest(nil, cfg.Service), by, func() bool { return false }); err != nil {
		return err
	}
	return c.verdict()
}

// verdict reads the answer of a gRPC server.
func (c *call) verdict() error {
	if s := c.response.Status; s != 200 {
		return fmt.Errorf("HTTP status %d", s)
	}
	if kind := string(c.response.Header.Get(httpmsg.NameContentType)); !isGRPC(kind) {
		return fmt.Errorf("content-type %q is not that of gRPC", kind)
	}
	fields := &c.trailer
	if !fields.HasName(grpcStatus) {
		fields = &c.response.Header // a response of trailers only
	}
	switch code := string(fields.GetString("grpc-status")); code {
	case "0":
	case "":
		return errors.New("the answer has no grpc-status")
	default:
		return fmt.Errorf("grpc-status %.20q, %.100q", code, fields.GetString("grpc-message"))
	}
	status, err := readCheckResponse(c.content)
	switch {
	case err != nil:
		return err
	case status == serving:
		return nil
	case status < uint64(len(servingStatus)):
		return errors.New("status " + servingStatus[status])
	}
	return fmt.Errorf("status %d", status)
}

var grpcStatus = []byte("grpc-status")

func isGRPC(contentType string) bool {
	rest, ok := strings.CutPrefix(strings.ToLower(contentType), "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// messagePrefix is a flag (compressed or not) and the length of a message.
const messagePrefix = 5

// appendCheckRequest appends HealthCheckRequest{service = 1} as a message of gRPC.
func appendCheckRequest(dst []byte, service string) []byte {
	dst = append(dst, make([]byte, messagePrefix)...)
	start := len(dst)
	if service != "" {
		dst = append(dst, 1<<3|wireBytes)
		dst = binary.AppendUvarint(dst, uint64(len(service)))
		dst = append(dst, service...)
	}
	binary.BigEndian.PutUint32(dst[start-4:], uint32(len(dst)-start))
	return dst
}

// Wire types of Protocol Buffers.
const (
	wireVarint = 0
	wireFixed8 = 1
	wireBytes  = 2
	wireFixed4 = 5
)

var errMessage = errors.New("the answer is not a HealthCheckResponse")

// readCheckResponse reads HealthCheckResponse{status = 1}. Other fields are
// passed over; the last of several counts.
func readCheckResponse(in []byte) (status uint64, err error) {
	if len(in) < messagePrefix || in[0] != 0 || uint64(binary.BigEndian.Uint32(in[1:])) != uint64(len(in)-messagePrefix) {
		return 0, errMessage
	}
	in = in[messagePrefix:]
	for len(in) > 0 {
		tag, n := binary.Uvarint(in)
		if n <= 0 || tag>>3 == 0 {
			return 0, errMessage
		}
		in = in[n:]
		var skip uint64
		switch tag & 7 {
		case wireVarint:
			v, n := binary.Uvarint(in)
			if n <= 0 {
				return 0, errMessage
			}
			if tag>>3 == 1 {
				status = v
			}
			skip = uint64(n)
		case wireFixed8:
			skip = 8
		case wireFixed4:
			skip = 4
		case wireBytes:
			length, n := binary.Uvarint(in)
			if n <= 0 || length > uint64(len(in)) {
				return 0, errMessage
			}
			skip = uint64(n) + length
		default:
			return 0, errMessage
		}
		if skip > uint64(len(in)) {
			return 0, errMessage
		}
		in = in[skip:]
	}
	return status, nil
}

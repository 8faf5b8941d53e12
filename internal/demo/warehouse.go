package demo

import (
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// StockProto describes the service that the warehouse speaks by gRPC.
//
//go:embed stock.proto
var StockProto string

// stockService is its full name, as in the paths of calls.
const stockService = "shop.v1.Stock"

// Level is how many pieces of a product there are.
type Level struct {
	ID    string `json:"id"`
	Count int    `json:"count"`
}

// Codes of gRPC that the warehouse answers with.
const (
	grpcOK                = 0
	grpcInvalidArgument   = 3
	grpcNotFound          = 5
	grpcResourceExhausted = 8
	grpcUnimplemented     = 12
	grpcUnavailable       = 14
)

// maxCall bounds the message of a call in bytes.
const maxCall = 4 << 10

// warehouse tells the stock by gRPC, with messages in protobuf or in JSON. It is
// written on net/http, whose HTTP/2 is all that two methods need.
type warehouse struct {
	name    string
	stock   *stock
	closing <-chan struct{}
}

type grpcError struct {
	code    int
	message string
}

func (e *grpcError) Error() string { return fmt.Sprintf("gRPC status %d: %s", e.code, e.message) }

func (h *warehouse) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /"+stockService+"/Get", h.method(func(c *call, id string) error {
		n, ok := h.stock.of(id)
		if !ok {
			return &grpcError{grpcNotFound, "there is no such product"}
		}
		return c.send(Level{id, n})
	}))
	mux.Handle("POST /"+stockService+"/Watch", h.method(h.watch))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		status(w, &grpcError{grpcUnimplemented, "there is no such method"})
	})
	return served(h.name, mux)
}

func (h *warehouse) watch(c *call, id string) error {
	changes, stop, ok := h.stock.changes.listen()
	if !ok {
		return &grpcError{grpcResourceExhausted, "too many watch already"}
	}
	defer stop()
	if n, ok := h.stock.of(id); ok {
		if err := c.send(Level{id, n}); err != nil {
			return err
		}
	} else if id != "" {
		return &grpcError{grpcNotFound, "there is no such product"}
	}
	for {
		select {
		case l := <-changes:
			if id != "" && id != l.ID {
				continue
			}
			if err := c.send(l); err != nil {
				return err
			}
		case <-c.r.Context().Done():
			return c.r.Context().Err()
		case <-h.closing:
			return &grpcError{grpcUnavailable, "the warehouse closes"}
		}
	}
}

// call is one call of gRPC.
type call struct {
	w    http.ResponseWriter
	r    *http.Request
	json bool
}

func (h *warehouse) method(f func(c *call, id string) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind := r.Header.Get("Content-Type")
		if r.ProtoMajor < 2 || !strings.HasPrefix(kind, "application/grpc") {
			writeError(w, http.StatusUnsupportedMediaType, "the warehouse speaks gRPC")
			return
		}
		w.Header().Set("Content-Type", kind)
		c := &call{w: w, r: r, json: strings.HasSuffix(kind, "+json")}
		id, err := c.receive()
		if err == nil {
			err = f(c, id)
		}
		status(w, err)
	})
}

// status ends a call: it stands in the trailers.
func status(w http.ResponseWriter, err error) {
	e := &grpcError{code: grpcOK}
	if err != nil && !errors.As(err, &e) {
		e = &grpcError{grpcUnavailable, err.Error()}
	}
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", fmt.Sprint(e.code))
	if e.message != "" {
		w.Header().Set(http.TrailerPrefix+"Grpc-Message", e.message)
	}
	_ = http.NewResponseController(w).Flush() // a client that is gone is nobody's error
}

// receive reads the one message of a call: the id of a product.
func (c *call) receive() (id string, err error) {
	var head [5]byte // a flag for compression, and the length
	if _, err := io.ReadFull(c.r.Body, head[:]); err != nil {
		return "", &grpcError{grpcInvalidArgument, "the call has no message"}
	}
	n := binary.BigEndian.Uint32(head[1:])
	switch {
	case head[0] != 0:
		return "", &grpcError{grpcUnimplemented, "messages must not be compressed"}
	case n > maxCall:
		return "", &grpcError{grpcResourceExhausted, "the message is too long"}
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(c.r.Body, body); err != nil {
		return "", &grpcError{grpcInvalidArgument, "the message is cut short"}
	}
	if !c.json {
		return decodeProduct(body)
	}
	var p struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return "", &grpcError{grpcInvalidArgument, "the message is not the JSON expected here"}
	}
	return p.ID, nil
}

// send writes a message and does not let it wait.
func (c *call) send(l Level) error {
	m := encodeLevel(nil, l)
	if c.json {
		var err error
		if m, err = json.Marshal(l); err != nil {
			return err
		}
	}
	frame := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(m))), m...)
	if _, err := c.w.Write(frame); err != nil {
		return err
	}
	return http.NewResponseController(c.w).Flush()
}

func decodeProduct(b []byte) (id string, err error) {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return "", &grpcError{grpcInvalidArgument, "the message is no protobuf"}
		}
		b = b[n:]
		if field == 1 && kind == protowire.BytesType {
			var v []byte
			v, n = protowire.ConsumeBytes(b)
			id = string(v)
		} else {
			n = protowire.ConsumeFieldValue(field, kind, b)
		}
		if n < 0 {
			return "", &grpcError{grpcInvalidArgument, "the message is no protobuf"}
		}
		b = b[n:]
	}
	return id, nil
}

func encodeLevel(b []byte, l Level) []byte {
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	b = protowire.AppendString(b, l.ID)
	if l.Count != 0 {
		b = protowire.AppendTag(b, 2, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(l.Count))
	}
	return b
}

package bridge

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"strings"

	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// wireError is an error as Connect writes it.
type wireError struct {
	Code    string       `json:"code"`
	Message string       `json:"message,omitempty"`
	Details []wireDetail `json:"details,omitempty"`
}

type wireDetail struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// endMessage is what ends a stream.
type endMessage struct {
	Error    *wireError          `json:"error,omitempty"`
	Metadata map[string][]string `json:"metadata,omitempty"`
}

// errorOf is what a trailer says of an error.
func errorOf(code grpc.Code, trailer *httpmsg.Header) *wireError {
	e := &wireError{Code: strings.ToLower(code.String())}
	if code == grpc.Cancelled {
		e.Code = "canceled"
	}
	message := grpc.AppendDecoded(nil, trailer.Get(httpmsg.NameGRPCMessage))
	e.Message = strings.ToValidUTF8(string(message), "\uFFFD")
	if message == nil && !trailer.Has(httpmsg.NameGRPCStatus) {
		e.Message = "the backend's answer has no status"
	}
	if v := trailer.GetName(statusDetails); v != nil {
		e.Details = details(v)
	}
	return e
}

// appendError appends the body of a unary call's error.
func appendError(dst []byte, code grpc.Code, trailer *httpmsg.Header) []byte {
	b, err := json.Marshal(errorOf(code, trailer))
	if err != nil {
		panic(err) // strings can be marshalled
	}
	return append(dst, b...)
}

// appendEndFrame appends the message that ends a stream.
func appendEndFrame(dst []byte, trailer, metadata *httpmsg.Header) []byte {
	var end endMessage
	if code := statusOf(trailer); code != grpc.OK {
		end.Error = errorOf(code, trailer)
	}
	for i := 0; metadata != nil && i < metadata.Len(); i++ {
		f := metadata.At(i)
		if !isMetadata(f) {
			continue
		}
		if end.Metadata == nil {
			end.Metadata = map[string][]string{}
		}
		name := strings.ToLower(string(f.Name))
		end.Metadata[name] = append(end.Metadata[name], string(f.Value))
	}
	b, err := json.Marshal(end)
	if err != nil {
		panic(err)
	}
	dst = append(dst, endFlag, 0, 0, 0, 0)
	binary.BigEndian.PutUint32(dst[len(dst)-4:], uint32(len(b)))
	return append(dst, b...)
}

// details reads those of a google.rpc.Status in base64. What is none has none.
func details(v []byte) (list []wireDetail) {
	v = bytes.TrimRight(v, "=")
	status := make([]byte, base64.RawStdEncoding.DecodedLen(len(v)))
	n, err := base64.RawStdEncoding.Decode(status, v)
	if err != nil {
		return nil
	}
	ok := fields(status[:n], func(number uint64, any []byte) bool {
		if number != 3 { // Status.details
			return true
		}
		var typeURL, value []byte
		if !fields(any, func(number uint64, b []byte) bool {
			switch number {
			case 1:
				typeURL = b
			case 2:
				value = b
			}
			return true
		}) {
			return false
		}
		name := string(typeURL[bytes.LastIndexByte(typeURL, '/')+1:])
		list = append(list, wireDetail{strings.ToValidUTF8(name, "\uFFFD"), base64.RawStdEncoding.EncodeToString(value)})
		return true
	})
	if !ok {
		return nil
	}
	return list
}

// fields calls f with each field of a message in protobuf's encoding that has a
// length, and its number. It is false if the message is malformed, or f is.
func fields(b []byte, f func(number uint64, value []byte) bool) bool {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 || tag>>3 == 0 {
			return false
		}
		b = b[n:]
		switch tag & 7 {
		case 0:
			if _, n = binary.Uvarint(b); n <= 0 {
				return false
			}
		case 1:
			n = 8
		case 5:
			n = 4
		case 2:
			size, m := binary.Uvarint(b)
			if m <= 0 || size > uint64(len(b)-m) {
				return false
			}
			if !f(tag>>3, b[m:m+int(size)]) {
				return false
			}
			n = m + int(size)
		default:
			return false
		}
		if n > len(b) {
			return false
		}
		b = b[n:]
	}
	return true
}

package dryrun

import (
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/grpc"
)

// GRPCStatus is the end of a call of gRPC that Gridway itself answers.
type GRPCStatus struct {
	// Code is the value of grpc-status, Name what the specification calls it.
	Code uint32 `json:"code"`
	Name string `json:"name"`
	// HTTPStatus is that of the reply, which is nothing but trailers.
	HTTPStatus int `json:"httpStatus"`
}

// answerCall says what a client of gRPC is told, if the request is of one.
func (l *Local) answerCall(fields []ir.Header) {
	if l == nil || !slices.ContainsFunc(fields, func(h ir.Header) bool {
		return strings.EqualFold(h.Name, "Content-Type") && grpc.IsContentType([]byte(h.Value))
	}) {
		return
	}
	reply := filter.LocalReply{Status: l.Status}
	if i := slices.Index(filter.ReasonNames(), l.Reason); i > 0 {
		reply.Reason = filter.Reason(i)
	}
	code := reply.Code()
	for _, h := range l.Headers { // of a direct response
		if c, ok := grpc.ParseCode([]byte(h.Value)); ok && strings.EqualFold(h.Name, "Grpc-Status") {
			code = c
		}
	}
	l.GRPC = &GRPCStatus{Code: uint32(code), Name: code.String(), HTTPStatus: 200}
}

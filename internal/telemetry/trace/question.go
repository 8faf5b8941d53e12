package trace

import (
	"encoding/binary"
	"time"
)

// Question is what the proxy has asked a server about an exchange, before it let that go
// on. Times are since the record's start, in nanoseconds.
type Question struct {
	// Number counts from 1; SpanID follows from it and the record's span.
	Number int    `json:"number"`
	SpanID string `json:"spanID,omitempty"`
	// Purpose is external-authorization, introspection or rate-limit.
	Purpose string `json:"purpose"`
	// Cluster is that of the server, and Endpoint the address that was asked last.
	Cluster  string        `json:"cluster,omitempty"`
	Endpoint string        `json:"endpoint,omitempty"`
	Start    time.Duration `json:"start"`
	End      time.Duration `json:"end"`
	// Status and, where gRPC is spoken, GRPCStatus are the answer's; Problem is why there
	// was none: no-server, timeout and so on.
	Status     int    `json:"status,omitempty"`
	GRPCStatus string `json:"grpcStatus,omitempty"`
	Problem    string `json:"problem,omitempty"`
}

// The numbers of questions and of mirrors are kept apart from those of tries.
const (
	questionsFrom = 1 << 16
	mirrorsFrom   = 1 << 17
)

// QuestionSpan is the span of an exchange's nth question, as TrySpan is that of a try.
func QuestionSpan(span uint64, n int) uint64 { return TrySpan(span, questionsFrom+n) }

// Mirror is the Purpose of copies of requests.
const Mirror = "mirror"

// MirrorSpan is the span of the nth copy of an exchange's request.
func MirrorSpan(span uint64, n int) uint64 { return TrySpan(span, mirrorsFrom+n) }

// maxQuestions are kept of one exchange.
const maxQuestions = 4

func (w *writer) questions(list []Question) {
	list = list[:min(len(list), maxQuestions)]
	w.number(uint64(len(list)))
	for i := range list {
		q := &list[i]
		w.number(uint64(max(q.Number, 0)))
		w.text(q.Purpose)
		w.text(q.Cluster)
		w.text(q.Endpoint)
		w.since(q.Start)
		w.since(q.End)
		w.number(uint64(max(q.Status, 0)))
		w.text(q.GRPCStatus)
		w.text(q.Problem)
	}
}

func (r *reader) questions(b []byte) []Question {
	n := r.number()
	if n == 0 || n > maxQuestions {
		r.bad = r.bad || n > 0
		return nil
	}
	span := binary.LittleEndian.Uint64(b[atSpan:])
	list := make([]Question, n)
	for i := range list {
		number := int(r.number())
		list[i] = Question{
			Number: number, SpanID: spanText(QuestionSpan(span, number)), Purpose: r.text(), Cluster: r.text(), Endpoint: r.text(),
			Start: r.since(), End: r.since(), Status: int(r.number()), GRPCStatus: r.text(), Problem: r.text(),
		}
	}
	return list
}

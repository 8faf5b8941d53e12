package pipeline

import (
	"time"

	"github.com/gridway/gridway/internal/proxy/callout"
	"github.com/gridway/gridway/internal/telemetry/trace"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// maxQuestions are remembered of an exchange: the first ones.
const maxQuestions = 4

// beginQuestion tells the server that is asked to which trace the question belongs.
func (x *Exchange) beginQuestion(q *callout.Call) {
	t := &x.trace
	if t.span.Span == 0 || len(t.questions) >= maxQuestions || t.policy == nil {
		return
	}
	asked := t.span
	asked.Span = trace.QuestionSpan(t.span.Span, len(t.questions)+1)
	trace.Inject(&q.Request.Header, &q.Request.Arena, t.policy.Accept, t.policy.Send, &t.parent, &asked)
}

// endQuestion counts and remembers a question that was asked since then. The clock was read
// when it ended.
func (x *Exchange) endQuestion(q *callout.Call, began int64, err error) {
	x.p.Metrics.Asked(int(q.Purpose), callout.Result(err), time.Duration(x.clock-began))
	t := &x.trace
	if t.span.Span == 0 || len(t.questions) >= maxQuestions {
		return
	}
	n := trace.Question{
		Number: len(t.questions) + 1, Purpose: q.Purpose.String(), Cluster: q.Cluster, Endpoint: q.Endpoint,
		Start: time.Duration(began - x.started), End: time.Duration(x.clock - x.started),
	}
	if err != nil {
		n.Problem = callout.KindOf(err).String()
	} else {
		n.Status = q.Response.Status
		if q.GRPC {
			n.GRPCStatus = codeOf(q).String()
		}
	}
	t.questions = append(t.questions, n)
}

// codeOf is the status of gRPC with which a server has answered.
func codeOf(q *callout.Call) grpc.Code {
	v := q.Response.Header.Get(httpmsg.NameGRPCStatus)
	if v == nil {
		v = q.Response.Trailer.Get(httpmsg.NameGRPCStatus)
	}
	if v == nil {
		return grpc.Unknown
	}
	code, _ := grpc.ParseCode(v)
	return code
}

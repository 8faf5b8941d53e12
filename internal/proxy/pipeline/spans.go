package pipeline

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gridway/gridway/internal/proxy/tracing"
	"github.com/gridway/gridway/internal/telemetry/otlp"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

// export sends the spans of the exchange and of its tries to the sinks of its policy.
func (x *Exchange) export(p *tracing.Policy, r *trace.Exchange) {
	tags := func(b []byte, field protowire.Number) []byte {
		p.Tags(&x.Exchange, x.mask(), func(name, value string) { b = otlp.AppendText(b, field, name, value) })
		return b
	}
	x.trace.scratch = trace.AppendSpan(x.trace.scratch[:0], r, tags)
	p.Give(x.p.Resource, x.trace.scratch)
	for i := range r.Questions {
		x.trace.scratch = trace.AppendQuestion(x.trace.scratch[:0], r, &r.Questions[i])
		p.Give(x.p.Resource, x.trace.scratch)
	}
	for i := range r.Tries {
		x.trace.scratch = trace.AppendTry(x.trace.scratch[:0], r, &r.Tries[i])
		p.Give(x.p.Resource, x.trace.scratch)
	}
}

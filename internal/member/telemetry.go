package member

import (
	"context"
	"sync"

	"google.golang.org/grpc"

	"github.com/gridway/gridway/internal/mesh/question"
	"github.com/gridway/gridway/internal/mesh/report"
	"github.com/gridway/gridway/internal/observe"
	"github.com/gridway/gridway/internal/telemetry/flow"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

// beside is what the member says and answers beside the stream of its configuration, on
// the same connection.
func (m *member) beside(flows *flow.Recorder, signals *signal.Recorder) func(context.Context, grpc.ClientConnInterface) {
	parts := []func(context.Context, grpc.ClientConnInterface){
		(&report.Sender{Recorder: flows, Signals: signals, Troubles: m.troubles, Proxy: func() string { return m.proxy().Name }, Log: m.log}).Run,
		(&question.Responder{Name: func() string { return m.proxy().Name }, Answerers: m.answerers(), Log: m.log}).Run,
	}
	return func(ctx context.Context, conn grpc.ClientConnInterface) {
		var wg sync.WaitGroup
		defer wg.Wait()
		for _, run := range parts {
			wg.Go(func() { run(ctx, conn) })
		}
	}
}

// answerers are what the member can be asked about traffic.
func (m *member) answerers() question.Answerers {
	a := question.Answerers{question.KindTap: observe.Taps{Set: m.taps}}
	if m.records != nil {
		a[question.KindRecords] = observe.Records{Recorder: m.records}
	}
	return a
}

// Observer answers what is asked about the member's own traffic.
func (r Running) Observer() *observe.Observer {
	id := r.m.keys.Own().String()
	return &observe.Observer{Own: r.m.answerers(), OwnProxy: question.Proxy{Name: r.m.proxy().Name, Identity: id}}
}

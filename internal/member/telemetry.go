package member

import (
	"context"
	"fmt"
	"os"
	"sync"

	"google.golang.org/grpc"

	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/question"
	"github.com/gridway/gridway/internal/mesh/report"
	"github.com/gridway/gridway/internal/observe"
	"github.com/gridway/gridway/internal/telemetry/flow"
	"github.com/gridway/gridway/internal/telemetry/otlp"
)

// beside is what the member says and answers beside the stream of its configuration, on
// the same connection.
func (m *member) beside(flows *flow.Recorder) func(context.Context, grpc.ClientConnInterface) {
	parts := []func(context.Context, grpc.ClientConnInterface){
		(&report.Sender{Recorder: flows, Log: m.log}).Run,
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

// resource is who spans are of: the service that the member is a workload of.
func (m *member) resource() *otlp.Resource {
	o := &m.opt
	name, namespace, instance := o.Service, o.Namespace, o.Service
	if o.Role == distrib.RoleNode {
		name, namespace, instance = "gridway-node", "", o.Node
	}
	return otlp.NewResource(o.Build.Version, otlp.Attribute{Key: "service.name", Value: name}, otlp.Attribute{Key: "service.namespace", Value: namespace},
		otlp.Attribute{Key: "service.instance.id", Value: fmt.Sprintf("%s/%s/%d", namespace, instance, os.Getpid())}, otlp.Attribute{Key: "service.version", Value: o.Version})
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

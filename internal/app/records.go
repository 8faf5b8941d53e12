package app

import (
	"github.com/gridway/gridway/internal/mesh/question"
	"github.com/gridway/gridway/internal/observe"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

// records answers what the admin API is asked about requests that have passed; nil where
// nothing is remembered.
func (g *Gateway) records() adminapi.Records { return recordsOf(g.remembered, processName()) }

func recordsOf(r *trace.Recorder, proxy string) adminapi.Records {
	if r == nil {
		return nil
	}
	return &observe.Observer{Own: question.Answerers{question.KindRecords: observe.Records{Recorder: r}}, OwnProxy: question.Proxy{Name: proxy}}
}

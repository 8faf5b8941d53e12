// Package report tells control planes what a proxy has seen of traffic: who speaks to the
// workloads behind it. Package evidence is the other end. The package starts no goroutines;
// members of a mesh run a Sender beside the stream of their configuration.
package report

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/telemetry/flow"
)

const (
	// reportEvery is how long a proxy gathers.
	reportEvery = 5 * time.Second
	// answerWithin is how long an acknowledgement may take, lastWithin when the proxy
	// ends.
	answerWithin = 15 * time.Second
	lastWithin   = time.Second
)

// Sender tells control planes what a proxy has seen. While there is none the recorder
// goes on gathering, and bounds that. Run is not for several goroutines at a time.
type Sender struct {
	Recorder *flow.Recorder
	Log      *slog.Logger
	// Every is how long it gathers; 0 is five seconds.
	Every time.Duration

	// unheard is the report that was not acknowledged yet.
	unheard *meshpb.TrafficReport
	refused bool // the log has told of a refusal
}

// Run reports over a connection until ctx ends, and then what is left.
func (s *Sender) Run(ctx context.Context, conn grpc.ClientConnInterface) {
	every := s.Every
	if every == 0 {
		every = reportEvery
	}
	for ctx.Err() == nil {
		err := s.stream(ctx, conn, every)
		if status.Code(err) == codes.Unimplemented {
			return // an older control plane
		}
		if err != nil && ctx.Err() == nil {
			s.Log.Debug("no control plane takes reports of traffic", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(every):
		}
	}
}

// stream reports on one stream until that fails.
func (s *Sender) stream(ctx context.Context, conn grpc.ClientConnInterface, every time.Duration) error {
	open, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stream, err := meshpb.NewTelemetryClient(conn).Report(open)
	if err != nil {
		return err
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for sequence := uint64(1); ; sequence++ {
		within := answerWithin
		select {
		case <-ctx.Done():
			within = lastWithin
		case <-tick.C:
		}
		if s.unheard == nil {
			s.unheard = reportOf(s.Recorder.Take())
		}
		if s.unheard != nil {
			s.unheard.Sequence = sequence
			late := time.AfterFunc(within, cancel)
			err := s.say(stream)
			late.Stop()
			if err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// say sends the report and waits until it is acknowledged.
func (s *Sender) say(stream grpc.BidiStreamingClient[meshpb.TrafficReport, meshpb.TrafficReceived]) error {
	if err := stream.Send(s.unheard); err != nil {
		if _, told := stream.Recv(); told != nil {
			err = told
		}
		return err
	}
	got, err := stream.Recv()
	if err != nil {
		return err
	}
	if got.GetSequence() != s.unheard.GetSequence() {
		return errors.New("report: another report was acknowledged")
	}
	if got.GetRefused() > 0 && !s.refused {
		s.refused = true
		s.Log.Warn("the control plane does not take all reports of traffic", "refused", got.GetRefused(), "why", got.GetWhy())
	}
	s.unheard = nil
	return nil
}

// reportOf is nil for nothing.
func reportOf(list []*flow.Flow) *meshpb.TrafficReport {
	if len(list) == 0 {
		return nil
	}
	r := &meshpb.TrafficReport{Flows: make([]*meshpb.TrafficFlow, 0, len(list))}
	for _, f := range list {
		r.Flows = append(r.Flows, &meshpb.TrafficFlow{
			Source: f.Source, Namespace: f.Namespace, Service: f.Service, Port: uint32(f.Port), Protocol: meshpb.TrafficProtocol(f.Protocol),
			Method: f.Method, Path: f.Path, Verdict: meshpb.TrafficVerdict(f.Verdict), Policy: f.Policy, Overflow: f.Overflow,
			Count: f.Count.Count, Failed: f.Failed, First: f.First.UnixMilli(), Last: f.Last.UnixMilli(), Duration: uint64(max(f.Duration, 0) / time.Microsecond), Addresses: f.Addresses,
		})
	}
	return r
}

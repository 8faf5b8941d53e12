// Package report tells control planes what a proxy has seen of traffic: who speaks to the
// workloads behind it, what passes over the edges of the service graph, and what is not
// well on its way to others. Packages evidence, signals and troubles are the other end. The
// package starts no goroutines;
// members of a mesh run a Sender beside the stream of their configuration.
package report

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/telemetry/flow"
	"github.com/gridway/gridway/internal/telemetry/signal"
	"github.com/gridway/gridway/internal/telemetry/trouble"
)

const (
	// reportEvery is how long a proxy gathers.
	reportEvery = 5 * time.Second
	// answerWithin is how long an acknowledgement may take, lastWithin when the proxy
	// ends.
	answerWithin = 15 * time.Second
	lastWithin   = time.Second
	// signOfLife is how often a proxy reports that has nothing to tell.
	signOfLife = 15 * time.Second
)

// Sender tells control planes what a proxy has seen. While there is none the recorder
// goes on gathering, and bounds that. Run is not for several goroutines at a time.
type Sender struct {
	Recorder *flow.Recorder
	// Signals may be nil.
	Signals *signal.Recorder
	// Troubles are what is not well, and Proxy is the name that the stream of the
	// configuration has; either may be nil.
	Troubles *trouble.Watch
	Proxy    func() string
	Log      *slog.Logger
	// Every is how long it gathers; 0 is five seconds.
	Every time.Duration

	// unheard is the report that was not acknowledged yet; ended is when the time of its
	// signals did.
	unheard *meshpb.TrafficReport
	ended   time.Time
	// incarnation and sequence number the reports of signals; taken is when the last was
	// made.
	incarnation, sequence uint64
	taken                 time.Time
	refused               bool // the log has told of a refusal
	troubled              bool // the last report had troubles
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
			s.unheard = s.next()
		}
		s.unheard = s.troubles(s.unheard, time.Now())
		if s.unheard != nil {
			s.unheard.Sequence = sequence
			if g := s.unheard.GetSignals(); g != nil {
				g.Age = milliseconds(time.Since(s.ended))
			}
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
	err := stream.Send(s.unheard)
	if g := s.unheard.GetSignals(); g != nil {
		g.Resent = true // if it is sent again
	}
	if err != nil {
		if _, told := stream.Recv(); told != nil {
			err = told
		}
		return s.failed(err)
	}
	got, err := stream.Recv()
	if err != nil {
		return s.failed(err)
	}
	if got.GetSequence() != s.unheard.GetSequence() {
		return errors.New("report: another report was acknowledged")
	}
	if got.GetRefused() > 0 && !s.refused {
		s.refused = true
		s.Log.Warn("the control plane does not take all reports of traffic", "refused", got.GetRefused(), "why", got.GetWhy())
	}
	s.troubled = len(s.unheard.GetTroubles().GetTroubles()) > 0
	s.unheard = nil
	return nil
}

// troubles adds what is not well as the report is sent, for as long as there is something and
// once more.
func (s *Sender) troubles(r *meshpb.TrafficReport, now time.Time) *meshpb.TrafficReport {
	if s.Troubles == nil || s.Proxy == nil {
		return r
	}
	list, more := s.Troubles.Look(now)
	if len(list) == 0 && !s.troubled {
		return r
	}
	if r == nil {
		r = &meshpb.TrafficReport{}
	}
	r.Troubles = Troubles(s.Proxy(), list, more, now)
	return r
}

// failed gives a report up that the control plane says it can never take, since those that
// follow would wait behind it for ever.
func (s *Sender) failed(err error) error {
	if status.Code(err) == codes.InvalidArgument {
		s.Log.Warn("a report of traffic is left out: the control plane does not take it", "error", err)
		s.unheard = nil
	}
	return err
}

// next is what there is to tell, nil for nothing.
func (s *Sender) next() *meshpb.TrafficReport {
	r := reportOf(s.Recorder.Take())
	if s.Signals == nil {
		return r
	}
	now := time.Now()
	if s.taken.IsZero() {
		s.incarnation, s.taken = rand.Uint64(), now.Add(-cmp.Or(s.Every, reportEvery))
	}
	edges := s.Signals.Take()
	if len(edges) == 0 && s.sequence > 0 && now.Sub(s.taken) < signOfLife {
		return r
	}
	s.sequence++
	g := Signals(edges)
	g.Incarnation, g.Sequence, g.Length = s.incarnation, s.sequence, milliseconds(now.Sub(s.taken))
	s.taken, s.ended = now, now
	if r == nil {
		r = &meshpb.TrafficReport{}
	}
	r.Signals = g
	return r
}

func milliseconds(d time.Duration) uint64 { return uint64(max(d, 0).Milliseconds()) }

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

package proxy

import (
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/telemetry/export"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/telemetry/outlet"
	"github.com/gridway/gridway/internal/telemetry/push"
)

// SinkState is how a TelemetrySink is.
type SinkState struct {
	// Name is "namespace/name".
	Name string
	// Kind is the field of the TelemetrySink that says what it is: otlp, dogStatsD, file or
	// standardOutput.
	Kind string
	// Address is where it is: of a receiver or an agent, or the path of a file.
	Address string
	// Asked says that something was sent, or tried to be; Up that it was taken, and Since
	// when that is so. Problem is why it was not.
	Asked, Up bool
	Since     time.Time
	Problem   string
	// Signals has what became of each signal.
	Signals []metric.Sink
}

// Sinks are the TelemetrySinks of the configuration, in the order of their names.
func (p *Proxy) Sinks() []SinkState {
	var out []SinkState
	for _, s := range p.exporter.States() {
		out = append(out, receiverState(&s))
	}
	for _, s := range p.pusher.States() {
		out = append(out, agentState(&s))
	}
	for _, s := range p.outlets.States() {
		out = append(out, outputState(&s))
	}
	slices.SortFunc(out, func(a, b SinkState) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func receiverState(s *export.State) SinkState {
	out := SinkState{Name: s.Name, Kind: "otlp", Address: s.Address, Asked: s.Asked, Up: s.Up, Since: s.Since, Problem: s.Problem}
	for _, n := range s.Signals {
		out.Signals = append(out.Signals, metric.Sink{
			Name: s.Name, Signal: n.Signal.String(), Sent: n.Sent, Rejected: n.Rejected, Failed: n.Failed, Dropped: n.Dropped, Retries: n.Retries,
			Lost:  []metric.SinkLoss{{Reason: "full", Count: n.Dropped}, {Reason: "rejected", Count: n.Rejected}, {Reason: "refused", Count: n.Refused}, {Reason: "expired", Count: n.Expired}, {Reason: "ended", Count: n.Ended}},
			Items: n.Items, ItemsLimit: n.ItemsLimit, Bytes: n.Bytes, BytesLimit: n.BytesLimit, LastSent: n.LastSent, LastFailed: n.LastFailed,
		})
	}
	return out
}

func agentState(s *push.State) SinkState {
	return SinkState{
		Name: s.Name, Kind: "dogStatsD", Address: s.Address, Asked: s.Asked, Up: s.Up, Since: s.Since, Problem: s.Problem,
		Signals: []metric.Sink{{
			Name: s.Name, Signal: export.Metrics.String(), Sent: s.Sent, Failed: s.Failed, Dropped: s.Dropped,
			Lost:     []metric.SinkLoss{{Reason: "full", Count: s.Dropped - s.TooLong}, {Reason: "long", Count: s.TooLong}, {Reason: "unreachable", Count: s.Failed}},
			LastSent: s.LastSent, LastFailed: s.LastFailed,
		}},
	}
}

func outputState(s *outlet.State) SinkState {
	out := SinkState{
		Name: s.Name, Kind: "standardOutput", Asked: !s.LastWritten.IsZero() || !s.LastFailed.IsZero(), Up: s.Problem == "" && !s.LastWritten.IsZero(),
		Problem: s.Problem, Since: s.LastWritten,
		Signals: []metric.Sink{{
			Name: s.Name, Signal: export.Logs.String(), Sent: s.Written, Failed: s.Errors, Dropped: s.Dropped,
			Lost:     []metric.SinkLoss{{Reason: "full", Count: s.Dropped}, {Reason: "unwritable", Count: s.Errors}},
			LastSent: s.LastWritten, LastFailed: s.LastFailed,
		}},
	}
	if s.Path != "" {
		out.Kind, out.Address = "file", s.Path
	}
	return out
}

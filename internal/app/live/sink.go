package live

import (
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// Sinks are the TelemetrySinks of the configuration in service.
func (v View) Sinks() []adminapi.SinkStatus {
	list := v.Plane.Sinks()
	out := make([]adminapi.SinkStatus, 0, len(list))
	for _, s := range list {
		one := adminapi.SinkStatus{Name: s.Name, Kind: s.Kind, Address: s.Address, State: "idle", Signals: []adminapi.SinkSignal{}}
		switch {
		case s.Asked && s.Up:
			one.State, one.Since = "up", s.Since
		case s.Asked:
			one.State, one.Since, one.Error = "down", s.Since, s.Problem
		}
		for _, n := range s.Signals {
			if signal, used := sinkSignal(&n); used {
				one.Signals = append(one.Signals, signal)
			}
		}
		out = append(out, one)
	}
	return out
}

// sinkSignal tells whether there was anything to send.
func sinkSignal(n *metric.Sink) (adminapi.SinkSignal, bool) {
	out := adminapi.SinkSignal{
		Signal: n.Signal, Queued: n.Items, QueueLimit: n.ItemsLimit, QueuedBytes: n.Bytes, QueueLimitBytes: n.BytesLimit,
		Sent: n.Sent, Retries: n.Retries, LastSuccess: n.LastSent, LastFailure: n.LastFailed,
	}
	for _, l := range n.Lost {
		if l.Count > 0 {
			if out.Lost == nil {
				out.Lost = map[string]uint64{}
			}
			out.Lost[l.Reason] = l.Count
		}
	}
	return out, n.Sent > 0 || n.Items > 0 || len(out.Lost) > 0
}
